// ListOffsets: offsets by time, and the ends of a log; OffsetForLeaderEpoch: where an epoch ends.
#pragma once

#include "protocol/kafka/messages/topic_entry.h"

namespace headrace::kafka {

// Timestamps that mean something else.
inline constexpr TimestampMs kLatestTimestamp = -1;
inline constexpr TimestampMs kEarliestTimestamp = -2;
inline constexpr TimestampMs kMaxTimestamp = -3;  // the record with the largest timestamp
inline constexpr TimestampMs kEarliestLocalTimestamp = -4;
inline constexpr TimestampMs kLatestTieredTimestamp = -5;

struct ListOffsetsRequest {
  struct Partition {
    PartitionId index = 0;
    LeaderEpoch current_leader_epoch = -1;
    TimestampMs timestamp = 0;

    static void Fields(auto& self, auto& wire) {
      wire(self.index);
      if (wire.version() >= 4) wire(self.current_leader_epoch);
      wire(self.timestamp);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition>;

  std::int32_t replica_id = -1;
  std::int8_t isolation_level = 0;
  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;

  static void Fields(auto& self, auto& wire) {
    wire(self.replica_id);
    if (wire.version() >= 2) wire(self.isolation_level);
    wire(self.topics);
    if (wire.version() >= 10) wire(self.timeout_ms);
    wire.Tags();
  }
};

struct ListOffsetsResponse {
  struct Partition {
    PartitionId index = 0;
    ErrorCode error = ErrorCode::kNone;
    TimestampMs timestamp = -1;
    Offset offset = -1;
    LeaderEpoch leader_epoch = -1;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.error, self.timestamp, self.offset);
      if (wire.version() >= 4) wire(self.leader_epoch);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition>;

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 2) wire(self.throttle_time_ms);
    wire(self.topics);
    wire.Tags();
  }
};

struct OffsetForLeaderEpochRequest {
  struct Partition {
    PartitionId index = 0;
    LeaderEpoch current_leader_epoch = -1;
    LeaderEpoch leader_epoch = 0;

    static void Fields(auto& self, auto& wire) {
      wire(self.index);
      if (wire.version() >= 2) wire(self.current_leader_epoch);
      wire(self.leader_epoch);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition>;

  std::int32_t replica_id = -2;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 3) wire(self.replica_id);
    wire(self.topics);
    wire.Tags();
  }
};

struct OffsetForLeaderEpochResponse {
  struct Partition {
    ErrorCode error = ErrorCode::kNone;
    PartitionId index = 0;
    LeaderEpoch leader_epoch = -1;
    Offset end_offset = -1;

    static void Fields(auto& self, auto& wire) {
      wire(self.error, self.index);
      if (wire.version() >= 1) wire(self.leader_epoch);
      wire(self.end_offset);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition>;

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 2) wire(self.throttle_time_ms);
    wire(self.topics);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
