#include "client/cli/topic_json.h"

#include <nlohmann/json.hpp>

#include "client/cli/command.h"

namespace headrace::cli {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const PartitionInfo& info) {
  Json document = {{"partition", info.partition},
                   {"start_offset", info.start_offset},
                   {"high_watermark", info.high_watermark},
                   {"end_offset", info.end_offset},
                   {"size", info.size},
                   {"segments", info.segments},
                   {"leader_epoch", info.leader_epoch},
                   {"error", nullptr}};
  if (info.error) document["error"] = {{"code", info.error->code}, {"message", info.error->message}};
  return document;
}

Json ToJson(const ConnectionInfo& info) {
  Json document = {{"id", info.id}, {"peer", info.peer}};
  SetBytes(document, "client_id", info.client_id);
  document["bytes_in"] = info.bytes_in;
  document["bytes_out"] = info.bytes_out;
  document["bytes_waiting"] = info.bytes_waiting;
  document["requests_in_flight"] = info.requests_in_flight;
  document["seconds_stalled"] = info.seconds_stalled;
  document["transfers"] = cli::ToJson(info.transfers);
  return document;
}

}  // namespace

Json ToJson(const TopicInfo& topic) {
  Json document = {{"topic", topic.name}, {"id", topic.id}, {"partitions", topic.partition_count}};
  Json& configs = document["configs"] = Json::object();
  for (const TopicConfigEntry& entry : topic.configs) {
    configs[entry.key] = {
        {"value", entry.value}, {"default", entry.is_default}, {"has_effect", entry.has_effect}};
  }
  if (topic.partitions.empty()) return document;
  Json& list = document["partition_list"] = Json::array();
  for (const PartitionInfo& info : topic.partitions) list.push_back(ToJson(info));
  return document;
}

Json ToJson(const std::vector<TransferCounters>& transfers) {
  Json list = Json::array();
  for (const TransferCounters& transfer : transfers) {
    list.push_back({{"strategy", transfer.strategy},
                    {"calls", transfer.calls},
                    {"bytes", transfer.bytes},
                    {"bytes_through_user", transfer.bytes_through_user},
                    {"short_sends", transfer.short_sends},
                    {"waits", transfer.waits}});
  }
  return list;
}

Json ToJson(const BrokerStats& stats) {
  Json document = {{"version", stats.version},
                   {"uptime_seconds", stats.uptime_seconds},
                   {"cpu_user_seconds", stats.cpu_user_seconds},
                   {"cpu_system_seconds", stats.cpu_system_seconds},
                   {"resident_bytes", stats.resident_bytes},
                   {"topics", stats.topics},
                   {"partitions", stats.partitions},
                   {"connections", stats.connections},
                   {"connections_total", stats.connections_total},
                   {"requests", stats.requests},
                   {"bytes_in", stats.bytes_in},
                   {"bytes_out", stats.bytes_out},
                   {"produced_batches", stats.produced_batches},
                   {"produced_records", stats.produced_records},
                   {"produced_bytes", stats.produced_bytes},
                   {"syncs", stats.syncs},
                   {"cold_reads", stats.cold_reads},
                   {"client_errors", stats.client_errors},
                   {"open_files", stats.open_files},
                   {"fenced_partitions", stats.fenced_partitions},
                   {"transfers", ToJson(stats.transfers)}};
  if (stats.connections_list.empty()) return document;
  Json& list = document["connection_list"] = Json::array();
  for (const ConnectionInfo& info : stats.connections_list) list.push_back(ToJson(info));
  return document;
}

}  // namespace headrace::cli
