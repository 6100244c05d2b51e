// OffsetCommit, OffsetFetch, OffsetDelete.
#pragma once

#include "protocol/kafka/messages/topic_entry.h"

namespace headrace::kafka {

struct OffsetCommitRequest {
  struct Partition {
    PartitionId index = 0;
    Offset offset = -1;
    LeaderEpoch leader_epoch = -1;
    std::optional<std::string> metadata;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.offset);
      if (wire.version() >= 6) wire(self.leader_epoch);
      wire(self.metadata);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition, 10>;

  std::string group_id;
  std::int32_t generation_or_epoch = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int64_t retention_time_ms = -1;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    wire(self.group_id, self.generation_or_epoch, self.member_id);
    if (wire.version() >= 7) wire(self.instance_id);
    if (wire.version() <= 4) wire(self.retention_time_ms);
    wire(self.topics);
    wire.Tags();
  }
};

struct OffsetCommitResponse {
  struct Partition {
    PartitionId index = 0;
    ErrorCode error = ErrorCode::kNone;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.error);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition, 10>;

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 3) wire(self.throttle_time_ms);
    wire(self.topics);
    wire.Tags();
  }
};

struct OffsetFetchRequest {
  using Topic = TopicEntry<PartitionId, 10>;
  struct Group {
    std::string group_id;
    std::optional<std::string> member_id;
    std::int32_t member_epoch = -1;
    std::optional<std::vector<Topic>> topics;  // null: all

    static void Fields(auto& self, auto& wire) {
      wire(self.group_id);
      if (wire.version() >= 9) wire(self.member_id, self.member_epoch);
      wire(self.topics);
      wire.Tags();
    }
  };

  Group group;                // to version 7
  std::vector<Group> groups;  // from version 8
  bool require_stable = false;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 8) {
      wire(self.groups);
    } else {
      wire(self.group.group_id, self.group.topics);
    }
    if (wire.version() >= 7) wire(self.require_stable);
    wire.Tags();
  }
};

struct OffsetFetchResponse {
  struct Partition {
    PartitionId index = 0;
    Offset offset = -1;
    LeaderEpoch leader_epoch = -1;
    std::optional<std::string> metadata;
    ErrorCode error = ErrorCode::kNone;

    static void Fields(auto& self, auto& wire) {
      wire(self.index, self.offset);
      if (wire.version() >= 5) wire(self.leader_epoch);
      wire(self.metadata, self.error);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition, 10>;
  struct Group {
    std::string group_id;
    std::vector<Topic> topics;
    ErrorCode error = ErrorCode::kNone;

    static void Fields(auto& self, auto& wire) {
      wire(self.group_id, self.topics, self.error);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  Group group;                // to version 7
  std::vector<Group> groups;  // from version 8

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 3) wire(self.throttle_time_ms);
    if (wire.version() >= 8) {
      wire(self.groups);
    } else {
      wire(self.group.topics);
      if (wire.version() >= 2) wire(self.group.error);
    }
    wire.Tags();
  }
};

struct OffsetDeleteRequest {
  struct Partition {
    PartitionId index = 0;

    static void Fields(auto& self, auto& wire) {
      wire(self.index);
      wire.Tags();
    }
  };
  using Topic = TopicEntry<Partition>;

  std::string group_id;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) { wire(self.group_id, self.topics); }
};

struct OffsetDeleteResponse {
  using Topic = TopicEntry<OffsetCommitResponse::Partition>;

  ErrorCode error = ErrorCode::kNone;
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;

  static void Fields(auto& self, auto& wire) { wire(self.error, self.throttle_time_ms, self.topics); }
};

}  // namespace headrace::kafka
