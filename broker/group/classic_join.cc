// Joining a classic group, and the rebalance that answers joins.
#include <algorithm>
#include <utility>

#include "broker/group/classic_group.h"
#include "broker/group/member_bytes.h"
#include "protocol/core/status_macros.h"

namespace headrace::group {
namespace {

void Refuse(const JoinCallback& done, ErrorCode error, const std::string& member_id, Actions& actions) {
  JoinOutcome outcome;
  outcome.error = error;
  outcome.member_id = member_id;
  actions.push_back([done, outcome] { done(outcome); });
}

// Bytes that a member holds once it has joined.
std::size_t SizeOf(const JoinRequest& request) {
  std::size_t size = kMemberSize + request.client.id.size() + request.client.host.size();
  for (const JoinProtocol& each : request.protocols) {
    size += sizeof each + each.name.size() + each.metadata.size();
  }
  return size;
}

// Null: it is not among them.
const JoinProtocol* Find(const std::vector<JoinProtocol>& protocols, const std::string& name) {
  const auto found = std::find_if(protocols.begin(), protocols.end(),
                                  [&](const JoinProtocol& each) { return each.name == name; });
  return found == protocols.end() ? nullptr : &*found;
}

}  // namespace

bool ClassicGroup::Supported(const std::vector<JoinProtocol>& protocols,
                             const std::string& but_member) const {
  return std::any_of(protocols.begin(), protocols.end(), [&](const JoinProtocol& protocol) {
    return std::all_of(members_.begin(), members_.end(), [&](const auto& each) {
      return each.first == but_member || Find(each.second.protocols, protocol.name) != nullptr;
    });
  });
}

ErrorCode ClassicGroup::CheckJoin(const JoinRequest& request) const {
  if (request.session_timeout < settings_->session_timeout_min ||
      request.session_timeout > settings_->session_timeout_max) {
    return ErrorCode::kInvalidSessionTimeout;
  }
  if (request.protocols.empty() || request.protocol_type.empty())
    return ErrorCode::kInconsistentGroupProtocol;
  // Under which id it is here, or was before it started again.
  const bool replaces = request.instance_id && static_members_.contains(*request.instance_id);
  const std::string& id = replaces ? static_members_.at(*request.instance_id) : request.member_id;
  const auto found = members_.find(id);
  const Member* present = found == members_.end() ? nullptr : &found->second;
  const bool fits = present != nullptr || pending_.contains(id) ||
                    members_.size() + pending_.size() < settings_->members_max;
  if (!fits || !HasRoomFor(request, present)) return ErrorCode::kGroupMaxSizeReached;
  if (state_ == GroupState::kEmpty) return ErrorCode::kNone;
  if (request.protocol_type != protocol_type_ || !Supported(request.protocols, id)) {
    return ErrorCode::kInconsistentGroupProtocol;
  }
  return ErrorCode::kNone;
}

void ClassicGroup::Join(const JoinRequest& request, const std::string& new_id, JoinCallback done, Time now,
                        Actions& actions) {
  const ErrorCode error = CheckJoin(request);
  if (error != ErrorCode::kNone) return Refuse(done, error, request.member_id, actions);
  if (request.member_id.empty()) return JoinNew(request, new_id, std::move(done), now, actions);
  if (!request.instance_id && pending_.erase(request.member_id) > 0) {
    return AddMember(request, request.member_id, std::move(done), now, actions);
  }
  Member* member = nullptr;
  const ErrorCode found = FindMember(request.member_id, request.instance_id, member);
  if (found != ErrorCode::kNone) return Refuse(done, found, request.member_id, actions);
  JoinKnown(*member, request, std::move(done), now, actions);
}

void ClassicGroup::JoinNew(const JoinRequest& request, const std::string& new_id, JoinCallback done, Time now,
                           Actions& actions) {
  if (request.instance_id && static_members_.count(*request.instance_id) > 0) {
    return ReplaceStatic(request, new_id, std::move(done), now, actions);
  }
  if (request.member_id_required && !request.instance_id) {
    pending_.try_emplace(new_id, *memory_).first->second.deadline =
        now + std::min(request.session_timeout, settings_->pending_timeout_max);
    return Refuse(done, ErrorCode::kMemberIdRequired, new_id, actions);
  }
  AddMember(request, new_id, std::move(done), now, actions);
}

void ClassicGroup::AddMember(const JoinRequest& request, const std::string& id, JoinCallback done, Time now,
                             Actions& actions) {
  Member& member = members_.try_emplace(id, *memory_).first->second;
  member.id = id;
  member.instance_id = request.instance_id;
  if (request.instance_id) static_members_[*request.instance_id] = id;
  if (leader_.empty()) leader_ = id;
  protocol_type_ = request.protocol_type;
  if (state_ == GroupState::kPreparingRebalance && initial_) member_added_ = true;
  Store(member, request);
  AwaitJoin(member, std::move(done), now, actions);
}

void ClassicGroup::JoinKnown(Member& member, const JoinRequest& request, JoinCallback done, Time now,
                             Actions& actions) {
  const bool same = member.protocols == request.protocols;
  const bool leads = member.id == leader_;
  const bool answer_now =
      same && (state_ == GroupState::kCompletingRebalance || (state_ == GroupState::kStable && !leads));
  if (!answer_now) {
    Store(member, request);
    return AwaitJoin(member, std::move(done), now, actions);
  }
  member.deadline = now + member.session_timeout;
  actions.push_back([done = std::move(done), outcome = Answer(member)] { done(outcome); });
}

void ClassicGroup::ReplaceStatic(const JoinRequest& request, const std::string& new_id, JoinCallback done,
                                 Time now, Actions& actions) {
  const std::string old_id = static_members_.at(*request.instance_id);
  auto node = members_.extract(old_id);
  Member& moved = node.mapped();
  if (moved.join) Refuse(std::exchange(moved.join, nullptr), ErrorCode::kFencedInstanceId, old_id, actions);
  if (moved.sync) {
    actions.push_back(
        [old = std::exchange(moved.sync, nullptr)] { old({ErrorCode::kFencedInstanceId, "", "", ""}); });
  }
  node.key() = moved.id = new_id;
  Member& member = members_.insert(std::move(node)).position->second;
  static_members_[*request.instance_id] = new_id;
  if (unsynced_.erase(old_id) > 0) unsynced_.insert(new_id);
  const bool led = leader_ == old_id;
  if (led) leader_ = new_id;
  const std::set<std::string> topics = SubscribedTopics(member);
  Store(member, request);
  // A client's own bookkeeping in the bytes may differ after its restart, such as the generation it last saw.
  const bool keeps_assignment =
      state_ == GroupState::kStable && SelectProtocol() == protocol_ && SubscribedTopics(member) == topics;
  if (!keeps_assignment) return AwaitJoin(member, std::move(done), now, actions);

  member.deadline = now + member.session_timeout;
  JoinOutcome outcome = Answer(member);
  if (led && request.skip_assignment_supported) outcome.skip_assignment = true;
  if (led && !request.skip_assignment_supported) {
    outcome.leader = old_id;  // so that it does not assign, which nobody would hear of
    outcome.members.clear();
  }
  actions.push_back([done = std::move(done), outcome] { done(outcome); });
}

void ClassicGroup::Store(Member& member, const JoinRequest& request) {
  member.client = request.client;
  member.protocols = request.protocols;
  member.session_timeout = request.session_timeout;
  member.rebalance_timeout = request.rebalance_timeout;
  member.memory.Set(SizeOf(request) + member.assignment.size());
}

bool ClassicGroup::HasRoomFor(const JoinRequest& request, const Member* present) const {
  const std::size_t held = present == nullptr ? 0 : present->memory.size() - present->assignment.size();
  const std::size_t wanted = SizeOf(request);
  return wanted <= held || *memory_ + (wanted - held) <= settings_->members_memory_max;
}

std::set<std::string> ClassicGroup::SubscribedTopics(const Member& member) const {
  const JoinProtocol* chosen = Find(member.protocols, protocol_);
  const std::vector<std::string> topics = DecodeSubscription(chosen ? chosen->metadata : "");
  return {topics.begin(), topics.end()};
}

void ClassicGroup::AwaitJoin(Member& member, JoinCallback done, Time now, Actions& actions) {
  if (member.join) {  // asked twice: the former connection is gone
    Refuse(std::exchange(member.join, nullptr), ErrorCode::kRebalanceInProgress, member.id, actions);
  }
  member.join = std::move(done);
  member.deadline = now + (member.fresh ? settings_->new_member_timeout : member.session_timeout);
  if (state_ == GroupState::kPreparingRebalance) {
    TryCompleteJoin(now, actions);
  } else {
    PrepareRebalance(now, actions);
  }
}

void ClassicGroup::PrepareRebalance(Time now, Actions& actions) {
  if (state_ == GroupState::kCompletingRebalance) FinishSyncs(ErrorCode::kRebalanceInProgress, actions);
  initial_ = state_ == GroupState::kEmpty && settings_->initial_rebalance_delay.count() > 0;
  state_ = GroupState::kPreparingRebalance;
  unsynced_.clear();
  if (!initial_) {
    rebalance_deadline_ = now + RebalanceTimeout();
    return TryCompleteJoin(now, actions);
  }
  const Milliseconds delay = std::min(settings_->initial_rebalance_delay, RebalanceTimeout());
  initial_left_ = RebalanceTimeout() - delay;
  member_added_ = false;
  rebalance_deadline_ = now + delay;
}

void ClassicGroup::TryCompleteJoin(Time now, Actions& actions) {
  if (initial_ && !members_.empty()) return;
  const bool all = std::all_of(members_.begin(), members_.end(),
                               [](const auto& each) { return each.second.join != nullptr; });
  if (all && (pending_.empty() || members_.empty())) CompleteJoin(now, actions);
}

void ClassicGroup::ExpireRebalance(Time now, Actions& actions) {
  if (state_ == GroupState::kPreparingRebalance) {
    if (!initial_ || !member_added_ || initial_left_.count() <= 0) return CompleteJoin(now, actions);
    const Milliseconds delay = std::min(settings_->initial_rebalance_delay, initial_left_);
    initial_left_ -= delay;
    member_added_ = false;
    rebalance_deadline_ = now + delay;
    return;
  }
  rebalance_deadline_.reset();
  const std::set<std::string> late = std::exchange(unsynced_, {});
  for (const std::string& id : late) RemoveMember(id, ErrorCode::kUnknownMemberId, now, actions);
}

void ClassicGroup::CompleteJoin(Time now, Actions& actions) {
  initial_ = false;
  // Static members may be away for a while; their session says how long.
  for (auto each = members_.begin(); each != members_.end();) {
    const bool gone = !each->second.join && !each->second.instance_id;
    each = gone ? members_.erase(each) : std::next(each);
  }
  if (members_.empty()) {
    ++generation_;
    return BecomeEmpty();
  }
  const auto joined = std::find_if(members_.begin(), members_.end(),
                                   [](const auto& each) { return each.second.join != nullptr; });
  if (joined == members_.end()) {  // all are static and away: there is nobody to lead
    rebalance_deadline_ = now + RebalanceTimeout();
    return;
  }
  const auto leader = members_.find(leader_);
  if (leader == members_.end() || !leader->second.join) leader_ = joined->first;
  ++generation_;
  protocol_ = SelectProtocol();
  state_ = GroupState::kCompletingRebalance;
  rebalance_deadline_ = now + RebalanceTimeout();
  for (auto& [id, member] : members_) {
    unsynced_.insert(id);
    if (!member.join) continue;
    member.fresh = false;
    member.deadline = now + member.session_timeout;
    actions.push_back(
        [done = std::exchange(member.join, nullptr), outcome = Answer(member)] { done(outcome); });
  }
}

void ClassicGroup::BecomeEmpty() {
  state_ = GroupState::kEmpty;
  protocol_.clear();
  leader_.clear();
  unsynced_.clear();
  rebalance_deadline_.reset();
  initial_ = false;
}

std::string ClassicGroup::SelectProtocol() const {
  std::map<std::string, int> votes;
  for (const auto& [id, member] : members_) {
    for (const JoinProtocol& protocol : member.protocols) {
      if (!Supported({protocol}, "")) continue;
      ++votes[protocol.name];
      break;  // its first that all support
    }
  }
  HEADRACE_CHECK(!votes.empty());  // CheckJoin lets nobody in who shares none
  return std::max_element(votes.begin(), votes.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

JoinOutcome ClassicGroup::Answer(const Member& member) const {
  JoinOutcome outcome;
  outcome.generation = generation_;
  outcome.protocol_type = protocol_type_;
  outcome.protocol = protocol_;
  outcome.leader = leader_;
  outcome.member_id = member.id;
  if (member.id != leader_) return outcome;
  for (const auto& [id, each] : members_) {
    const JoinProtocol* chosen = Find(each.protocols, protocol_);
    if (chosen != nullptr) outcome.members.push_back({id, each.instance_id, chosen->metadata});
  }
  return outcome;
}

Milliseconds ClassicGroup::RebalanceTimeout() const {
  Milliseconds longest{0};
  for (const auto& [id, member] : members_) longest = std::max(longest, member.rebalance_timeout);
  return longest;
}

}  // namespace headrace::group
