// Consumer groups as an administrator sees them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "headrace/result.h"

namespace headrace {

struct GroupListing {
  std::string name;
  std::string type;   // "classic" or "consumer"
  std::string state;  // Kafka's names: "Empty", "Stable", "PreparingRebalance", ...
  std::uint32_t members = 0;
};

struct TopicPartitionName {
  std::string topic;
  std::uint32_t partition = 0;
};

struct GroupMemberInfo {
  std::string member_id;
  std::string instance_id;  // of a static member
  std::string client_id;
  std::string host;
  std::int32_t epoch = 0;  // of groups of type "consumer"
  std::vector<TopicPartitionName> assignment;
};

// Where a group stands in a partition that it has committed or is assigned.
struct GroupPosition {
  std::string topic;
  std::uint32_t partition = 0;
  std::int64_t offset = -1;  // of the next record to read; -1: nothing committed
  std::int64_t start_offset = -1;
  std::int64_t high_watermark = -1;
  std::int64_t lag = 0;              // records up to the high watermark
  std::int64_t lag_ms = 0;           // age of the first of them, by its timestamp
  std::int64_t commit_time_ms = -1;  // -1: never
  std::string metadata;
  std::string member_id;       // who reads it; empty: nobody
  std::optional<Error> error;  // such as a partition that is no more
};

struct GroupInfo {
  GroupListing summary;
  std::string assignor;
  std::int32_t epoch = 0;  // of type "classic": the generation
  std::vector<GroupMemberInfo> members;
  std::vector<GroupPosition> positions;  // in the order of topics and partitions
};

struct GroupSeek {
  enum class Target : std::uint8_t { kEarliest, kLatest, kOffset, kTimestamp, kUndo };
  Target target = Target::kEarliest;
  // kOffset: the offset, brought into each partition's valid range. kTimestamp: of the first record whose
  // timestamp is at least this, in ms; the end if there is none.
  std::int64_t value = 0;
  std::vector<std::string> topics;  // empty: all that the group has committed, is assigned or subscribes to
  std::vector<std::uint32_t> partitions;  // of the one topic named; empty: all
  bool dry_run = false;                   // says what would be done, and does nothing
};

struct GroupMove {
  std::string topic;
  std::uint32_t partition = 0;
  std::int64_t previous_offset = -1;  // -1: nothing was committed
  std::int64_t offset = -1;           // -1: forgotten
  std::optional<Error> error;         // this one was not moved
};

struct GroupSeekResult {
  std::vector<GroupMove> moves;
  std::uint32_t members_removed = 0;
};

}  // namespace headrace
