#include "broker/group/consumer_group.h"

#include <re2/re2.h>

#include <algorithm>
#include <utility>

namespace headrace::group {
namespace {

constexpr std::size_t kRegexSizeMax = 1024;        // bytes
constexpr std::size_t kEntrySize = 64;             // bytes of a set's entry
constexpr std::size_t kAssignedSize = 320;         // bytes of a partition: targeted, assigned, owned
constexpr std::int64_t kRegexMemoryMax = 1 << 20;  // bytes of the compiled program

RE2::Options RegexOptions() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexMemoryMax);
  return options;
}

bool IsInternal(const std::string& topic) {
  return topic.rfind("__", 0) == 0;
}

ConsumerHeartbeatOutcome Refusal(ErrorCode error, std::string message) {
  ConsumerHeartbeatOutcome outcome;
  outcome.error = error;
  outcome.message = std::move(message);
  return outcome;
}

template <typename Names>
std::size_t SizeOf(const Names& names) {
  std::size_t size = 0;
  for (const std::string& each : names) size += kEntrySize + each.size();
  return size;
}

bool Contains(const Partitions& all, const Partitions& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

}  // namespace

ErrorCode ConsumerGroup::CheckRequest(const ConsumerHeartbeatRequest& request, std::string& message) const {
  const auto refuse = [&](ErrorCode error, std::string text) {
    message = std::move(text);
    return error;
  };
  if (request.member_epoch == kJoinEpoch) {
    if (!request.rebalance_timeout || request.rebalance_timeout->count() <= 0) {
      return refuse(ErrorCode::kInvalidRequest,
                    "the first heartbeat must tell a rebalance timeout above 0 ms");
    }
    if (!request.owned || !request.owned->empty()) {
      return refuse(ErrorCode::kInvalidRequest, "the first heartbeat must tell that it owns no partition");
    }
    if (!request.topic_names && !request.topic_regex) {
      return refuse(ErrorCode::kInvalidRequest, "the first heartbeat must tell topic names or a regex");
    }
  }
  if (request.assignor && *request.assignor != kUniform && *request.assignor != kRange) {
    return refuse(ErrorCode::kUnsupportedAssignor,
                  "assignor \"" + *request.assignor + "\" is unknown; there are uniform and range");
  }
  if (request.topic_regex && !request.topic_regex->empty()) {
    const std::string& text = *request.topic_regex;
    const bool fits = text.size() <= kRegexSizeMax;
    const RE2 regex(fits ? text : "", RegexOptions());
    if (!fits || !regex.ok()) {
      return refuse(ErrorCode::kInvalidRegularExpression,
                    fits ? "regex \"" + text + "\": " + regex.error()
                         : "regex of " + std::to_string(text.size()) + " bytes; at most 1024");
    }
  }
  return ErrorCode::kNone;
}

ErrorCode ConsumerGroup::JoinStatic(const ConsumerHeartbeatRequest& request, Member*& member) {
  const auto known = static_members_.find(*request.instance_id);
  if (known == static_members_.end() || known->second == request.member_id) return ErrorCode::kNone;
  if (members_.at(known->second).epoch != kStaticLeaveEpoch) return ErrorCode::kUnreleasedInstanceId;
  // The one that left for a while is back under another id: everything of its passes on, nobody rebalances.
  const std::string old_id = std::exchange(known->second, request.member_id);
  auto node = members_.extract(old_id);
  node.key() = node.mapped().id = request.member_id;
  member = &members_.insert(std::move(node)).position->second;
  if (auto target = target_.extract(old_id)) {
    target.key() = request.member_id;
    target_.insert(std::move(target));
  }
  for (auto& [partition, owner] : owners_) {
    if (owner == old_id) owner = request.member_id;
  }
  member->epoch = member->previous_epoch = kJoinEpoch;
  return ErrorCode::kNone;
}

std::size_t ConsumerGroup::GrowthBy(const ConsumerHeartbeatRequest& request) const {
  const bool replaces = request.instance_id && static_members_.contains(*request.instance_id);
  const auto known = members_.find(replaces ? static_members_.at(*request.instance_id) : request.member_id);
  const bool fresh = known == members_.end();
  std::size_t growth = fresh ? kMemberSize + request.client.id.size() + request.client.host.size() : 0;
  if (request.topic_names) {
    const std::set<std::string> names(request.topic_names->begin(), request.topic_names->end());
    if (fresh || names != known->second.subscription->names) growth += SizeOf(names);
  }
  return growth;
}

ErrorCode ConsumerGroup::FindOrAdd(const ConsumerHeartbeatRequest& request, Member*& member) {
  if (request.member_epoch == kJoinEpoch && request.instance_id) {
    const ErrorCode error = JoinStatic(request, member);
    if (error != ErrorCode::kNone || member != nullptr) return error;
  }
  if (request.member_epoch != kJoinEpoch && request.instance_id) {
    const auto known = static_members_.find(*request.instance_id);
    if (known == static_members_.end()) return ErrorCode::kUnknownMemberId;
    if (known->second != request.member_id) return ErrorCode::kFencedInstanceId;
  }
  const auto found = members_.find(request.member_id);
  if (found != members_.end()) {
    member = &found->second;
    if (request.member_epoch <= 0 || request.member_epoch == member->epoch) return ErrorCode::kNone;
    // The answer that told it the new epoch may have been lost.
    const bool lost = request.member_epoch == member->previous_epoch &&
                      Contains(member->assigned, request.owned.value_or(member->assigned));
    return lost ? ErrorCode::kNone : ErrorCode::kFencedMemberEpoch;
  }
  if (request.member_epoch != kJoinEpoch) return ErrorCode::kUnknownMemberId;
  if (members_.size() >= settings_->members_max) return ErrorCode::kGroupMaxSizeReached;
  member = &members_.try_emplace(request.member_id, *memory_).first->second;
  member->id = request.member_id;
  member->instance_id = request.instance_id;
  if (request.instance_id) static_members_[*request.instance_id] = request.member_id;
  ++epoch_;
  return ErrorCode::kNone;
}

ConsumerHeartbeatOutcome ConsumerGroup::Heartbeat(const ConsumerHeartbeatRequest& request,
                                                  const TopicTablePtr& topics, Time now) {
  if (request.member_epoch < kStaticLeaveEpoch) {
    return Refusal(ErrorCode::kInvalidRequest, "a member epoch is -2 or more");
  }
  if (request.member_epoch < 0) return Leave(request, now);
  std::string message;
  ErrorCode error = CheckRequest(request, message);
  if (error != ErrorCode::kNone) return Refusal(error, message);
  const std::size_t growth = GrowthBy(request);
  if (growth > 0 && *memory_ + growth > settings_->members_memory_max) {
    return Refusal(ErrorCode::kGroupMaxSizeReached,
                   "the members of all groups hold " + std::to_string(*memory_) +
                       " bytes, and this one adds " + std::to_string(growth) + "; the limit is " +
                       std::to_string(settings_->members_memory_max) +
                       ": let others leave, or subscribe to fewer names");
  }
  UpdateTopics(topics);
  const std::int32_t epoch_before = epoch_;
  Member* member = nullptr;
  error = FindOrAdd(request, member);
  if (error == ErrorCode::kGroupMaxSizeReached) {
    return Refusal(error, "group " + id_ + " has " + std::to_string(members_.size()) +
                              " members, and no more may be: let others leave, or use another group");
  }
  if (error != ErrorCode::kNone) return Refusal(error, "member " + request.member_id + " of group " + id_);
  member->client = request.client;
  member->memory.Set(kMemberSize + request.client.id.size() + request.client.host.size());
  member->deadline = now + settings_->consumer_session_timeout;
  if (Update(*member, request) && epoch_ == epoch_before) ++epoch_;  // one step, however much is new
  Assign();

  const Partitions before = member->assigned;
  Reconcile(*member, request.owned, now);
  ConsumerHeartbeatOutcome outcome;
  outcome.member_id = member->id;
  outcome.member_epoch = member->epoch;
  outcome.heartbeat_interval = settings_->consumer_heartbeat_interval;
  const bool full = request.member_epoch == kJoinEpoch || request.member_epoch != member->epoch ||
                    (request.owned && (request.topic_names || request.topic_regex));
  if (full || member->assigned != before) outcome.assignment = member->assigned;
  return outcome;
}

ConsumerHeartbeatOutcome ConsumerGroup::Leave(const ConsumerHeartbeatRequest& request, Time now) {
  Member* member = nullptr;
  const ErrorCode error = FindOrAdd(request, member);
  if (error != ErrorCode::kNone) return Refusal(error, "member " + request.member_id + " of group " + id_);
  ConsumerHeartbeatOutcome outcome;
  outcome.member_id = request.member_id;
  outcome.member_epoch = request.member_epoch;
  outcome.heartbeat_interval = settings_->consumer_heartbeat_interval;
  if (request.member_epoch == kStaticLeaveEpoch && member->instance_id) {
    // It keeps what it has until its session ends; what it was giving up is given up.
    member->epoch = member->previous_epoch = kStaticLeaveEpoch;
    member->deadline = now + settings_->consumer_session_timeout;
    for (const TopicPartition& each : std::exchange(member->revoking, {})) owners_.erase(each);
    member->revoke_deadline.reset();
    member->state = MemberState::kStable;
  } else {
    Remove(request.member_id);
    Assign();
  }
  return outcome;
}

bool ConsumerGroup::Update(Member& member, const ConsumerHeartbeatRequest& request) {
  if (request.rebalance_timeout) member.rebalance_timeout = *request.rebalance_timeout;
  const Subscription& before = *member.subscription;
  std::set<std::string> names = before.names;
  if (request.topic_names) names = {request.topic_names->begin(), request.topic_names->end()};
  std::string regex = request.topic_regex.value_or(before.regex);
  bool changed = names != before.names || regex != before.regex;
  if (changed) member.subscription = SubscriptionTo(std::move(names), std::move(regex));
  if (request.assignor) {
    changed = changed || member.assignor != *request.assignor;
    member.assignor = *request.assignor;
  }
  return changed;
}

std::shared_ptr<ConsumerGroup::Subscription> ConsumerGroup::SubscriptionTo(std::set<std::string> names,
                                                                           std::string regex) const {
  for (const auto& [id, member] : members_) {
    const Subscription& known = *member.subscription;
    if (known.names == names && known.regex == regex) return member.subscription;
  }
  auto fresh = std::make_shared<Subscription>(*memory_);
  fresh->names = std::move(names);
  fresh->regex = std::move(regex);
  Resolve(*fresh);
  return fresh;
}

void ConsumerGroup::Resolve(Subscription& subscription) const {
  subscription.topics.clear();
  for (const std::string& name : subscription.names) {
    const auto topic = topics_->ids.find(name);
    if (topic != topics_->ids.end()) subscription.topics.insert(topic->second);
  }
  if (!subscription.regex.empty()) {
    const RE2 regex(subscription.regex, RegexOptions());
    for (const auto& [name, id] : topics_->ids) {
      if (!IsInternal(name) && RE2::FullMatch(name, regex)) subscription.topics.insert(id);
    }
  }
  subscription.memory.Set(SizeOf(subscription.names) + subscription.regex.size() +
                          subscription.topics.size() * kEntrySize);
}

void ConsumerGroup::UpdateTopics(const TopicTablePtr& topics) {
  if (topics == topics_) return;
  const TopicTablePtr former = std::exchange(topics_, topics);
  if (members_.empty()) return;
  const PartitionCounts& before = former->partitions;
  const PartitionCounts& after = topics_->partitions;
  const auto count = [](const PartitionCounts& counts, const TopicId& id) {
    const auto found = counts.find(id);
    return found == counts.end() ? 0 : found->second;
  };
  bool changed = false;
  std::set<const Subscription*> resolved;
  for (auto& [id, member] : members_) {
    Subscription& subscription = *member.subscription;
    if (!resolved.insert(&subscription).second) continue;
    const std::set<TopicId> old = subscription.topics;
    Resolve(subscription);
    changed = changed || old != subscription.topics ||
              std::any_of(old.begin(), old.end(),
                          [&](const TopicId& topic) { return count(before, topic) != count(after, topic); });
  }
  if (!changed) return;
  ++epoch_;
  Assign();
}

std::string ConsumerGroup::SelectAssignor() const {
  std::map<std::string, int> votes;
  for (const auto& [id, member] : members_) {
    if (!member.assignor.empty()) ++votes[member.assignor];
  }
  const int range = votes.count(std::string(kRange)) > 0 ? votes[std::string(kRange)] : 0;
  const int uniform = votes.count(std::string(kUniform)) > 0 ? votes[std::string(kUniform)] : 0;
  return std::string(range > uniform ? kRange : kUniform);
}

void ConsumerGroup::Assign() {
  if (assignment_epoch_ == epoch_) return;
  Subscriptions subscriptions;
  for (const auto& [id, member] : members_) subscriptions[id] = &member.subscription->topics;
  const PartitionCounts& counts = topics_->partitions;
  target_ = SelectAssignor() == kRange ? AssignRange(subscriptions, counts)
                                       : AssignUniform(subscriptions, counts, target_);
  assignment_epoch_ = epoch_;
  std::size_t assigned = 0;
  for (const auto& [id, partitions] : target_) assigned += partitions.size();
  assignment_memory_.Set(assigned * kAssignedSize);
}

bool ConsumerGroup::Owned(const TopicPartition& partition, const Member& but) const {
  const auto owner = owners_.find(partition);
  return owner != owners_.end() && owner->second != but.id;
}

void ConsumerGroup::Reconcile(Member& member, const std::optional<Partitions>& owned, Time now) {
  if (member.state == MemberState::kUnrevoked) {
    const bool confirmed =
        owned && std::none_of(owned->begin(), owned->end(),
                              [&](const TopicPartition& each) { return member.revoking.count(each) > 0; });
    if (!confirmed) return;
    for (const TopicPartition& each : std::exchange(member.revoking, {})) owners_.erase(each);
    member.revoke_deadline.reset();
    member.state = MemberState::kStable;
  } else if (member.state == MemberState::kStable && member.epoch == assignment_epoch_) {
    return;
  }
  Advance(member, owned, now);
}

void ConsumerGroup::Advance(Member& member, const std::optional<Partitions>& owned, Time now) {
  const Partitions& target = target_[member.id];
  Partitions keep;
  Partitions revoke;
  for (const TopicPartition& each : member.assigned) (target.count(each) > 0 ? keep : revoke).insert(each);
  const bool held = !owned || std::any_of(revoke.begin(), revoke.end(),
                                          [&](const TopicPartition& each) { return owned->count(each) > 0; });
  if (!revoke.empty() && held) {
    member.assigned = std::move(keep);
    member.revoking = std::move(revoke);
    member.state = MemberState::kUnrevoked;
    member.revoke_deadline = now + member.rebalance_timeout;
    return;
  }
  for (const TopicPartition& each : revoke) owners_.erase(each);
  bool unreleased = false;
  for (const TopicPartition& each : target) {
    if (Owned(each, member)) {
      unreleased = true;
    } else {
      keep.insert(each);
      owners_[each] = member.id;
    }
  }
  member.assigned = std::move(keep);
  if (member.epoch != assignment_epoch_)
    member.previous_epoch = std::exchange(member.epoch, assignment_epoch_);
  member.state = unreleased ? MemberState::kUnreleased : MemberState::kStable;
}

void ConsumerGroup::Remove(const std::string& member_id) {
  const auto member = members_.find(member_id);
  if (member == members_.end()) return;
  if (member->second.instance_id) static_members_.erase(*member->second.instance_id);
  std::erase_if(owners_, [&](const auto& each) { return each.second == member_id; });
  target_.erase(member_id);
  members_.erase(member);
  ++epoch_;
}

ErrorCode ConsumerGroup::CheckCommit(const CommitCheck& check, Time now) {
  if (check.generation_or_epoch < 0 && check.member_id.empty() && members_.empty()) return ErrorCode::kNone;
  const auto member = members_.find(check.member_id);
  if (member == members_.end()) return ErrorCode::kUnknownMemberId;
  if (check.generation_or_epoch != member->second.epoch) return ErrorCode::kStaleMemberEpoch;
  member->second.deadline = now + settings_->consumer_session_timeout;
  return ErrorCode::kNone;
}

void ConsumerGroup::Expire(Time now) {
  std::vector<std::string> gone;
  for (const auto& [id, member] : members_) {
    if (member.deadline <= now || (member.revoke_deadline && *member.revoke_deadline <= now))
      gone.push_back(id);
  }
  for (const std::string& id : gone) Remove(id);
  if (!gone.empty()) Assign();
}

std::optional<Time> ConsumerGroup::NextDeadline() const {
  std::optional<Time> next;
  for (const auto& [id, member] : members_) {
    const Time mine =
        member.revoke_deadline ? std::min(*member.revoke_deadline, member.deadline) : member.deadline;
    next = next ? std::min(*next, mine) : mine;
  }
  return next;
}

void ConsumerGroup::RemoveMembers() {
  members_.clear();
  static_members_.clear();
  owners_.clear();
  target_.clear();
  assignment_memory_.Set(0);
  ++epoch_;
}

GroupState ConsumerGroup::state() const {
  if (members_.empty()) return GroupState::kEmpty;
  if (epoch_ != assignment_epoch_) return GroupState::kAssigning;
  const bool settled = std::all_of(members_.begin(), members_.end(), [&](const auto& each) {
    const Member& member = each.second;
    const bool away = member.epoch == kStaticLeaveEpoch;
    return member.state == MemberState::kStable && (away || member.epoch == assignment_epoch_);
  });
  return settled ? GroupState::kStable : GroupState::kReconciling;
}

GroupDescription ConsumerGroup::Describe() const {
  GroupDescription description;
  description.group_id = id_;
  description.type = GroupType::kConsumer;
  description.state = state();
  description.protocol_type = "consumer";
  description.protocol = SelectAssignor();
  description.epoch = epoch_;
  description.assignment_epoch = assignment_epoch_;
  for (const auto& [id, member] : members_) {
    MemberDescription each;
    each.member_id = id;
    each.instance_id = member.instance_id;
    each.client = member.client;
    each.member_epoch = member.epoch;
    const Subscription& asked = *member.subscription;
    each.topic_names.assign(asked.names.begin(), asked.names.end());
    each.topic_regex = asked.regex;
    each.subscribed = asked.topics;
    each.assigned = member.assigned;
    if (const auto target = target_.find(id); target != target_.end()) each.target = target->second;
    description.members.push_back(std::move(each));
  }
  return description;
}

}  // namespace headrace::group
