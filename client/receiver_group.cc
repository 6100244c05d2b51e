// What the receiver does for a membership in a group.
#include <utility>

#include "client/error.h"
#include "client/receiver.h"

namespace headrace {
namespace {

template <typename Response>
void Answer(GroupMember& member, const native::Frame& frame, TimePoint now) {
  Response response;
  const Result<void> parsed = ParseAnswer(frame, response);
  member.OnAnswer(parsed ? Result<Response>(std::move(response)) : Result<Response>(parsed.error()), now);
}

native::FrameType TypeOf(const GroupMember::Request& request) {
  static constexpr native::FrameType kTypes[] = {
      native::FrameType::kGroupHeartbeat, native::FrameType::kCommitOffset, native::FrameType::kFetchOffset,
      native::FrameType::kListOffsets};
  return kTypes[request.index()];
}

}  // namespace

TimePoint Receiver::SendForGroup(TimePoint now) {
  // One flag a record instead of a clock: a caller that has called since the last look is alive now.
  if (polled_.exchange(false) || in_poll_.load()) member_->Touch(now);
  while (const std::optional<GroupMember::Request> request = member_->NextRequest(now)) {
    std::uint32_t& id = group_ids_[request->index()];
    id = std::visit([&](const auto& message) { return connection_->Send(TypeOf(*request), message); },
                    *request);
  }
  if (member_->HasEvent(now) && !group_news_.exchange(true)) SignalNews();
  return member_->NextTime(now);
}

Result<void> Receiver::CheckHeartbeat(TimePoint now) {
  core::MutexLock lock(mutex_);
  if (!member_ || !member_->Overdue(now)) return {};
  return NetworkError("broker " + options_.client.broker + " left a heartbeat unanswered");
}

bool Receiver::HandleGroupAnswer(const native::Frame& frame) {
  const auto answers = [&](std::size_t kind) HEADRACE_REQUIRES(mutex_) {
    if (frame.correlation_id != group_ids_[kind]) return false;
    group_ids_[kind] = 0;
    again_ = true;
    return true;
  };
  const TimePoint now = SteadyClock::now();
  if (answers(0)) {
    Answer<native::GroupHeartbeatResponse>(*member_, frame, now);
    connect_backoff_.Reset();
    report_at_.reset();
    trouble_.reset();
  } else if (answers(1)) {
    Answer<native::CommitOffsetResponse>(*member_, frame, now);
  } else if (answers(2)) {
    Answer<native::FetchOffsetResponse>(*member_, frame, now);
  } else if (answers(3)) {
    Answer<native::ListOffsetsResponse>(*member_, frame, now);
  } else {
    return false;
  }
  answered_.notify_all();
  return true;
}

bool Receiver::Poll() noexcept {
  polled_.store(true, std::memory_order_relaxed);
  return group_news_.load(std::memory_order_relaxed);
}

std::optional<GroupEvent> Receiver::NextGroupEvent() {
  core::MutexLock lock(mutex_);
  group_news_.store(false);
  const TimePoint now = SteadyClock::now();
  member_->Touch(now);
  std::optional<GroupEvent> event = member_->NextEvent(now);
  wakeup_.Signal();
  return event;
}

std::optional<Receiver::Slot> Receiver::Find(std::uint32_t partition) const {
  core::MutexLock lock(mutex_);
  for (const Slot& slot : slots_) {
    if (slot.partition == partition) return slot;
  }
  return std::nullopt;
}

void Receiver::Replace(const std::vector<StartingPoint>& points) {
  core::MutexLock lock(mutex_);
  slots_.clear();
  for (const StartingPoint& point : points) {
    slots_.push_back({point.partition, point.offset, point.start_offset, point.high_watermark, false});
  }
  Renew();
}

void Receiver::Release(const std::vector<std::uint32_t>& partitions, const Positions& positions) {
  core::MutexLock lock(mutex_);
  // What it does not hold any more, it may not commit: then all this is lost already.
  if (!positions.empty()) static_cast<void>(member_->Commit(positions));
  member_->Release(partitions);
  wakeup_.Signal();
}

void Receiver::StartCommit(const Positions& positions) {
  core::MutexLock lock(mutex_);
  static_cast<void>(member_->Commit(positions));
  wakeup_.Signal();
}

Result<void> Receiver::Commit(const Positions& positions, TimePoint deadline) {
  core::MutexLock lock(mutex_);
  const Result<std::uint64_t> ticket = member_->Commit(positions);
  if (!ticket) return ticket.error();
  wakeup_.Signal();
  const auto answered = [&]() HEADRACE_REQUIRES(mutex_) {
    return member_->CommitOutcome(*ticket).has_value() || stopping_.load();
  };
  answered_.wait_until(mutex_, deadline, answered);
  if (const std::optional<Result<void>> outcome = member_->CommitOutcome(*ticket)) return *outcome;
  return Error{error_number::kTimedOut,
               "topic " + options_.topic.name + ": broker " + options_.client.broker +
                   " did not answer a commit in time; it may be done all the same",
               true};
}

bool Receiver::settled() const {
  core::MutexLock lock(mutex_);
  return member_->settled();
}

void Receiver::Leave(TimePoint deadline) {
  core::MutexLock lock(mutex_);
  member_->Leave();
  wakeup_.Signal();
  const auto gone = [this]() HEADRACE_REQUIRES(mutex_) { return member_->left() || !connected_; };
  answered_.wait_until(mutex_, deadline, gone);
}

}  // namespace headrace
