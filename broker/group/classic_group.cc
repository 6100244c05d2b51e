#include "broker/group/classic_group.h"

#include <algorithm>
#include <utility>

namespace headrace::group {

ErrorCode ClassicGroup::FindMember(const std::string& member_id,
                                   const std::optional<std::string>& instance_id, Member*& member) {
  if (instance_id) {
    const auto known = static_members_.find(*instance_id);
    if (known == static_members_.end()) return ErrorCode::kUnknownMemberId;
    if (known->second != member_id) return ErrorCode::kFencedInstanceId;
  }
  const auto found = members_.find(member_id);
  if (found == members_.end()) return ErrorCode::kUnknownMemberId;
  member = &found->second;
  return ErrorCode::kNone;
}

void ClassicGroup::Sync(const SyncRequest& request, SyncCallback done, Time now, Actions& actions) {
  const auto answer = [&](ErrorCode error) {
    actions.push_back([done, error] { done({error, "", "", ""}); });
  };
  Member* member = nullptr;
  const ErrorCode found = FindMember(request.member_id, request.instance_id, member);
  if (found != ErrorCode::kNone) return answer(found);
  if (request.generation != generation_) return answer(ErrorCode::kIllegalGeneration);
  if (request.protocol_type.value_or(protocol_type_) != protocol_type_ ||
      request.protocol.value_or(protocol_) != protocol_) {
    return answer(ErrorCode::kInconsistentGroupProtocol);
  }
  if (state_ == GroupState::kEmpty) return answer(ErrorCode::kUnknownMemberId);
  if (state_ == GroupState::kPreparingRebalance) return answer(ErrorCode::kRebalanceInProgress);
  if (!HasRoomFor(request)) return answer(ErrorCode::kGroupMaxSizeReached);
  unsynced_.erase(member->id);
  member->deadline = now + member->session_timeout;
  if (member->sync) {  // asked twice: the former connection is gone
    actions.push_back(
        [old = std::move(member->sync)] { old({ErrorCode::kRebalanceInProgress, "", "", ""}); });
  }
  member->sync = std::move(done);
  if (state_ == GroupState::kCompletingRebalance) {
    if (member->id != leader_) return;
    for (auto& [id, each] : members_) SetAssignment(each, "");
    for (const auto& [id, assignment] : request.assignments) {
      if (const auto to = members_.find(id); to != members_.end()) SetAssignment(to->second, assignment);
    }
    state_ = GroupState::kStable;
  }
  for (auto& [id, each] : members_) {
    if (each.sync) each.deadline = now + each.session_timeout;
  }
  FinishSyncs(ErrorCode::kNone, actions);
}

bool ClassicGroup::HasRoomFor(const SyncRequest& request) const {
  if (state_ != GroupState::kCompletingRebalance || request.member_id != leader_) return true;
  std::size_t held = 0;
  std::size_t wanted = 0;
  for (const auto& [id, each] : members_) held += each.assignment.size();
  for (const auto& [id, assignment] : request.assignments) wanted += assignment.size();
  return wanted <= held || *memory_ + (wanted - held) <= settings_->members_memory_max;
}

void ClassicGroup::SetAssignment(Member& member, std::string assignment) {
  member.memory.Set(member.memory.size() - member.assignment.size() + assignment.size());
  member.assignment = std::move(assignment);
}

void ClassicGroup::FinishSyncs(ErrorCode error, Actions& actions) {
  for (auto& [id, member] : members_) {
    if (!member.sync) continue;
    SyncOutcome outcome{error, "", "", ""};
    if (error == ErrorCode::kNone) outcome = {error, protocol_type_, protocol_, member.assignment};
    actions.push_back([done = std::exchange(member.sync, nullptr), outcome] { done(outcome); });
  }
}

ErrorCode ClassicGroup::Heartbeat(const HeartbeatRequest& request, Time now) {
  Member* member = nullptr;
  const ErrorCode found = FindMember(request.member_id, request.instance_id, member);
  if (found != ErrorCode::kNone) return found;
  if (request.generation != generation_) return ErrorCode::kIllegalGeneration;
  member->deadline = now + member->session_timeout;
  return state_ == GroupState::kPreparingRebalance ? ErrorCode::kRebalanceInProgress : ErrorCode::kNone;
}

ErrorCode ClassicGroup::Leave(const LeavingMember& leaving, Time now, Actions& actions) {
  std::string id = leaving.member_id;
  if (id.empty() && leaving.instance_id) {
    const auto known = static_members_.find(*leaving.instance_id);
    if (known == static_members_.end()) return ErrorCode::kUnknownMemberId;
    id = known->second;
  }
  if (!leaving.instance_id && pending_.erase(id) > 0) {
    if (state_ == GroupState::kPreparingRebalance) TryCompleteJoin(now, actions);
    return ErrorCode::kNone;
  }
  Member* member = nullptr;
  const ErrorCode found = FindMember(id, leaving.instance_id, member);
  if (found != ErrorCode::kNone) return found;
  RemoveMember(id, ErrorCode::kUnknownMemberId, now, actions);
  return ErrorCode::kNone;
}

void ClassicGroup::RemoveMember(const std::string& id, ErrorCode error, Time now, Actions& actions) {
  const auto found = members_.find(id);
  if (found == members_.end()) return;
  Member& member = found->second;
  if (member.join) {
    JoinOutcome outcome;
    outcome.error = error;
    outcome.member_id = id;
    actions.push_back([done = std::move(member.join), outcome] { done(outcome); });
  }
  if (member.sync) actions.push_back([done = std::move(member.sync), error] { done({error, "", "", ""}); });
  if (member.instance_id) static_members_.erase(*member.instance_id);
  members_.erase(found);
  unsynced_.erase(id);
  if (leader_ == id) leader_ = members_.empty() ? "" : members_.begin()->first;
  if (state_ == GroupState::kPreparingRebalance) {
    TryCompleteJoin(now, actions);
  } else {
    PrepareRebalance(now, actions);
  }
}

ErrorCode ClassicGroup::CheckCommit(const CommitCheck& check, Time now) {
  if (check.generation_or_epoch < 0 && state_ == GroupState::kEmpty && check.member_id.empty()) {
    return ErrorCode::kNone;  // an administrator, or a consumer that assigns itself
  }
  if (check.generation_or_epoch < 0 && check.member_id.empty() && !check.instance_id) {
    return ErrorCode::kUnknownMemberId;
  }
  Member* member = nullptr;
  const ErrorCode found = FindMember(check.member_id, check.instance_id, member);
  if (found != ErrorCode::kNone) return found;
  if (check.generation_or_epoch != generation_) return ErrorCode::kIllegalGeneration;
  if (state_ == GroupState::kCompletingRebalance) return ErrorCode::kRebalanceInProgress;
  member->deadline = now + member->session_timeout;  // it lives
  return ErrorCode::kNone;
}

void ClassicGroup::Expire(Time now, Actions& actions) {
  const bool was_pending = !pending_.empty();
  std::erase_if(pending_, [&](const auto& each) { return each.second.deadline <= now; });
  if (was_pending && state_ == GroupState::kPreparingRebalance) TryCompleteJoin(now, actions);
  std::vector<std::string> gone;
  for (const auto& [id, member] : members_) {
    const bool waits = (member.join && !member.fresh) || member.sync;
    if (!waits && member.deadline <= now) gone.push_back(id);
  }
  for (const std::string& id : gone) RemoveMember(id, ErrorCode::kUnknownMemberId, now, actions);
  if (rebalance_deadline_ && *rebalance_deadline_ <= now) ExpireRebalance(now, actions);
}

std::optional<Time> ClassicGroup::NextDeadline() const {
  std::optional<Time> next = rebalance_deadline_;
  const auto consider = [&](Time time) { next = next ? std::min(*next, time) : time; };
  for (const auto& [id, each] : pending_) consider(each.deadline);
  for (const auto& [id, member] : members_) {
    if ((member.join && !member.fresh) || member.sync) continue;
    consider(member.deadline);
  }
  return next;
}

void ClassicGroup::RemoveMembers(ErrorCode error, Actions& actions) {
  for (auto& [id, member] : members_) {
    JoinOutcome outcome;
    outcome.error = error;
    outcome.member_id = id;
    if (member.join) actions.push_back([done = std::move(member.join), outcome] { done(outcome); });
    if (member.sync) actions.push_back([done = std::move(member.sync), error] { done({error, "", "", ""}); });
  }
  members_.clear();
  static_members_.clear();
  pending_.clear();
  ++generation_;
  BecomeEmpty();
}

GroupDescription ClassicGroup::Describe() const {
  GroupDescription description;
  description.group_id = id_;
  description.type = GroupType::kClassic;
  description.state = state_;
  description.protocol_type = protocol_type_;
  description.protocol = protocol_;
  description.epoch = description.assignment_epoch = generation_;
  for (const auto& [id, member] : members_) {
    MemberDescription each;
    each.member_id = id;
    each.instance_id = member.instance_id;
    each.client = member.client;
    each.assignment = member.assignment;
    for (const JoinProtocol& protocol : member.protocols) {
      if (protocol.name == protocol_) each.metadata = protocol.metadata;
    }
    description.members.push_back(std::move(each));
  }
  return description;
}

}  // namespace headrace::group
