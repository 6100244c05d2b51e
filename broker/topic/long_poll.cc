#include "broker/topic/long_poll.h"

#include <algorithm>
#include <utility>

namespace headrace::topic {

LongPoll::LongPoll(std::shared_ptr<core::Scheduler> scheduler, std::vector<ReadTarget> targets,
                   const LongPollLimits& limits, Done done)
    : scheduler_(std::move(scheduler)),
      targets_(std::move(targets)),
      limits_(limits),
      done_(std::move(done)) {}

void LongPoll::Start(std::chrono::steady_clock::time_point deadline, bool may_wait) {
  reads_.resize(targets_.size());
  for (std::size_t i = 0; i < targets_.size(); ++i) ReadOne(i);
  if (IsEnough() || !may_wait) return Finish();
  timer_ = scheduler_->StartTimer(deadline, [self = shared_from_this()] {
    self->timer_ = 0;
    self->Finish();
  });
  waits_.resize(targets_.size());
  for (std::size_t i = 0; i < targets_.size(); ++i) Wait(i);
  if (IsEnough()) Finish();
}

bool LongPoll::IsEnough() const {
  return failed_ || total_ >= limits_.size_min;
}

void LongPoll::ReadOne(std::size_t index) {
  const ReadTarget& target = targets_[index];
  PartitionRead& read = reads_[index];
  total_ -= read.size;
  read = {};
  Read(target, read);
  failed_ = failed_ || !read.status.ok();
}

void LongPoll::Read(const ReadTarget& target, PartitionRead& read) {
  read.status = target.partition.status();
  if (!read.status.ok()) return;
  const Partition& partition = **target.partition;
  storage::ReadCursor cursor;
  cursor.offset = target.offset;
  while (total_ == 0 || (total_ < limits_.size_max && read.size < target.size_max)) {
    const std::uint64_t room = std::min(target.size_max - std::min(target.size_max, read.size),
                                        limits_.size_max - std::min(limits_.size_max, total_));
    absl::StatusOr<storage::FileSlice> slice = partition.Read(cursor, room);
    if (!slice.ok()) {
      if (read.size == 0) read.status = slice.status();
      break;
    }
    if (slice->length == 0 || (total_ > 0 && slice->length > room)) break;
    read.size += slice->length;
    total_ += slice->length;
    read.slices.push_back(*std::move(slice));
  }
  // Loaded after the read, so that the high watermark covers what was read.
  read.offsets = partition.offsets();
}

// Registers, then looks once more: what came in between would wake nobody.
void LongPoll::Wait(std::size_t index) {
  waits_[index] = (*targets_[index].partition)->waiters().Add([self = shared_from_this(), index] {
    self->scheduler_->Post([self, index] { self->Wake(index); });
  });
  ReadOne(index);
}

void LongPoll::Wake(std::size_t index) {
  if (finished_) return;
  Wait(index);
  if (IsEnough()) Finish();
}

void LongPoll::Leave() {
  for (std::size_t i = 0; i < waits_.size(); ++i) (*targets_[i].partition)->waiters().Remove(waits_[i]);
  waits_.clear();
}

void LongPoll::Cancel() {
  if (std::exchange(finished_, true)) return;
  if (timer_ != 0) scheduler_->CancelTimer(timer_);
  Leave();
}

void LongPoll::Finish() {
  if (std::exchange(finished_, true)) return;
  if (timer_ != 0) scheduler_->CancelTimer(timer_);
  Leave();
  done_(std::move(reads_));
}

void LongPolls::Start(const std::shared_ptr<LongPoll>& poll, std::chrono::steady_clock::time_point deadline,
                      bool may_wait) {
  poll->Start(deadline, may_wait);
  if (poll->finished()) return;
  if (waiting_.size() >= tidy_at_) {
    std::erase_if(waiting_, [](const std::weak_ptr<LongPoll>& old) {
      const auto known = old.lock();
      return known == nullptr || known->finished();
    });
    tidy_at_ = 2 * waiting_.size() + 16;
  }
  waiting_.push_back(poll);
}

std::vector<std::shared_ptr<LongPoll>> LongPolls::TakeWaiting() {
  std::vector<std::shared_ptr<LongPoll>> taken;
  for (const std::weak_ptr<LongPoll>& one : std::exchange(waiting_, {})) {
    if (auto poll = one.lock()) taken.push_back(std::move(poll));
  }
  return taken;
}

void LongPolls::FinishAll() {
  for (const auto& poll : TakeWaiting()) poll->Finish();
}

void LongPolls::CancelAll() {
  for (const auto& poll : TakeWaiting()) poll->Cancel();
}

}  // namespace headrace::topic
