// The consumer group protocol with assignment by the broker (KIP-848): ConsumerGroupHeartbeat and
// ConsumerGroupDescribe.
#pragma once

#include "protocol/kafka/messages/metadata.h"

namespace headrace::kafka {

struct ConsumerGroupHeartbeatRequest {
  struct TopicPartitions {
    TopicId id;
    std::vector<PartitionId> partitions;

    static void Fields(auto& self, auto& wire) {
      wire(self.id, self.partitions);
      wire.Tags();
    }
  };

  std::string group_id;
  std::string member_id;
  std::int32_t member_epoch = 0;  // 0: join, -1: leave, -2: a static member leaves for a while
  std::optional<std::string> instance_id;
  std::optional<std::string> rack_id;
  std::int32_t rebalance_timeout_ms = -1;  // -1 and null from here on: as last time
  std::optional<std::vector<std::string>> subscribed_names;
  std::optional<std::string> subscribed_regex;
  std::optional<std::string> server_assignor;
  std::optional<std::vector<TopicPartitions>> owned;

  static void Fields(auto& self, auto& wire) {
    wire(self.group_id, self.member_id, self.member_epoch, self.instance_id, self.rack_id,
         self.rebalance_timeout_ms, self.subscribed_names);
    if (wire.version() >= 1) wire(self.subscribed_regex);
    wire(self.server_assignor, self.owned);
    wire.Tags();
  }
};

struct ConsumerGroupHeartbeatResponse {
  using TopicPartitions = ConsumerGroupHeartbeatRequest::TopicPartitions;
  struct Assignment {
    std::vector<TopicPartitions> topics;

    static void Fields(auto& self, auto& wire) {
      wire(self.topics);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error = ErrorCode::kNone;
  std::optional<std::string> error_message;
  std::optional<std::string> member_id;
  std::int32_t member_epoch = 0;
  std::int32_t heartbeat_interval_ms = 0;
  std::optional<Assignment> assignment;  // null: as last time

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms, self.error, self.error_message, self.member_id, self.member_epoch,
         self.heartbeat_interval_ms, self.assignment);
    wire.Tags();
  }
};

struct ConsumerGroupDescribeRequest {
  std::vector<std::string> group_ids;
  bool include_authorized_operations = false;

  static void Fields(auto& self, auto& wire) {
    wire(self.group_ids, self.include_authorized_operations);
    wire.Tags();
  }
};

struct ConsumerGroupDescribeResponse {
  struct TopicPartitions {
    TopicId id;
    std::string name;
    std::vector<PartitionId> partitions;

    static void Fields(auto& self, auto& wire) {
      wire(self.id, self.name, self.partitions);
      wire.Tags();
    }
  };
  struct Assignment {
    std::vector<TopicPartitions> topics;

    static void Fields(auto& self, auto& wire) {
      wire(self.topics);
      wire.Tags();
    }
  };
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::optional<std::string> rack_id;
    std::int32_t member_epoch = 0;
    std::string client_id;
    std::string client_host;
    std::vector<std::string> subscribed_names;
    std::optional<std::string> subscribed_regex;
    Assignment assignment;
    Assignment target_assignment;
    std::int8_t member_type = -1;  // -1 unknown, 0 classic, 1 consumer

    static void Fields(auto& self, auto& wire) {
      wire(self.member_id, self.instance_id, self.rack_id, self.member_epoch, self.client_id,
           self.client_host, self.subscribed_names, self.subscribed_regex, self.assignment,
           self.target_assignment);
      if (wire.version() >= 1) wire(self.member_type);
      wire.Tags();
    }
  };
  struct Group {
    ErrorCode error = ErrorCode::kNone;
    std::optional<std::string> error_message;
    std::string group_id;
    std::string state;
    std::int32_t group_epoch = 0;
    std::int32_t assignment_epoch = 0;
    std::string assignor;
    std::vector<Member> members;
    std::int32_t authorized_operations = kNoAuthorizedOperations;

    static void Fields(auto& self, auto& wire) {
      wire(self.error, self.error_message, self.group_id, self.state, self.group_epoch, self.assignment_epoch,
           self.assignor, self.members, self.authorized_operations);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Group> groups;

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms, self.groups);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
