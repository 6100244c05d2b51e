#include "client/admin_values.h"

#include <algorithm>

#include "client/error.h"
#include "protocol/core/types.h"

namespace headrace {
namespace {

std::string IdText(const std::string& id) {
  TopicId topic_id;
  if (id.size() != topic_id.bytes.size()) return {};
  std::copy(id.begin(), id.end(), topic_id.bytes.begin());
  return topic_id.ToString();
}

PartitionInfo ToPartition(const native::PartitionDescription& in) {
  PartitionInfo out{in.partition(), in.start_offset(), in.high_watermark(), in.end_offset(),
                    in.size(),      in.segments(),     in.leader_epoch(),   std::nullopt};
  if (Failed(in.error())) out.error = ToError(in.error());
  return out;
}

TopicInfo ToTopic(const native::TopicDescription& in) {
  TopicInfo out{in.topic(), IdText(in.topic_id()), in.partition_count(), {}, {}};
  for (const native::TopicConfig& config : in.configs()) {
    out.configs.push_back({config.key(), config.value(), config.is_default(), !config.no_effect()});
  }
  for (const native::PartitionDescription& partition : in.partitions()) {
    out.partitions.push_back(ToPartition(partition));
  }
  return out;
}

std::vector<TransferCounters> ToTransfers(
    const google::protobuf::RepeatedPtrField<native::TransferStats>& in) {
  std::vector<TransferCounters> out;
  for (const native::TransferStats& t : in) {
    out.push_back({t.strategy(), t.calls(), t.bytes(), t.bytes_through_user(), t.short_sends(), t.waits()});
  }
  return out;
}

ConnectionInfo ToConnection(const native::ConnectionStats& in) {
  return {in.id(),
          in.peer(),
          in.client_id(),
          in.bytes_in(),
          in.bytes_out(),
          in.bytes_waiting(),
          in.requests_in_flight(),
          in.seconds_stalled(),
          ToTransfers(in.transfers())};
}

Error CountMismatch() {
  return NetworkError("the broker answered another number of partitions than asked");
}

}  // namespace

void AddConfigs(const std::map<std::string, std::string>& configs,
                google::protobuf::RepeatedPtrField<native::TopicConfig>& out) {
  for (const auto& [key, value] : configs) {
    native::TopicConfig& entry = *out.Add();
    entry.set_key(key);
    entry.set_value(value);
  }
}

Result<std::vector<TopicInfo>> ToTopics(const native::DescribeTopicsResponse& response) {
  std::vector<TopicInfo> topics;
  for (const native::TopicDescription& topic : response.topics()) {
    if (Failed(topic.error())) return ToError(topic.error());
    topics.push_back(ToTopic(topic));
  }
  return topics;
}

Result<TopicInfo> OnlyTopic(const Result<native::DescribeTopicsResponse>& response) {
  if (!response) return response.error();
  Result<std::vector<TopicInfo>> topics = ToTopics(*response);
  if (!topics) return topics.error();
  if (topics->size() != 1) return NetworkError("the broker described another number of topics than one");
  return std::move(topics->front());
}

Result<std::vector<PartitionOffset>> ToOffsets(const native::ListOffsetsResponse& response,
                                               const std::vector<std::uint32_t>& asked,
                                               std::string_view topic) {
  if (static_cast<std::size_t>(response.partitions_size()) != asked.size()) return CountMismatch();
  std::vector<PartitionOffset> offsets;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto& entry = response.partitions(static_cast<int>(i));
    if (Failed(entry.error())) return ToError(entry.error(), PartitionName(topic, asked[i]));
    offsets.push_back({asked[i], entry.offset(), entry.timestamp_ms()});
  }
  return offsets;
}

Result<std::vector<CommittedOffset>> ToCommitted(const native::FetchOffsetResponse& response,
                                                 std::string_view topic) {
  std::vector<CommittedOffset> offsets;
  for (const auto& entry : response.partitions()) {
    if (!topic.empty() && entry.topic() != topic) continue;
    if (Failed(entry.error())) return ToError(entry.error(), PartitionName(entry.topic(), entry.partition()));
    offsets.push_back(
        {entry.topic(), entry.partition(), entry.offset(), entry.metadata(), entry.commit_time_ms()});
  }
  return offsets;
}

BrokerStats ToStats(const native::StatsResponse& in) {
  BrokerStats out;
  out.version = in.version();
  out.uptime_seconds = in.uptime_seconds();
  out.cpu_user_seconds = in.cpu_user_seconds();
  out.cpu_system_seconds = in.cpu_system_seconds();
  out.resident_bytes = in.resident_bytes();
  out.topics = in.topics();
  out.partitions = in.partitions();
  out.connections = in.connections();
  out.connections_total = in.connections_total();
  out.requests = in.requests();
  out.bytes_in = in.bytes_in();
  out.bytes_out = in.bytes_out();
  out.produced_batches = in.produced_batches();
  out.produced_records = in.produced_records();
  out.produced_bytes = in.produced_bytes();
  out.syncs = in.syncs();
  out.cold_reads = in.cold_reads();
  out.client_errors = in.client_errors();
  out.open_files = in.open_files();
  out.fenced_partitions = in.fenced_partitions();
  out.transfers = ToTransfers(in.transfers());
  for (const native::ConnectionStats& connection : in.connection_list()) {
    out.connections_list.push_back(ToConnection(connection));
  }
  return out;
}

std::string PartitionName(std::string_view topic, std::uint32_t partition) {
  return "topic " + std::string(topic) + ", partition " + std::to_string(partition);
}

}  // namespace headrace
