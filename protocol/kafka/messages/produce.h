// Produce: record batches for several partitions.
#pragma once

#include "protocol/kafka/messages/topic_entry.h"

namespace headrace::kafka {

struct ProduceRequest {
  struct Partition {
    PartitionId index = 0;
    Records records;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.records);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition, 13>;

  std::optional<std::string> transactional_id;
  std::int16_t acks = 0;  // 0: no response at all; 1 and -1 are alike on one broker
  std::int32_t timeout_ms = 0;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 3) wire(self.transactional_id);
    wire(self.acks, self.timeout_ms, self.topics);
    wire.Tags();
  }
};

struct ProduceResponse {
  struct RecordError {
    std::int32_t index = 0;
    std::optional<std::string> message;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.message);
      wire.Tags();
    }
  };
  struct Partition {
    PartitionId index = 0;
    ErrorCode error = ErrorCode::kNone;
    Offset base_offset = -1;
    TimestampMs log_append_time = -1;
    Offset log_start_offset = -1;
    std::vector<RecordError> record_errors;
    std::optional<std::string> error_message;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.error, self.base_offset);
      if (wire.version() >= 2) wire(self.log_append_time);
      if (wire.version() >= 5) wire(self.log_start_offset);
      if (wire.version() >= 8) wire(self.record_errors, self.error_message);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition, 13>;

  std::vector<Topic> topics;
  std::int32_t throttle_time_ms = 0;

  static void Fields(auto& self, auto& wire) {
    wire(self.topics);
    if (wire.version() >= 1) wire(self.throttle_time_ms);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
