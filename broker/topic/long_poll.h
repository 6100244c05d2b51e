// One read of several partitions that waits until there is enough: Fetch, in both protocols.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "broker/topic/partition.h"
#include "protocol/core/scheduler.h"

namespace headrace::topic {

// A partition to read, from an offset on. An error instead of the partition comes back as the read's status.
struct ReadTarget {
  absl::StatusOr<std::shared_ptr<Partition>> partition;
  Offset offset = 0;
  std::uint64_t size_max = 0;  // bytes
};

// What was found there; `offsets` are set if there is a partition.
struct PartitionRead {
  absl::Status status;
  std::vector<storage::FileSlice> slices;
  std::uint64_t size = 0;  // bytes of all slices
  storage::LogOffsets offsets;
};

struct LongPollLimits {
  std::uint64_t size_min = 1;  // bytes that end the wait
  std::uint64_t size_max = 0;  // bytes of the whole answer
};

// Limits bound whole batches from above, but the first batch of all goes whole whatever they say (KIP-74). An
// error at any partition ends the wait at once. What moves is read again, alone. Lives as long as somebody
// waits for it; on the scheduler's thread, but for the wake-ups, which post to it.
class LongPoll : public std::enable_shared_from_this<LongPoll> {
 public:
  // Called once, with one entry for each target, in order.
  using Done = std::function<void(std::vector<PartitionRead>)>;

  LongPoll(std::shared_ptr<core::Scheduler> scheduler, std::vector<ReadTarget> targets,
           const LongPollLimits& limits, Done done);

  // Reads, and answers at once or at the latest at `deadline`.
  void Start(std::chrono::steady_clock::time_point deadline, bool may_wait);
  // Answers now, with what the last look has found.
  void Finish();
  // Nobody waits for the answer any more: lets go of everything, and answers nothing.
  void Cancel();

  bool finished() const { return finished_; }

 private:
  // Whether there is something to answer.
  bool IsEnough() const;
  // Reads one target anew, within what the others leave of the limits.
  void ReadOne(std::size_t index);
  void Read(const ReadTarget& target, PartitionRead& read);
  void Wait(std::size_t index);
  void Wake(std::size_t index);
  void Leave();

  const std::shared_ptr<core::Scheduler> scheduler_;
  const std::vector<ReadTarget> targets_;
  const LongPollLimits limits_;
  const Done done_;
  std::vector<PartitionRead> reads_;
  std::uint64_t total_ = 0;  // bytes read
  bool failed_ = false;      // at one of them at least
  core::TimerId timer_ = 0;
  std::vector<Waiters::Id> waits_;  // one for each target, once it waits
  bool finished_ = false;
};

// The long polls of one connection, so that none outlives it. Owned by its session; on the scheduler's
// thread.
class LongPolls {
 public:
  // Starts `poll`, and keeps it in view until it has answered.
  void Start(const std::shared_ptr<LongPoll>& poll, std::chrono::steady_clock::time_point deadline,
             bool may_wait);
  void FinishAll();
  void CancelAll();

 private:
  std::vector<std::shared_ptr<LongPoll>> TakeWaiting();

  std::vector<std::weak_ptr<LongPoll>> waiting_;  // and some that have answered
  std::size_t tidy_at_ = 16;                      // of its size
};

}  // namespace headrace::topic
