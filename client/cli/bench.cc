#include "client/cli/bench.h"

#include <algorithm>
#include <array>
#include <random>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "client/cli/text.h"
#include "client/cli/topic_json.h"

namespace headrace::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Percent {
  double percent;
  const char* head;
  const char* field;
};
constexpr std::array<Percent, 5> kPercents = {{{50, "p50", "p50_ns"},
                                               {90, "p90", "p90_ns"},
                                               {99, "p99", "p99_ns"},
                                               {99.9, "p99.9", "p99_9_ns"},
                                               {99.99, "p99.99", "p99_99_ns"}}};

std::string FreshName() {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::random_device random;
  std::string name = "bench-";
  for (int i = 0; i < 8; ++i) name += kHex[random() % kHex.size()];
  return name;
}

}  // namespace

Result<BenchTopic> BenchTopic::Prepare(Admin& admin, const BenchArguments& arguments) {
  if (!arguments.topic.empty()) {
    auto existing = admin.DescribeTopic(arguments.topic);
    if (existing) return BenchTopic(admin, *std::move(existing), false);
    if (existing.error().code != error_number::kUnknownTopicOrPartition) return existing.error();
  }
  auto created = admin.CreateTopic(arguments.topic.empty() ? FreshName() : arguments.topic,
                                   {.partitions = arguments.partitions,
                                    .configs = {{"durability", arguments.durability}},
                                    .if_not_exists = false});
  if (!created) return created.error();
  return BenchTopic(admin, *std::move(created), arguments.topic.empty());
}

BenchTopic::BenchTopic(BenchTopic&& other) noexcept
    : admin_(other.admin_),
      info_(std::move(other.info_)),
      temporary_(std::exchange(other.temporary_, false)) {}

BenchTopic::~BenchTopic() {
  if (!temporary_) return;
  if (const auto deleted = admin_->DeleteTopic(info_.name); !deleted) {
    PrintNote("headrace: topic " + info_.name + " was left behind: " + deleted.error().message);
  }
}

std::string BenchTopic::durability() const {
  for (const TopicConfigEntry& entry : info_.configs) {
    if (entry.key == "durability") return entry.value;
  }
  return "unknown";
}

BrokerUse Difference(const BrokerStats& before, const BrokerStats& after) {
  BrokerUse use;
  use.cpu_user_seconds = after.cpu_user_seconds - before.cpu_user_seconds;
  use.cpu_system_seconds = after.cpu_system_seconds - before.cpu_system_seconds;
  use.syncs = after.syncs - before.syncs;
  use.batches = after.produced_batches - before.produced_batches;
  use.produced_bytes = after.produced_bytes - before.produced_bytes;
  use.resident_bytes = after.resident_bytes;
  for (TransferCounters counters : after.transfers) {
    for (const TransferCounters& old : before.transfers) {
      if (old.strategy != counters.strategy) continue;
      counters.calls -= old.calls;
      counters.bytes -= old.bytes;
      counters.bytes_through_user -= old.bytes_through_user;
      counters.short_sends -= old.short_sends;
      counters.waits -= old.waits;
    }
    use.transfers.push_back(std::move(counters));
  }
  return use;
}

Payloads::Payloads(std::size_t size) : size_(size), text_(size + kSpread, ' ') {
  std::minstd_rand random(1);
  for (char& c : text_) c = static_cast<char>('!' + random() % 64);
}

Json ToJson(const BrokerUse& use) {
  return {{"cpu_user_seconds", use.cpu_user_seconds},
          {"cpu_system_seconds", use.cpu_system_seconds},
          {"syncs", use.syncs},
          {"produced_batches", use.batches},
          {"produced_bytes", use.produced_bytes},
          {"resident_bytes", use.resident_bytes},
          {"transfers", ToJson(use.transfers)}};
}

Json ToJson(const Throughput& throughput) {
  return {{"records", throughput.records},
          {"bytes", throughput.bytes},
          {"seconds", throughput.seconds},
          {"records_per_second", throughput.record_rate()},
          {"bytes_per_second", throughput.byte_rate()}};
}

Json ToJson(const Histogram& latency) {
  Json document = {{"count", latency.count()}, {"min_ns", latency.min()}, {"mean_ns", latency.mean()}};
  for (const Percent& each : kPercents) document[each.field] = latency.Percentile(each.percent);
  document["max_ns"] = latency.max();
  return document;
}

std::string ForPeople(const Throughput& throughput) {
  return HumanCount(throughput.record_rate()) + " records/s, " + HumanBytes(throughput.byte_rate()) + "/s (" +
         std::to_string(throughput.records) + " records, " +
         HumanBytes(static_cast<double>(throughput.bytes)) + " in " + HumanSeconds(throughput.seconds) + ")";
}

std::vector<std::string> LatencyHead() {
  std::vector<std::string> head = {"LATENCY", "SAMPLES"};
  for (const Percent& each : kPercents) head.emplace_back(each.head);
  head.emplace_back("max");
  return head;
}

std::vector<std::string> LatencyRow(std::string name, const Histogram& latency) {
  std::vector<std::string> row = {std::move(name), std::to_string(latency.count())};
  for (const Percent& each : kPercents) {
    row.push_back(HumanNanoseconds(static_cast<double>(latency.Percentile(each.percent))));
  }
  row.push_back(HumanNanoseconds(static_cast<double>(latency.max())));
  return row;
}

std::string ForPeople(const BrokerUse& use, const Throughput& throughput) {
  const double gib = static_cast<double>(throughput.bytes) / (1U << 30);
  const double millions = static_cast<double>(throughput.records) / 1e6;
  return "broker CPU   " + Fixed(use.cpu_user_seconds, 2) + " s user + " + Fixed(use.cpu_system_seconds, 2) +
         " s system = " + Fixed(use.cpu_seconds() / std::max(gib, 1e-9), 2) + " s per GiB, " +
         Fixed(use.cpu_seconds() / std::max(millions, 1e-9), 2) + " s per million records\n";
}

std::string Conditions(const BenchArguments& arguments, const BenchTopic& topic) {
  std::string text =
      "conditions   durability " + topic.durability() + ", " + std::to_string(topic.info().partition_count) +
      " partitions, values of " + std::to_string(arguments.size) + " bytes, batches of at most " +
      (arguments.batch == 0 ? "the broker's limit (1 MiB)"
                            : HumanBytes(static_cast<double>(arguments.batch))) +
      ", " + std::to_string(arguments.in_flight) + " requests in flight, " +
      std::to_string(arguments.connections) + " connections, compression " + arguments.compression + ", " +
      std::to_string(std::thread::hardware_concurrency()) + " cores shared with the broker\n";
  return text;
}

Json ConditionsJson(const BenchArguments& arguments, const BenchTopic& topic) {
  return {{"durability", topic.durability()},
          {"partitions", topic.info().partition_count},
          {"value_size", arguments.size},
          {"batch_size_max", arguments.batch},
          {"requests_in_flight", arguments.in_flight},
          {"connections", arguments.connections},
          {"compression", arguments.compression},
          {"rate", arguments.rate},
          {"cores", std::thread::hardware_concurrency()}};
}

}  // namespace headrace::cli
