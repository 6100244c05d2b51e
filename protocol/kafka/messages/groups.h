// The classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
#pragma once

#include "protocol/kafka/wire.h"

namespace headrace::kafka {

struct JoinGroupRequest {
  struct Protocol {
    std::string name;
    Bytes metadata;

    static void Fields(auto& self, auto& wire) {
      wire(self.name, self.metadata);
      wire.Tags();
    }
  };

  std::string group_id;
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = -1;  // before version 1 the session timeout counts
  std::string member_id;
  std::optional<std::string> instance_id;
  std::string protocol_type;
  std::vector<Protocol> protocols;
  std::optional<std::string> reason;

  static void Fields(auto& self, auto& wire) {
    wire(self.group_id, self.session_timeout_ms);
    if (wire.version() >= 1) wire(self.rebalance_timeout_ms);
    wire(self.member_id);
    if (wire.version() >= 5) wire(self.instance_id);
    wire(self.protocol_type, self.protocols);
    if (wire.version() >= 8) wire(self.reason);
    wire.Tags();
  }
};

struct JoinGroupResponse {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    Bytes metadata;

    static void Fields(auto& self, auto& wire) {
      wire(self.member_id);
      if (wire.version() >= 5) wire(self.instance_id);
      wire(self.metadata);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error = ErrorCode::kNone;
  std::int32_t generation_id = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;  // before version 7 not null
  std::string leader;
  bool skip_assignment = false;
  std::string member_id;
  std::vector<Member> members;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 2) wire(self.throttle_time_ms);
    wire(self.error, self.generation_id);
    if (wire.version() >= 7) wire(self.protocol_type);
    wire(self.protocol_name, self.leader);
    if (wire.version() >= 9) wire(self.skip_assignment);
    wire(self.member_id, self.members);
    wire.Tags();
  }
};

struct SyncGroupRequest {
  struct Assignment {
    std::string member_id;
    Bytes assignment;

    static void Fields(auto& self, auto& wire) {
      wire(self.member_id, self.assignment);
      wire.Tags();
    }
  };

  std::string group_id;
  std::int32_t generation_id = 0;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::vector<Assignment> assignments;

  static void Fields(auto& self, auto& wire) {
    wire(self.group_id, self.generation_id, self.member_id);
    if (wire.version() >= 3) wire(self.instance_id);
    if (wire.version() >= 5) wire(self.protocol_type, self.protocol_name);
    wire(self.assignments);
    wire.Tags();
  }
};

struct SyncGroupResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error = ErrorCode::kNone;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  Bytes assignment;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 1) wire(self.throttle_time_ms);
    wire(self.error);
    if (wire.version() >= 5) wire(self.protocol_type, self.protocol_name);
    wire(self.assignment);
    wire.Tags();
  }
};

struct HeartbeatRequest {
  std::string group_id;
  std::int32_t generation_id = 0;
  std::string member_id;
  std::optional<std::string> instance_id;

  static void Fields(auto& self, auto& wire) {
    wire(self.group_id, self.generation_id, self.member_id);
    if (wire.version() >= 3) wire(self.instance_id);
    wire.Tags();
  }
};

struct HeartbeatResponse {
  std::int32_t throttle_time_ms = 0;
  ErrorCode error = ErrorCode::kNone;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 1) wire(self.throttle_time_ms);
    wire(self.error);
    wire.Tags();
  }
};

struct LeaveGroupRequest {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::optional<std::string> reason;

    static void Fields(auto& self, auto& wire) {
      wire(self.member_id, self.instance_id);
      if (wire.version() >= 5) wire(self.reason);
      wire.Tags();
    }
  };

  std::string group_id;
  std::string member_id;        // to version 2
  std::vector<Member> members;  // from version 3

  static void Fields(auto& self, auto& wire) {
    wire(self.group_id);
    if (wire.version() >= 3) {
      wire(self.members);
    } else {
      wire(self.member_id);
    }
    wire.Tags();
  }
};

struct LeaveGroupResponse {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    ErrorCode error = ErrorCode::kNone;

    static void Fields(auto& self, auto& wire) {
      wire(self.member_id, self.instance_id, self.error);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error = ErrorCode::kNone;
  std::vector<Member> members;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 1) wire(self.throttle_time_ms);
    wire(self.error);
    if (wire.version() >= 3) wire(self.members);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
