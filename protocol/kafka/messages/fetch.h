// Fetch: long-polled reads of several partitions, in sessions if the client asks (KIP-227).
#pragma once

#include "protocol/kafka/messages/topic_entry.h"

namespace headrace::kafka {

struct FetchRequest {
  struct Partition {
    PartitionId index = 0;
    LeaderEpoch current_leader_epoch = -1;
    Offset fetch_offset = 0;
    LeaderEpoch last_fetched_epoch = -1;  // followers only
    Offset log_start_offset = -1;  // followers only
    std::int32_t size_max = 0;     // bytes

    static void Fields(auto& self, auto& wire) {
      wire(self.index);
      if (wire.version() >= 9) wire(self.current_leader_epoch);
      wire(self.fetch_offset);
      if (wire.version() >= 12) wire(self.last_fetched_epoch);
      if (wire.version() >= 5) wire(self.log_start_offset);
      wire(self.size_max);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition, 13>;
  using ForgottenTopic = TopicEntry<PartitionId, 13>;

  std::int32_t replica_id = -1;
  std::int32_t wait_max_ms = 0;
  std::int32_t size_min = 0;           // bytes
  std::int32_t size_max = 0x7fffffff;  // bytes
  std::int8_t isolation_level = 0;     // 1: read committed
  std::int32_t session_id = 0;
  std::int32_t session_epoch = -1;
  std::vector<Topic> topics;
  std::vector<ForgottenTopic> forgotten_topics;
  std::string rack_id;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() <= 14) wire(self.replica_id);
    wire(self.wait_max_ms, self.size_min);
    if (wire.version() >= 3) wire(self.size_max);
    if (wire.version() >= 4) wire(self.isolation_level);
    if (wire.version() >= 7) wire(self.session_id, self.session_epoch);
    wire(self.topics);
    if (wire.version() >= 7) wire(self.forgotten_topics);
    if (wire.version() >= 11) wire(self.rack_id);
    wire.Tags();
  }
};

struct FetchResponse {
  struct AbortedTransaction {
    ProducerId producer_id = 0;
    Offset first_offset = 0;

    static void Fields(auto& self, auto& wire) {
      wire(self.producer_id, self.first_offset);
      wire.Tags();
    }
  };
  struct EpochEnd {
    LeaderEpoch epoch = -1;
    Offset end_offset = -1;

    friend bool operator==(const EpochEnd&, const EpochEnd&) = default;
    static void Fields(auto& self, auto& wire) {
      wire(self.epoch, self.end_offset);
      wire.Tags();
    }
  };
  struct Partition {
    PartitionId index = 0;
    ErrorCode error = ErrorCode::kNone;
    Offset high_watermark = -1;
    Offset last_stable_offset = -1;
    Offset log_start_offset = -1;
    EpochEnd diverging_epoch;
    std::optional<std::vector<AbortedTransaction>> aborted_transactions;
    std::int32_t preferred_read_replica = -1;
    Records records;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.error, self.high_watermark);
      if (wire.version() >= 4) wire(self.last_stable_offset);
      if (wire.version() >= 5) wire(self.log_start_offset);
      if (wire.version() >= 4) wire(self.aborted_transactions);
      if (wire.version() >= 11) wire(self.preferred_read_replica);
      wire(self.records);
      wire.Tags(Tagged{0, self.diverging_epoch});
    }
  };
  using Topic = TopicEntry<Partition, 13>;

  std::int32_t throttle_time_ms = 0;
  ErrorCode error = ErrorCode::kNone;
  std::int32_t session_id = 0;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 1) wire(self.throttle_time_ms);
    if (wire.version() >= 7) wire(self.error, self.session_id);
    wire(self.topics);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
