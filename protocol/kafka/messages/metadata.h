// Metadata: brokers and topics; DescribeTopicPartitions: topics in pages.
#pragma once

#include "protocol/kafka/wire.h"

namespace headrace::kafka {

// What "authorized operations" says where they were not asked for, or nobody restricts them.
inline constexpr std::int32_t kNoAuthorizedOperations = -2147483647 - 1;

struct MetadataRequest {
  struct Topic {
    TopicId id;
    std::optional<std::string> name;

    static void Fields(auto& self, auto& wire) {
      if (wire.version() >= 10) wire(self.id);
      wire(self.name);
      wire.Tags();
    }
  };

  std::optional<std::vector<Topic>> topics;  // null: all; in version 0 an empty array means all
  bool allow_auto_topic_creation = true;
  bool include_cluster_authorized_operations = false;
  bool include_topic_authorized_operations = false;

  static void Fields(auto& self, auto& wire) {
    wire(self.topics);
    if (wire.version() >= 4) wire(self.allow_auto_topic_creation);
    if (wire.version() >= 8 && wire.version() <= 10) wire(self.include_cluster_authorized_operations);
    if (wire.version() >= 8) wire(self.include_topic_authorized_operations);
    wire.Tags();
  }
};

struct MetadataResponse {
  struct Broker {
    std::int32_t node_id = 0;
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;

    static void Fields(auto& self, auto& wire) {
      wire(self.node_id, self.host, self.port);
      if (wire.version() >= 1) wire(self.rack);
      wire.Tags();
    }
  };
  struct Partition {
    ErrorCode error = ErrorCode::kNone;
    PartitionId index = 0;
    std::int32_t leader_id = 0;
    LeaderEpoch leader_epoch = -1;
    std::vector<std::int32_t> replica_nodes;
    std::vector<std::int32_t> isr_nodes;
    std::vector<std::int32_t> offline_replicas;

    static void Fields(auto& self, auto& wire) {
      wire(self.error, self.index, self.leader_id);
      if (wire.version() >= 7) wire(self.leader_epoch);
      wire(self.replica_nodes, self.isr_nodes);
      if (wire.version() >= 5) wire(self.offline_replicas);
      wire.Tags();
    }
  };
  struct Topic {
    ErrorCode error = ErrorCode::kNone;
    std::optional<std::string> name;  // null only from version 12, for an id that is unknown
    TopicId id;
    bool is_internal = false;
    std::vector<Partition> partitions;
    std::int32_t authorized_operations = kNoAuthorizedOperations;

    static void Fields(auto& self, auto& wire) {
      wire(self.error, self.name);
      if (wire.version() >= 10) wire(self.id);
      if (wire.version() >= 1) wire(self.is_internal);
      wire(self.partitions);
      if (wire.version() >= 8) wire(self.authorized_operations);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Broker> brokers;
  std::optional<std::string> cluster_id;
  std::int32_t controller_id = -1;
  std::vector<Topic> topics;
  std::int32_t cluster_authorized_operations = kNoAuthorizedOperations;
  ErrorCode error = ErrorCode::kNone;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 3) wire(self.throttle_time_ms);
    wire(self.brokers);
    if (wire.version() >= 2) wire(self.cluster_id);
    if (wire.version() >= 1) wire(self.controller_id);
    wire(self.topics);
    if (wire.version() >= 8 && wire.version() <= 10) wire(self.cluster_authorized_operations);
    if (wire.version() >= 13) wire(self.error);
    wire.Tags();
  }
};

// Where a page ended, and the next one begins.
struct TopicPartitionCursor {
  std::string topic;
  PartitionId partition = 0;

  static void Fields(auto& self, auto& wire) {
    wire(self.topic, self.partition);
    wire.Tags();
  }
};

struct DescribeTopicPartitionsRequest {
  struct Topic {
    std::string name;

    static void Fields(auto& self, auto& wire) {
      wire(self.name);
      wire.Tags();
    }
  };

  std::vector<Topic> topics;  // none: all
  std::int32_t partitions_max = 2000;
  std::optional<TopicPartitionCursor> cursor;

  static void Fields(auto& self, auto& wire) {
    wire(self.topics, self.partitions_max, self.cursor);
    wire.Tags();
  }
};

struct DescribeTopicPartitionsResponse {
  struct Partition {
    ErrorCode error = ErrorCode::kNone;
    PartitionId index = 0;
    std::int32_t leader_id = 0;
    LeaderEpoch leader_epoch = -1;
    std::vector<std::int32_t> replica_nodes;
    std::vector<std::int32_t> isr_nodes;
    // Nullable by the protocol, but Kafka's own client takes null for an error of its own.
    std::optional<std::vector<std::int32_t>> eligible_leader_replicas{std::in_place};
    std::optional<std::vector<std::int32_t>> last_known_eligible{std::in_place};
    std::vector<std::int32_t> offline_replicas;

    static void Fields(auto& self, auto& wire) {
      wire(self.error, self.index, self.leader_id, self.leader_epoch, self.replica_nodes, self.isr_nodes,
           self.eligible_leader_replicas, self.last_known_eligible, self.offline_replicas);
      wire.Tags();
    }
  };
  struct Topic {
    ErrorCode error = ErrorCode::kNone;
    std::optional<std::string> name;
    TopicId id;
    bool is_internal = false;
    std::vector<Partition> partitions;
    std::int32_t authorized_operations = kNoAuthorizedOperations;

    static void Fields(auto& self, auto& wire) {
      wire(self.error, self.name, self.id, self.is_internal, self.partitions, self.authorized_operations);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  std::optional<TopicPartitionCursor> next_cursor;

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms, self.topics, self.next_cursor);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
