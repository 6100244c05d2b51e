// CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords.
#pragma once

#include "protocol/kafka/messages/topic_entry.h"

namespace headrace::kafka {

struct CreateTopicsRequest {
  struct Assignment {
    PartitionId index = 0;
    std::vector<std::int32_t> broker_ids;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.broker_ids);
      wire.Tags();
    }
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.value);
      wire.Tags();
    }
  };
  struct Topic {
    std::string name;
    std::int32_t partitions = -1;          // -1: the broker's default
    std::int16_t replication_factor = -1;  // -1: the broker's default
    std::vector<Assignment> assignments;
    std::vector<Config> configs;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.partitions, self.replication_factor, self.assignments, self.configs);
      wire.Tags();
    }
  };

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 60'000;
  bool validate_only = false;

  static void Fields(auto& self, auto& wire) {
    wire(self.topics, self.timeout_ms);
    if (wire.version() >= 1) wire(self.validate_only);
    wire.Tags();
  }
};

struct CreateTopicsResponse {
  struct Config {
    std::string name;
    std::optional<std::string> value;
    bool read_only = false;
    std::int8_t source = -1;
    bool is_sensitive = false;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.value, self.read_only, self.source, self.is_sensitive);
      wire.Tags();
    }
  };
  struct Topic {
    std::string name;
    TopicId id;
    ErrorCode error = ErrorCode::kNone;
    std::optional<std::string> error_message;
    std::int32_t partitions = -1;
    std::int16_t replication_factor = -1;
    std::optional<std::vector<Config>> configs;

    static void Fields(auto& self, auto& wire) {
      wire(self.name);
      if (wire.version() >= 7) wire(self.id);
      wire(self.error);
      if (wire.version() >= 1) wire(self.error_message);
      if (wire.version() >= 5) wire(self.partitions, self.replication_factor, self.configs);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 2) wire(self.throttle_time_ms);
    wire(self.topics);
    wire.Tags();
  }
};

struct DeleteTopicsRequest {
  struct Topic {
    std::optional<std::string> name;  // null: by id
    TopicId id;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.id);
      wire.Tags();
    }
  };

  std::vector<Topic> topics;       // from version 6
  std::vector<std::string> names;  // to version 5
  std::int32_t timeout_ms = 0;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 6) {
      wire(self.topics);
    } else {
      wire(self.names);
    }
    wire(self.timeout_ms);
    wire.Tags();
  }
};

struct DeleteTopicsResponse {
  struct Topic {
    std::optional<std::string> name;
    TopicId id;
    ErrorCode error = ErrorCode::kNone;
    std::optional<std::string> error_message;

    static void Fields(auto& self, auto& wire) {
      wire(self.name);
      if (wire.version() >= 6) wire(self.id);
      wire(self.error);
      if (wire.version() >= 5) wire(self.error_message);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 1) wire(self.throttle_time_ms);
    wire(self.topics);
    wire.Tags();
  }
};

struct CreatePartitionsRequest {
  struct Assignment {
    std::vector<std::int32_t> broker_ids;

    static void Fields(auto& self, auto& wire) {
      wire(self.broker_ids);
      wire.Tags();
    }
  };
  struct Topic {
    std::string name;
    std::int32_t count = 0;  // of all partitions afterwards
    std::optional<std::vector<Assignment>> assignments;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.count, self.assignments);
      wire.Tags();
    }
  };

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;
  bool validate_only = false;

  static void Fields(auto& self, auto& wire) {
    wire(self.topics, self.timeout_ms, self.validate_only);
    wire.Tags();
  }
};

struct CreatePartitionsResponse {
  struct Topic {
    std::string name;
    ErrorCode error = ErrorCode::kNone;
    std::optional<std::string> error_message;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.error, self.error_message);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms, self.topics);
    wire.Tags();
  }
};

struct DeleteRecordsRequest {
  struct Partition {
    PartitionId index = 0;
    Offset offset = 0;  // the new start; -1: the high watermark

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.offset);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition>;

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;

  static void Fields(auto& self, auto& wire) {
    wire(self.topics, self.timeout_ms);
    wire.Tags();
  }
};

struct DeleteRecordsResponse {
  struct Partition {
    PartitionId index = 0;
    Offset low_watermark = -1;
    ErrorCode error = ErrorCode::kNone;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.low_watermark, self.error);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition>;

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms, self.topics);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
