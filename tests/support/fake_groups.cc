#include "tests/support/fake_groups.h"

#include <cstring>

#include "protocol/core/error_code.h"

namespace headrace::test {
namespace {

TopicId OrdersId() {
  TopicId id;
  std::memcpy(id.bytes.data(), kOrdersId.data(), id.bytes.size());
  return id;
}

}  // namespace

group::TopicInfo OrdersOf(std::uint32_t partitions) {
  return {OrdersId(), "orders", static_cast<std::int32_t>(partitions)};
}

absl::StatusOr<native::GroupHeartbeatResponse> PutHeartbeat(group::Coordinator& coordinator,
                                                            const native::GroupHeartbeatRequest& request) {
  group::ConsumerHeartbeatRequest heartbeat;
  heartbeat.group_id = request.group();
  heartbeat.member_id = request.member_id();
  heartbeat.member_epoch = request.member_epoch();
  if (!request.instance_id().empty()) heartbeat.instance_id = request.instance_id();
  if (request.rebalance_timeout_ms() > 0) {
    heartbeat.rebalance_timeout = std::chrono::milliseconds(request.rebalance_timeout_ms());
  }
  if (!request.assignor().empty()) heartbeat.assignor = request.assignor();
  if (request.has_subscription()) {
    const auto& topics = request.subscription().topics();
    heartbeat.topic_names = std::vector<std::string>(topics.begin(), topics.end());
  }
  if (request.has_owned()) heartbeat.owned.emplace();
  for (const auto& entry : request.owned().partitions()) {
    heartbeat.owned->insert({OrdersId(), static_cast<PartitionId>(entry.partition())});
  }
  const group::ConsumerHeartbeatOutcome outcome = coordinator.ConsumerHeartbeat(heartbeat);
  if (outcome.error != ErrorCode::kNone) return MakeError(outcome.error, outcome.message);
  native::GroupHeartbeatResponse response;
  response.set_member_id(outcome.member_id);
  response.set_member_epoch(outcome.member_epoch);
  response.set_heartbeat_interval_ms(static_cast<std::uint32_t>(outcome.heartbeat_interval.count()));
  if (!outcome.assignment) return response;
  auto& assignment = *response.mutable_assignment();
  for (const TopicPartition& each : *outcome.assignment) {
    auto& entry = *assignment.add_partitions();
    entry.set_topic_id(std::string(kOrdersId));
    entry.set_partition(static_cast<std::uint32_t>(each.partition));
  }
  return response;
}

ErrorCode PutCommitCheck(group::Coordinator& coordinator, const native::CommitOffsetRequest& request) {
  group::CommitCheck check;
  check.group_id = request.consumer();
  check.member_id = request.member_id();
  check.generation_or_epoch = request.member_id().empty() ? -1 : request.member_epoch();
  return coordinator.Commit(check, [] {});
}

FakeGroups::FakeGroups(std::uint32_t partitions) : partitions_(partitions) {
  settings_.consumer_heartbeat_interval = std::chrono::milliseconds(20);
  Forget();
}

void FakeGroups::Forget() {
  core::MutexLock lock(mutex_);
  coordinator_ = std::make_shared<group::Coordinator>(settings_, clock_, [partitions = partitions_] {
    return std::vector<group::TopicInfo>{OrdersOf(partitions)};
  });
  coordinator_->Start();
}

void FakeGroups::SetSessionTimeout(std::chrono::milliseconds timeout) {
  {
    core::MutexLock lock(mutex_);
    settings_.consumer_session_timeout = timeout;
  }
  Forget();
}

std::shared_ptr<group::Coordinator> FakeGroups::coordinator() const {
  core::MutexLock lock(mutex_);
  return coordinator_;
}

absl::StatusOr<native::GroupHeartbeatResponse> FakeGroups::Heartbeat(
    const native::GroupHeartbeatRequest& request) {
  return PutHeartbeat(*coordinator(), request);
}

ErrorCode FakeGroups::CheckCommit(const native::CommitOffsetRequest& request) {
  return PutCommitCheck(*coordinator(), request);
}

void FakeGroups::RemoveMembers(const std::string& group) {
  coordinator()->RemoveMembers(group);
}

std::size_t FakeGroups::members(const std::string& group) const {
  const auto described = coordinator()->Describe(group);
  return described ? described->members.size() : 0;
}

bool FakeGroups::IsStable(const std::string& group) const {
  const auto described = coordinator()->Describe(group);
  return described && described->state == group::GroupState::kStable;
}

}  // namespace headrace::test
