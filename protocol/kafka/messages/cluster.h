// ApiVersions, DescribeCluster, FindCoordinator, DescribeLogDirs and InitProducerId.
#pragma once

#include "protocol/kafka/messages/metadata.h"
#include "protocol/kafka/messages/topic_entry.h"

namespace headrace::kafka {

struct ApiVersionsRequest {
  std::string software_name;
  std::string software_version;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 3) wire(self.software_name, self.software_version);
    wire.Tags();
  }
};

struct ApiVersionsResponse {
  struct Range {
    std::int16_t key = 0;
    std::int16_t version_min = 0;
    std::int16_t version_max = 0;

    static void Fields(auto& self, auto& wire) {
      wire(self.key, self.version_min, self.version_max);
      wire.Tags();
    }
  };

  ErrorCode error = ErrorCode::kNone;
  std::vector<Range> apis;
  std::int32_t throttle_time_ms = 0;

  static void Fields(auto& self, auto& wire) {
    wire(self.error, self.apis);
    if (wire.version() >= 1) wire(self.throttle_time_ms);
    wire.Tags();
  }
};

struct DescribeClusterRequest {
  bool include_authorized_operations = false;
  std::int8_t endpoint_type = 1;  // 1: brokers, 2: controllers
  bool include_fenced_brokers = false;

  static void Fields(auto& self, auto& wire) {
    wire(self.include_authorized_operations);
    if (wire.version() >= 1) wire(self.endpoint_type);
    if (wire.version() >= 2) wire(self.include_fenced_brokers);
    wire.Tags();
  }
};

struct DescribeClusterResponse {
  struct Broker {
    std::int32_t node_id = 0;
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;
    bool is_fenced = false;

    static void Fields(auto& self, auto& wire) {
      wire(self.node_id, self.host, self.port, self.rack);
      if (wire.version() >= 2) wire(self.is_fenced);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::int8_t endpoint_type = 1;
  std::string cluster_id;
  std::int32_t controller_id = -1;
  std::vector<Broker> brokers;
  std::int32_t authorized_operations = kNoAuthorizedOperations;

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms, self.error, self.error_message);
    if (wire.version() >= 1) wire(self.endpoint_type);
    wire(self.cluster_id, self.controller_id, self.brokers, self.authorized_operations);
    wire.Tags();
  }
};

struct FindCoordinatorRequest {
  std::string key;                // to version 3
  std::int8_t key_type = 0;       // 0: a group, 1: a transactional id
  std::vector<std::string> keys;  // from version 4

  static void Fields(auto& self, auto& wire) {
    if (wire.version() <= 3) wire(self.key);
    if (wire.version() >= 1) wire(self.key_type);
    if (wire.version() >= 4) wire(self.keys);
    wire.Tags();
  }
};

struct FindCoordinatorResponse {
  // In version 4 one for each key, before that one without its key, in another order.
  struct Coordinator {
    std::string key;
    std::int32_t node_id = -1;
    std::string host;
    std::int32_t port = -1;
    ErrorCode error = ErrorCode::kNone;
    std::optional<std::string> error_message;

    static void Fields(auto& self, auto& wire) {
      wire(self.key, self.node_id, self.host, self.port, self.error, self.error_message);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  Coordinator coordinator;                // to version 3
  std::vector<Coordinator> coordinators;  // from version 4

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 1) wire(self.throttle_time_ms);
    if (wire.version() >= 4) {
      wire(self.coordinators);
    } else {
      wire(self.coordinator.error);
      if (wire.version() >= 1) wire(self.coordinator.error_message);
      wire(self.coordinator.node_id, self.coordinator.host, self.coordinator.port);
    }
    wire.Tags();
  }
};

struct DescribeLogDirsRequest {
  using Topic = TopicEntry<PartitionId>;

  std::optional<std::vector<Topic>> topics;  // null: all

  static void Fields(auto& self, auto& wire) {
    wire(self.topics);
    wire.Tags();
  }
};

struct DescribeLogDirsResponse {
  struct Partition {
    PartitionId index = 0;
    std::int64_t size = 0;  // bytes
    std::int64_t offset_lag = 0;
    bool is_future = false;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.size, self.offset_lag, self.is_future);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition>;
  struct Directory {
    ErrorCode error = ErrorCode::kNone;
    std::string path;
    std::vector<Topic> topics;
    std::int64_t total_bytes = -1;
    std::int64_t usable_bytes = -1;

    static void Fields(auto& self, auto& wire) {
      wire(self.error, self.path, self.topics);
      if (wire.version() >= 4) wire(self.total_bytes, self.usable_bytes);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error = ErrorCode::kNone;
  std::vector<Directory> directories;

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms);
    if (wire.version() >= 3) wire(self.error);
    wire(self.directories);
    wire.Tags();
  }
};

struct InitProducerIdRequest {
  std::optional<std::string> transactional_id;
  std::int32_t transaction_timeout_ms = 0;
  ProducerId producer_id = kNoProducerId;
  std::int16_t producer_epoch = -1;

  static void Fields(auto& self, auto& wire) {
    wire(self.transactional_id, self.transaction_timeout_ms);
    if (wire.version() >= 3) wire(self.producer_id, self.producer_epoch);
    wire.Tags();
  }
};

struct InitProducerIdResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error = ErrorCode::kNone;
  ProducerId producer_id = kNoProducerId;
  std::int16_t producer_epoch = -1;

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms, self.error, self.producer_id, self.producer_epoch);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
