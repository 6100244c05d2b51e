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
  if (ReadAll() || !may_wait) return Finish();
  timer_ = scheduler_->StartTimer(deadline, [self = shared_from_this()] {
    self->timer_ = 0;
    if (self->finished_) return;
    self->ReadAll();
    self->Finish();
  });
  Wait();
}

bool LongPoll::ReadAll() {
  reads_.assign(targets_.size(), {});
  total_ = 0;
  bool failed = false;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    ReadOne(targets_[i], reads_[i]);
    failed = failed || !reads_[i].status.ok();
  }
  return failed || total_ >= limits_.size_min;
}

void LongPoll::ReadOne(const ReadTarget& target, PartitionRead& read) {
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

// Registers everywhere, then looks once more: what came in between would wake nobody.
void LongPoll::Wait() {
  Leave();
  const std::uint64_t round = ++round_;
  for (const ReadTarget& target : targets_) {
    waits_.push_back((*target.partition)->waiters().Add([self = shared_from_this(), round] {
      self->scheduler_->Post([self, round] { self->Wake(round); });
    }));
  }
  if (ReadAll()) Finish();
}

void LongPoll::Wake(std::uint64_t round) {
  if (finished_ || round != round_) return;
  if (ReadAll()) return Finish();
  Wait();
}

void LongPoll::Leave() {
  for (std::size_t i = 0; i < waits_.size(); ++i) (*targets_[i].partition)->waiters().Remove(waits_[i]);
  waits_.clear();
}

void LongPoll::Finish() {
  if (std::exchange(finished_, true)) return;
  if (timer_ != 0) scheduler_->CancelTimer(timer_);
  Leave();
  done_(std::move(reads_));
}

}  // namespace headrace::topic
