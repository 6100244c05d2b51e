// What the benchmarks against a broker share: their options, their topic, and what the broker spent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "client/cli/command.h"
#include "client/cli/histogram.h"
#include "headrace/admin.h"

namespace headrace::cli {

struct BenchArguments {
  std::string topic;  // empty: one made for the run and deleted after it
  std::uint64_t records = 0;
  std::size_t size = 100;  // bytes of a value
  std::uint32_t partitions = 1;
  std::uint32_t connections = 1;
  double rate = 0;        // records per second, all connections together; 0: as fast as it goes
  std::size_t batch = 0;  // bytes at most; 0: the library's default
  std::string durability = "durable";
  std::string compression = "none";
  std::uint32_t in_flight = 5;
  std::uint32_t sample = 64;  // every so manieth record is timed
  bool one_at_a_time = false;
  bool check_crc = true;
};

// The topic of a run. One that it made is deleted with it. Thread: one.
class BenchTopic {
 public:
  // Uses arguments.topic if it exists, else makes it (or one of a fresh name).
  static Result<BenchTopic> Prepare(Admin& admin, const BenchArguments& arguments);
  BenchTopic(BenchTopic&& other) noexcept;
  BenchTopic& operator=(BenchTopic&&) = delete;
  ~BenchTopic();

  const TopicInfo& info() const { return info_; }
  const std::string& name() const { return info_.name; }
  std::string durability() const;

 private:
  BenchTopic(Admin& admin, TopicInfo info, bool temporary)
      : admin_(&admin), info_(std::move(info)), temporary_(temporary) {}
  Admin* admin_;
  TopicInfo info_;
  bool temporary_;
};

// What the broker did between two looks at its counters.
struct BrokerUse {
  double cpu_user_seconds = 0;
  double cpu_system_seconds = 0;
  std::uint64_t syncs = 0;
  std::uint64_t batches = 0;
  std::uint64_t produced_bytes = 0;
  std::vector<TransferCounters> transfers;
  std::uint64_t resident_bytes = 0;

  double cpu_seconds() const { return cpu_user_seconds + cpu_system_seconds; }
};
BrokerUse Difference(const BrokerStats& before, const BrokerStats& after);

// What a run of producing or consuming came to.
struct Throughput {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  // of keys and values
  double seconds = 0;

  double record_rate() const { return seconds > 0 ? static_cast<double>(records) / seconds : 0; }
  double byte_rate() const { return seconds > 0 ? static_cast<double>(bytes) / seconds : 0; }
};

// Bytes that do not compress to nothing: `size` of them, different for each `number`. Holds while this lives.
class Payloads {
 public:
  explicit Payloads(std::size_t size);
  std::string_view Get(std::uint64_t number) const {
    return std::string_view(text_).substr(static_cast<std::size_t>(number * 61 % kSpread), size_);
  }

 private:
  static constexpr std::size_t kSpread = 64U << 10;
  std::size_t size_;
  std::string text_;
};

nlohmann::ordered_json ToJson(const BrokerUse& use);
nlohmann::ordered_json ToJson(const Throughput& throughput);
// {"count","min_ns","mean_ns","p50_ns",...,"p99_99_ns","max_ns"}
nlohmann::ordered_json ToJson(const Histogram& latency);
// "1.23 M records/s, 118 MiB/s (…)".
std::string ForPeople(const Throughput& throughput);
// A row of the percentiles that LatencyHead names.
std::vector<std::string> LatencyRow(std::string name, const Histogram& latency);
std::vector<std::string> LatencyHead();
// A line: CPU seconds and what they mean per GiB and per million records.
std::string ForPeople(const BrokerUse& use, const Throughput& throughput);
// What the run was done with: cores, durability, batch, in flight.
std::string Conditions(const BenchArguments& arguments, const BenchTopic& topic);
nlohmann::ordered_json ConditionsJson(const BenchArguments& arguments, const BenchTopic& topic);

// Sends `records` records to the topic over arguments.connections producers, at arguments.rate; `latency`
// gets the time from when a sampled record was due to its acknowledgement.
Result<Throughput> ProduceLoad(const Context& context, const BenchArguments& arguments,
                               const BenchTopic& topic, Histogram* latency);

int BenchProduce(Context& context, const BenchArguments& arguments);
int BenchConsume(Context& context, const BenchArguments& arguments);
int BenchLatency(Context& context, const BenchArguments& arguments);

}  // namespace headrace::cli
