// DescribeGroups, ListGroups, DeleteGroups.
#pragma once

#include "protocol/kafka/messages/metadata.h"

namespace headrace::kafka {

struct DescribeGroupsRequest {
  std::vector<std::string> groups;
  bool include_authorized_operations = false;

  static void Fields(auto& self, auto& wire) {
    wire(self.groups);
    if (wire.version() >= 3) wire(self.include_authorized_operations);
    wire.Tags();
  }
};

struct DescribeGroupsResponse {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string client_host;
    Bytes metadata;
    Bytes assignment;

    static void Fields(auto& self, auto& wire) {
      wire(self.member_id);
      if (wire.version() >= 4) wire(self.instance_id);
      wire(self.client_id, self.client_host, self.metadata, self.assignment);
      wire.Tags();
    }
  };
  struct Group {
    ErrorCode error = ErrorCode::kNone;
    std::optional<std::string> error_message;
    std::string group_id;
    std::string state;
    std::string protocol_type;
    std::string protocol;
    std::vector<Member> members;
    std::int32_t authorized_operations = kNoAuthorizedOperations;

    static void Fields(auto& self, auto& wire) {
      wire(self.error);
      if (wire.version() >= 6) wire(self.error_message);
      wire(self.group_id, self.state, self.protocol_type, self.protocol, self.members);
      if (wire.version() >= 3) wire(self.authorized_operations);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Group> groups;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 1) wire(self.throttle_time_ms);
    wire(self.groups);
    wire.Tags();
  }
};

struct ListGroupsRequest {
  std::vector<std::string> states;  // none: all
  std::vector<std::string> types;   // none: all

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 4) wire(self.states);
    if (wire.version() >= 5) wire(self.types);
    wire.Tags();
  }
};

struct ListGroupsResponse {
  struct Group {
    std::string group_id;
    std::string protocol_type;
    std::string state;
    std::string type;  // "classic" or "consumer"

    static void Fields(auto& self, auto& wire) {
      wire(self.group_id, self.protocol_type);
      if (wire.version() >= 4) wire(self.state);
      if (wire.version() >= 5) wire(self.type);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error = ErrorCode::kNone;
  std::vector<Group> groups;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= 1) wire(self.throttle_time_ms);
    wire(self.error, self.groups);
    wire.Tags();
  }
};

struct DeleteGroupsRequest {
  std::vector<std::string> groups;

  static void Fields(auto& self, auto& wire) {
    wire(self.groups);
    wire.Tags();
  }
};

struct DeleteGroupsResponse {
  struct Result {
    std::string group_id;
    ErrorCode error = ErrorCode::kNone;

    static void Fields(auto& self, auto& wire) {
      wire(self.group_id, self.error);
      wire.Tags();
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Result> results;

  static void Fields(auto& self, auto& wire) {
    wire(self.throttle_time_ms, self.results);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
