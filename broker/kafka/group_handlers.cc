// What members of a group send: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, ConsumerGroupHeartbeat.
#include "absl/strings/str_cat.h"
#include "broker/group/coordinator.h"
#include "broker/kafka/handlers.h"

namespace headrace::kafka {
namespace {

constexpr std::int16_t kMemberIdRequiredSince = 4;  // of JoinGroup
constexpr std::int16_t kNullableProtocolSince = 7;  // of JoinGroup
constexpr std::int16_t kSkipAssignmentSince = 9;    // of JoinGroup
constexpr std::int16_t kRebalanceTimeoutSince = 1;  // of JoinGroup
constexpr std::int16_t kManyLeaveSince = 3;         // of LeaveGroup

group::Client ClientOf(const Request& request) {
  const std::string& peer = request.channel->peer();
  return {request.client_id, "/" + peer.substr(0, peer.rfind(':'))};
}

JoinGroupResponse ToResponse(const group::JoinOutcome& outcome, std::int16_t version) {
  JoinGroupResponse response;
  response.error = outcome.error;
  response.generation_id = outcome.generation;
  if (outcome.error == ErrorCode::kNone) response.protocol_type = outcome.protocol_type;
  if (outcome.error == ErrorCode::kNone || version < kNullableProtocolSince)
    response.protocol_name = outcome.protocol;
  response.leader = outcome.leader;
  response.skip_assignment = outcome.skip_assignment;
  response.member_id = outcome.member_id;
  for (const group::JoinedMember& member : outcome.members) {
    response.members.push_back({member.member_id, member.instance_id, {member.metadata}});
  }
  return response;
}

SyncGroupResponse ToResponse(const group::SyncOutcome& outcome) {
  SyncGroupResponse response;
  response.error = outcome.error;
  if (outcome.error == ErrorCode::kNone) {
    response.protocol_type = outcome.protocol_type;
    response.protocol_name = outcome.protocol;
  }
  response.assignment.value = outcome.assignment;
  return response;
}

std::optional<group::Partitions> ToPartitions(
    const std::optional<std::vector<ConsumerGroupHeartbeatRequest::TopicPartitions>>& topics) {
  if (!topics) return std::nullopt;
  group::Partitions partitions;
  for (const auto& topic : *topics) {
    for (const PartitionId index : topic.partitions) partitions.insert({topic.id, index});
  }
  return partitions;
}

ConsumerGroupHeartbeatResponse::Assignment ToAssignment(const group::Partitions& partitions) {
  ConsumerGroupHeartbeatResponse::Assignment assignment;
  for (const TopicPartition& partition : partitions) {  // ordered by topic
    if (assignment.topics.empty() || assignment.topics.back().id != partition.topic) {
      assignment.topics.push_back({partition.topic, {}});
    }
    assignment.topics.back().partitions.push_back(partition.partition);
  }
  return assignment;
}

}  // namespace

void HandleJoinGroup(const Request& request, JoinGroupRequest message) {
  group::JoinRequest join;
  join.group_id = std::move(message.group_id);
  join.member_id = std::move(message.member_id);
  join.instance_id = std::move(message.instance_id);
  join.client = ClientOf(request);
  join.protocol_type = std::move(message.protocol_type);
  for (JoinGroupRequest::Protocol& protocol : message.protocols) {
    join.protocols.push_back({std::move(protocol.name), std::move(protocol.metadata.value)});
  }
  join.session_timeout = group::Milliseconds(message.session_timeout_ms);
  join.rebalance_timeout = group::Milliseconds(
      request.version >= kRebalanceTimeoutSince ? message.rebalance_timeout_ms : message.session_timeout_ms);
  join.member_id_required = request.version >= kMemberIdRequiredSince;
  join.skip_assignment_supported = request.version >= kSkipAssignmentSince;
  request.services->groups->Join(join, [request](const group::JoinOutcome& outcome) {
    PostAnswer(request, ToResponse(outcome, request.version));
  });
}

void HandleSyncGroup(const Request& request, SyncGroupRequest message) {
  group::SyncRequest sync;
  sync.group_id = std::move(message.group_id);
  sync.generation = message.generation_id;
  sync.member_id = std::move(message.member_id);
  sync.instance_id = std::move(message.instance_id);
  sync.protocol_type = std::move(message.protocol_type);
  sync.protocol = std::move(message.protocol_name);
  for (SyncGroupRequest::Assignment& assignment : message.assignments) {
    sync.assignments.emplace_back(std::move(assignment.member_id), std::move(assignment.assignment.value));
  }
  request.services->groups->Sync(
      sync, [request](const group::SyncOutcome& outcome) { PostAnswer(request, ToResponse(outcome)); });
}

void HandleHeartbeat(const Request& request, HeartbeatRequest message) {
  HeartbeatResponse response;
  response.error = request.services->groups->Heartbeat(
      {message.group_id, message.generation_id, message.member_id, message.instance_id});
  Answer(request, response);
}

void HandleLeaveGroup(const Request& request, LeaveGroupRequest message) {
  const bool many = request.version >= kManyLeaveSince;
  group::LeaveRequest leave;
  leave.group_id = message.group_id;
  if (!many) leave.members.push_back({message.member_id, std::nullopt});
  for (const LeaveGroupRequest::Member& member : message.members) {
    leave.members.push_back({member.member_id, member.instance_id});
  }
  const group::LeaveOutcome outcome = request.services->groups->Leave(leave);
  LeaveGroupResponse response;
  response.error = outcome.error;
  for (std::size_t i = 0; i < outcome.members.size(); ++i) {
    const group::LeavingMember& member = leave.members[i];
    response.members.push_back({member.member_id, member.instance_id, outcome.members[i]});
  }
  // The older form has one member, and its error stands for all.
  if (!many && response.error == ErrorCode::kNone && !outcome.members.empty())
    response.error = outcome.members[0];
  Answer(request, response);
}

void HandleConsumerGroupHeartbeat(const Request& request, ConsumerGroupHeartbeatRequest message) {
  group::ConsumerHeartbeatRequest heartbeat;
  heartbeat.group_id = std::move(message.group_id);
  heartbeat.member_id = std::move(message.member_id);
  heartbeat.member_epoch = message.member_epoch;
  heartbeat.instance_id = std::move(message.instance_id);
  heartbeat.client = ClientOf(request);
  if (message.rebalance_timeout_ms >= 0) {
    heartbeat.rebalance_timeout = group::Milliseconds(message.rebalance_timeout_ms);
  }
  heartbeat.topic_names = std::move(message.subscribed_names);
  heartbeat.topic_regex = std::move(message.subscribed_regex);
  heartbeat.assignor = std::move(message.server_assignor);
  heartbeat.owned = ToPartitions(message.owned);
  const group::ConsumerHeartbeatOutcome outcome = request.services->groups->ConsumerHeartbeat(heartbeat);
  ConsumerGroupHeartbeatResponse response;
  response.error = outcome.error;
  if (!outcome.message.empty()) response.error_message = outcome.message;
  if (!outcome.member_id.empty()) response.member_id = outcome.member_id;
  response.member_epoch = outcome.member_epoch;
  response.heartbeat_interval_ms = static_cast<std::int32_t>(outcome.heartbeat_interval.count());
  if (outcome.assignment) response.assignment = ToAssignment(*outcome.assignment);
  Answer(request, response);
}

}  // namespace headrace::kafka
