// Looks at and changes topics, offsets and the broker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "headrace/client.h"
#include "headrace/groups.h"

namespace headrace {

struct TopicConfigEntry {
  std::string key;  // Kafka's names, such as "retention.ms"; and "durability"
  std::string value;
  bool is_default = false;
  bool has_effect = true;  // false: one of Kafka's keys that the broker keeps, and has no use for
};

struct PartitionInfo {
  std::uint32_t partition = 0;
  std::int64_t start_offset = 0;
  std::int64_t high_watermark = 0;  // the offset after the last record that can be read
  std::int64_t end_offset = 0;      // the offset after the last record written
  std::uint64_t size = 0;           // bytes of its segments
  std::uint32_t segments = 0;
  std::int32_t leader_epoch = 0;
  std::optional<Error> error;  // set if the partition is fenced
};

struct TopicInfo {
  std::string name;
  std::string id;  // 32 hexadecimal digits
  std::uint32_t partition_count = 0;
  std::vector<TopicConfigEntry> configs;
  std::vector<PartitionInfo> partitions;  // where asked for
};

struct CreateTopicOptions {
  std::uint32_t partitions = 0;                // 0: the broker's default
  std::map<std::string, std::string> configs;  // such as {"durability", "written"}
  bool if_not_exists = false;                  // an existing topic is described, not refused
};

struct DescribeOptions {
  bool with_partitions = true;  // offsets and sizes
  bool with_internal = false;   // topics whose name begins with "__"
};

struct OffsetAt {
  enum class Kind : std::uint8_t { kStart, kEnd, kTimestamp };
  Kind kind = Kind::kEnd;
  std::int64_t timestamp_ms = 0;  // kTimestamp: of the first record whose timestamp is at least this

  static OffsetAt Start() { return {Kind::kStart, 0}; }
  static OffsetAt End() { return {Kind::kEnd, 0}; }
  static OffsetAt Time(std::int64_t ms) { return {Kind::kTimestamp, ms}; }
};

struct PartitionOffset {
  std::uint32_t partition = 0;
  std::int64_t offset = -1;        // -1: no record that late
  std::int64_t timestamp_ms = -1;  // of that record, for kTimestamp
};

struct CommittedOffset {
  std::string topic;
  std::uint32_t partition = 0;
  std::int64_t offset = -1;  // of the next record to read; -1: nothing committed
  std::string metadata;
  std::int64_t commit_time_ms = -1;
};

// How record bytes went to sockets. Counters only rise.
struct TransferCounters {
  std::string strategy;
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_through_user = 0;
  std::uint64_t short_sends = 0;
  std::uint64_t waits = 0;
};

struct ConnectionInfo {
  std::uint64_t id = 0;
  std::string peer;
  std::string client_id;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_waiting = 0;
  std::uint32_t requests_in_flight = 0;
  double seconds_stalled = 0;
  std::vector<TransferCounters> transfers;
};

struct BrokerStats {
  std::string version;
  double uptime_seconds = 0;
  double cpu_user_seconds = 0;
  double cpu_system_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t topics = 0;
  std::uint64_t partitions = 0;
  std::uint64_t connections = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t requests = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t produced_batches = 0;
  std::uint64_t produced_records = 0;
  std::uint64_t produced_bytes = 0;
  std::uint64_t syncs = 0;
  std::uint64_t cold_reads = 0;
  std::uint64_t client_errors = 0;
  std::uint64_t open_files = 0;
  std::uint64_t fenced_partitions = 0;
  std::vector<TransferCounters> transfers;
  std::vector<ConnectionInfo> connections_list;  // where asked for
};

struct BrokerInfo {
  std::string software;
  std::string cluster_id;
  std::uint32_t protocol_version = 0;
  std::uint64_t frame_size_max = 0;
  std::uint64_t batch_size_max = 0;
};

// An administrator's connection. Each call sends one request and waits for its answer, at most
// options.request_timeout; a lost connection is an error of the call and is opened again by the next one.
// Thread rule: any thread; calls from several threads wait for each other.
class Admin {
 public:
  // Waits at most options.connect_timeout.
  static Result<Admin> Connect(const ClientOptions& options = {});
  Admin(Admin&&) noexcept;
  Admin& operator=(Admin&&) noexcept;
  ~Admin();

  BrokerInfo broker() const;

  Result<TopicInfo> CreateTopic(std::string_view topic, const CreateTopicOptions& options = {});
  Result<void> DeleteTopic(std::string_view topic);
  // Sets the given keys, an empty value returns a key to its default; `partitions` above the present number
  // adds partitions, 0 leaves it.
  Result<TopicInfo> AlterTopic(std::string_view topic, const std::map<std::string, std::string>& configs,
                               std::uint32_t partitions = 0);
  // One error, such as an unknown topic, fails the whole call. No names: all topics.
  Result<std::vector<TopicInfo>> DescribeTopics(const std::vector<std::string>& topics,
                                                const DescribeOptions& options = {});
  Result<TopicInfo> DescribeTopic(std::string_view topic, const DescribeOptions& options = {});
  // All topics, without the offsets of their partitions.
  Result<std::vector<TopicInfo>> ListTopics(bool with_internal = false);
  // Raises the start offset, which is returned; -1: to the high watermark.
  Result<std::int64_t> Trim(std::string_view topic, std::uint32_t partition, std::int64_t offset);
  // No partitions: all of the topic.
  Result<std::vector<PartitionOffset>> ListOffsets(std::string_view topic, OffsetAt at,
                                                   const std::vector<std::uint32_t>& partitions = {});

  // All that the named consumer has committed; of one topic if it is named.
  Result<std::vector<CommittedOffset>> FetchOffsets(std::string_view consumer, std::string_view topic = {});
  Result<void> CommitOffsets(std::string_view consumer, const std::vector<CommittedOffset>& offsets);

  // In the order of their names.
  Result<std::vector<GroupListing>> ListGroups();
  Result<GroupInfo> DescribeGroup(std::string_view group);
  // Forgets the group and its positions; kNonEmptyGroup while it has members.
  Result<void> DeleteGroup(std::string_view group);
  // Moves the group, live or not: its members are removed, and begin at the new positions when they have
  // joined again. One partition's error is its own; kRebalanceInProgress, retriable, while another seek runs.
  Result<GroupSeekResult> SeekGroup(std::string_view group, const GroupSeek& seek);

  Result<BrokerStats> Stats(bool with_connections = false);

 private:
  class Impl;
  explicit Admin(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace
