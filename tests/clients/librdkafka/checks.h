// What the checks of librdkafka share: the records to write, the connection's settings, and how a check
// fails. One program, one thread of its own; librdkafka calls nothing here.
#pragma once

#include <librdkafka/rdkafkacpp.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace checks {

struct Record {
  std::int64_t timestamp_ms = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;

  bool operator==(const Record&) const = default;
};

// What a check reports when it cannot be made here.
struct Skipped : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The arguments of the program.
struct Context {
  std::string broker;
  std::vector<Record> records;
  std::string prefix;
};

using Settings = std::vector<std::pair<std::string, std::string>>;

std::vector<Record> ReadRecords(const std::string& path);

// Throws with `what` unless `holds`; the text names what was got.
void Expect(bool holds, const std::string& what);

// Calls `step` until it returns true; throws with `what` after so many seconds.
void Until(const std::string& what, const std::function<bool()>& step, int seconds = 20);

std::unique_ptr<RdKafka::Conf> MakeConf(const Context& context, const Settings& settings);
std::unique_ptr<RdKafka::Producer> MakeProducer(const Context& context, const Settings& settings);
std::unique_ptr<RdKafka::KafkaConsumer> MakeConsumer(const Context& context, const Settings& settings);

// Appends one record to a partition; throws what librdkafka refuses. Flush throws what the broker refused.
void Produce(RdKafka::Producer& producer, const std::string& topic, int partition, const Record& record);
void Flush(RdKafka::Producer& producer);

// Reads `count` records of a partition from `offset` on.
std::vector<Record> Read(const Context& context, const std::string& topic, int partition, std::int64_t offset,
                         std::size_t count);

// librdkafka's administration (admin.cc).
void CreateTopic(const Context& context, const std::string& topic, int partitions);
void CheckTopics(const Context& context);
void CheckConfigs(const Context& context);
void CheckDeleteRecords(const Context& context);
void CheckOffsetsAdmin(const Context& context);
void CheckGroupsAdmin(const Context& context);

}  // namespace checks
