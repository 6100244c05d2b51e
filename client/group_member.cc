#include "client/group_member.h"

#include <algorithm>
#include <utility>

#include "client/error.h"
#include "protocol/core/error_code.h"
#include "protocol/core/types.h"

namespace headrace {
namespace {

constexpr std::int32_t kJoinEpoch = 0;
constexpr std::int32_t kLeaveEpoch = -1;
constexpr std::int32_t kStaticLeaveEpoch = -2;
constexpr std::chrono::milliseconds kIntervalDefault{5'000};  // of heartbeats, where the broker tells none

std::string RandomId() {
  return TopicId::Random().ToString();  // any random UUID serves
}

bool Is(const Error& error, ErrorCode code) {
  return error.code == static_cast<int>(code);
}

// The broker does not know the member as it is; its partitions are others' by now.
bool EndsMembership(const Error& error) {
  return Is(error, ErrorCode::kUnknownMemberId) || Is(error, ErrorCode::kFencedMemberEpoch);
}

// The same of a commit; a heartbeat then finds out.
bool DoubtsMembership(const Error& error) {
  return EndsMembership(error) || Is(error, ErrorCode::kIllegalGeneration);
}

template <typename Set>
std::vector<std::uint32_t> ToVector(const Set& set) {
  return {set.begin(), set.end()};
}

}  // namespace

GroupMember::GroupMember(GroupMemberOptions options, TimePoint now, IdSource make_id)
    : options_(std::move(options)),
      make_id_(make_id ? std::move(make_id) : IdSource(RandomId)),
      backoff_(options_.backoff_min, options_.backoff_max),
      member_id_(make_id_()),
      heartbeat_at_(now),
      polled_at_(now),
      lookup_(options_.group, options_.topic, options_.topic_id, options_.start) {}

std::optional<GroupMember::Request> GroupMember::NextRequest(TimePoint now) {
  if (phase_ == Phase::kMember && now - polled_at_ >= options_.max_poll_interval) {
    LoseAll(
        {error_number::kUnknownMemberId, "the consumer did not poll for too long and left its group", true});
    phase_ = Phase::kStale;
    farewell_ = true;
  }
  if (!releasing_.empty() && commits_.idle()) {
    releasing_.clear();
    report_ = true;
  }
  if (auto heartbeat = NextHeartbeat(now)) return *std::move(heartbeat);
  // A heartbeat under way may bring another epoch, so commits wait for its answer.
  if (heartbeat_under_way_) return std::nullopt;
  if ((phase_ == Phase::kMember || phase_ == Phase::kLeaving) && epoch_ > 0 && commits_.ready()) {
    return CommitRequest();
  }
  StartLookup(now);
  if (auto lookup = lookup_.Next()) {
    return std::visit([](auto& request) -> Request { return std::move(request); }, *lookup);
  }
  return std::nullopt;
}

std::optional<native::GroupHeartbeatRequest> GroupMember::NextHeartbeat(TimePoint now) {
  if (heartbeat_under_way_) return std::nullopt;
  switch (phase_) {
    case Phase::kJoining:
    case Phase::kMember:
      if (now < heartbeat_at_ && !report_) return std::nullopt;
      heartbeat_sent_ = now;
      return Heartbeat();
    case Phase::kLeaving:
      if (!commits_.idle()) return std::nullopt;
      heartbeat_sent_ = now;
      return Farewell();
    case Phase::kStale:
      if (!std::exchange(farewell_, false)) return std::nullopt;
      heartbeat_sent_ = now;
      return Farewell();
    case Phase::kLeft:
    case Phase::kFailed:
      break;
  }
  return std::nullopt;
}

native::GroupHeartbeatRequest GroupMember::Heartbeat() {
  native::GroupHeartbeatRequest request;
  request.set_group(options_.group);
  request.set_member_id(member_id_);
  request.set_member_epoch(epoch_);
  request.set_instance_id(options_.instance_id);
  if (full_) {
    const auto timeout = std::clamp<std::int64_t>(options_.max_poll_interval.count(), 1, 1 << 30);
    request.set_rebalance_timeout_ms(static_cast<std::uint32_t>(timeout));
    request.set_assignor(options_.assignor);
    request.mutable_subscription()->add_topics(options_.topic);
  }
  auto& owned = *request.mutable_owned();
  // Also what the caller has yet to begin: it may do so before this is answered, and what is not owned passes
  // on without a word.
  PartitionSet all = held_;
  all.insert(target_.begin(), target_.end());
  all.insert(releasing_.begin(), releasing_.end());
  for (const std::uint32_t partition : all) {
    auto& entry = *owned.add_partitions();
    entry.set_topic_id(options_.topic_id);
    entry.set_partition(partition);
  }
  heartbeat_under_way_ = epoch_;
  heartbeat_at_ = TimePoint::max();  // until the answer says when
  report_ = false;
  return request;
}

native::GroupHeartbeatRequest GroupMember::Farewell() {
  native::GroupHeartbeatRequest request;
  request.set_group(options_.group);
  request.set_member_id(member_id_);
  request.set_instance_id(options_.instance_id);
  request.set_member_epoch(options_.instance_id.empty() ? kLeaveEpoch : kStaticLeaveEpoch);
  heartbeat_under_way_ = request.member_epoch();
  return request;
}

native::CommitOffsetRequest GroupMember::CommitRequest() {
  native::CommitOffsetRequest request;
  request.set_consumer(options_.group);
  request.set_member_id(member_id_);
  request.set_member_epoch(epoch_);
  for (const auto& [partition, offset] : commits_.Send()) {
    auto& entry = *request.add_partitions();
    entry.set_topic_id(options_.topic_id);
    entry.set_partition(partition);
    entry.set_offset(offset);
  }
  return request;
}

void GroupMember::OnAnswer(const Result<native::GroupHeartbeatResponse>& answer, TimePoint now) {
  const std::optional<std::int32_t> sent = std::exchange(heartbeat_under_way_, std::nullopt);
  if (!sent) return;
  if (*sent < 0) {  // a farewell; what it says changes nothing
    if (phase_ == Phase::kLeaving) phase_ = Phase::kLeft;
    return;
  }
  const bool present =
      *sent == epoch_ && (phase_ == Phase::kJoining || phase_ == Phase::kMember || phase_ == Phase::kLeaving);
  if (!present) return;  // of a membership that is over
  if (answer) return TakeAnswer(*answer, now);
  OnRefusal(answer.error(), now);
}

void GroupMember::TakeAnswer(const native::GroupHeartbeatResponse& answer, TimePoint now) {
  backoff_.Reset();
  if (!answer.member_id().empty()) member_id_ = answer.member_id();
  if (phase_ == Phase::kJoining) phase_ = Phase::kMember;
  epoch_ = answer.member_epoch();
  full_ = false;
  const std::chrono::milliseconds interval(answer.heartbeat_interval_ms());
  heartbeat_at_ = now + (interval.count() > 0 ? interval : kIntervalDefault);
  if (answer.has_assignment()) SetTarget(answer.assignment());
}

void GroupMember::SetTarget(const native::GroupHeartbeatResponse::Assignment& assignment) {
  PartitionSet target;
  for (const native::GroupPartition& entry : assignment.partitions()) {
    if (entry.topic_id() == options_.topic_id) {
      target.insert(entry.partition());
    } else {
      trouble_ = Error{error_number::kUnknownTopicId,
                       "topic " + options_.topic +
                           " was deleted, and created again under its name; connect again to read that one",
                       false};
    }
  }
  const PartitionSet before = std::exchange(target_, std::move(target));
  told_ = true;
  const auto gone = [this](std::uint32_t partition) { return !target_.contains(partition); };
  // What was not begun yet is given up without further ado.
  const bool unheld = std::any_of(before.begin(), before.end(), [&](std::uint32_t partition) {
    return gone(partition) && !held_.contains(partition);
  });
  if (unheld) report_ = true;
  std::erase_if(ready_, [&](const auto& each) { return gone(each.first); });
  const PartitionSet& sought = lookup_.partitions();
  if (std::any_of(sought.begin(), sought.end(), gone)) lookup_.Cancel();
}

void GroupMember::OnRefusal(const Error& error, TimePoint now) {
  if (phase_ == Phase::kLeaving && (EndsMembership(error) || !error.retriable)) {
    LoseAll(error);
    phase_ = Phase::kLeft;
  } else if (EndsMembership(error)) {
    const bool joining = phase_ == Phase::kJoining;
    // One that was removed comes back as another, so that nothing it said before can be taken as new.
    if (Is(error, ErrorCode::kUnknownMemberId)) member_id_ = make_id_();
    LoseAll(error);
    JoinAgain(joining ? now + backoff_.Next() : now);
  } else if (error.retriable) {
    heartbeat_at_ = now + backoff_.Next();
  } else {
    LoseAll(error);
    failure_ = error;
    phase_ = Phase::kFailed;
  }
}

void GroupMember::LoseAll(const Error& why) {
  lost_.insert(held_.begin(), held_.end());
  held_.clear();
  releasing_.clear();
  target_.clear();
  told_ = false;
  ready_.clear();
  lookup_.Cancel();
  commits_.Fail(why);
  commit_at_ = TimePoint::max();
}

void GroupMember::JoinAgain(TimePoint when) {
  phase_ = Phase::kJoining;
  epoch_ = kJoinEpoch;
  full_ = true;
  farewell_ = false;
  report_ = false;
  heartbeat_at_ = when;
}

void GroupMember::OnAnswer(const Result<native::CommitOffsetResponse>& answer, TimePoint now) {
  if (!commits_.sent()) return;
  Result<void> outcome;
  if (!answer) outcome = answer.error();
  for (int i = 0; answer && outcome && i < answer->errors_size(); ++i) {
    if (Failed(answer->errors(i))) outcome = ToError(answer->errors(i), "topic " + options_.topic);
  }
  if (!outcome && Is(outcome.error(), ErrorCode::kStaleMemberEpoch) && phase_ == Phase::kMember) {
    commits_.Repeat();
    heartbeat_at_ = now;
    return;
  }
  if (!outcome && DoubtsMembership(outcome.error())) {
    heartbeat_at_ = now;
  } else if (!outcome && options_.commit_interval.count() > 0) {
    trouble_ = outcome.error();
    trouble_->retriable = true;
    commit_at_ = now + options_.commit_interval;
  }
  commits_.Settle(outcome);
}

void GroupMember::StartLookup(TimePoint now) {
  if (phase_ != Phase::kMember || lookup_.busy() || now < lookup_at_) return;
  PartitionSet wanted;
  for (const std::uint32_t partition : target_) {
    const bool known = held_.contains(partition) || releasing_.contains(partition);
    if (!known && !ready_.contains(partition)) wanted.insert(partition);
  }
  if (!wanted.empty()) lookup_.Begin(std::move(wanted));
}

void GroupMember::OnAnswer(const Result<native::FetchOffsetResponse>& answer, TimePoint now) {
  OnPoints(lookup_.OnAnswer(answer), now);
}

void GroupMember::OnAnswer(const Result<native::ListOffsetsResponse>& answer, TimePoint now) {
  OnPoints(lookup_.OnAnswer(answer), now);
}

void GroupMember::OnPoints(Result<std::vector<StartingPoint>> points, TimePoint now) {
  if (points) {
    for (StartingPoint& point : *points) ready_[point.partition] = point;
    return;
  }
  lookup_at_ = now + backoff_.Next();
  if (!points.error().retriable) trouble_ = points.error();
}

void GroupMember::OnConnectionLost(TimePoint now) {
  heartbeat_under_way_.reset();
  heartbeat_at_ = now;
  full_ = true;
  commits_.Repeat();
  lookup_.OnConnectionLost();
  farewell_ = false;  // it then leaves by its session's end
  if (phase_ == Phase::kLeaving) {
    commits_.Fail(
        NetworkError("the connection to the broker was lost while leaving group " + options_.group));
    phase_ = Phase::kLeft;
  }
}

bool GroupMember::Overdue(TimePoint now) const {
  return heartbeat_under_way_ && now - heartbeat_sent_ >= options_.request_timeout;
}

TimePoint GroupMember::NextTime(TimePoint now) const {
  TimePoint next = TimePoint::max();
  if (heartbeat_under_way_) next = heartbeat_sent_ + options_.request_timeout;
  const bool beats = phase_ == Phase::kJoining || phase_ == Phase::kMember;
  if (beats && !heartbeat_under_way_) next = std::min(next, heartbeat_at_);
  if (phase_ == Phase::kMember) next = std::min(next, polled_at_ + options_.max_poll_interval);
  for (const TimePoint time : {commit_at_, lookup_at_}) {
    if (time > now) next = std::min(next, time);
  }
  return next;
}

void GroupMember::Touch(TimePoint now) {
  polled_at_ = now;
  if (phase_ == Phase::kStale) JoinAgain(now);
}

GroupMember::PartitionSet GroupMember::Revoked() const {
  PartitionSet revoked;
  if (phase_ != Phase::kMember || !told_) return revoked;
  std::set_difference(held_.begin(), held_.end(), target_.begin(), target_.end(),
                      std::inserter(revoked, revoked.end()));
  return revoked;
}

std::vector<StartingPoint> GroupMember::Assigned() const {
  std::vector<StartingPoint> points;
  for (const auto& [partition, point] : ready_) points.push_back(point);
  return points;
}

bool GroupMember::CommitDue(TimePoint now) const {
  return phase_ == Phase::kMember && options_.commit_interval.count() > 0 && !held_.empty() &&
         now >= commit_at_;
}

bool GroupMember::HasEvent(TimePoint now) const {
  const bool assigned = phase_ == Phase::kMember && !ready_.empty();
  return !lost_.empty() || trouble_ || (failure_ && !failure_told_) || assigned || CommitDue(now) ||
         !Revoked().empty();
}

std::optional<GroupEvent> GroupMember::NextEvent(TimePoint now) {
  if (!lost_.empty()) {
    return GroupEvent{GroupEvent::Kind::kLost, ToVector(std::exchange(lost_, {})), {}, {}};
  }
  if (failure_ && !std::exchange(failure_told_, true)) {
    return GroupEvent{GroupEvent::Kind::kFailed, {}, {}, *failure_};
  }
  if (const PartitionSet revoked = Revoked(); !revoked.empty()) {
    return GroupEvent{GroupEvent::Kind::kRevoked, ToVector(revoked), {}, {}};
  }
  if (phase_ == Phase::kMember && !ready_.empty()) {
    GroupEvent event{GroupEvent::Kind::kAssigned, {}, Assigned(), {}};
    for (const StartingPoint& point : event.points) event.partitions.push_back(point.partition);
    held_.insert(event.partitions.begin(), event.partitions.end());
    ready_.clear();
    commit_at_ = now;  // so that where it begins is known, should nothing have been committed yet
    return event;
  }
  if (CommitDue(now)) {
    commit_at_ = now + options_.commit_interval;
    return GroupEvent{GroupEvent::Kind::kCommit, {}, {}, {}};
  }
  if (trouble_) {
    GroupEvent event{GroupEvent::Kind::kTrouble, {}, {}, *trouble_};
    trouble_.reset();
    return event;
  }
  return std::nullopt;
}

void GroupMember::Release(const std::vector<std::uint32_t>& partitions) {
  for (const std::uint32_t partition : partitions) {
    if (held_.erase(partition) > 0) releasing_.insert(partition);
  }
}

Result<std::uint64_t> GroupMember::Commit(const Positions& positions) {
  for (const auto& [partition, offset] : positions) {
    if (held_.contains(partition)) continue;
    return Error{error_number::kUnknownMemberId,
                 "topic " + options_.topic + ", partition " + std::to_string(partition) +
                     " is not assigned to this member of group " + options_.group + " (any more)",
                 false};
  }
  return commits_.Add(positions);
}

void GroupMember::Leave() {
  if (phase_ == Phase::kStale) phase_ = Phase::kLeft;
  if (!left()) phase_ = Phase::kLeaving;
}

bool GroupMember::settled() const {
  return phase_ == Phase::kMember && told_ && target_ == held_ && releasing_.empty();
}

}  // namespace headrace
