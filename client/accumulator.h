// Where messages gather until they are sent.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/produce_batch.h"
#include "client/socket.h"
#include "headrace/producer.h"
#include "protocol/core/mutex.h"

namespace headrace {

struct AccumulatorOptions {
  std::string topic;
  std::uint32_t partition_count = 1;
  std::size_t batch_size_target = 0;  // bytes: a batch of this size takes no more messages
  std::size_t batch_size_max = 0;     // bytes: no single message may need more
  std::string batch_size_max_source;  // where that limit was set, for messages
  ProducerOptions producer;
};

// The producer's side that its callers' threads meet: encodes each message straight into the open batch of
// its partition, under one mutex; keeps account of the memory, and of what is not settled, for Flush. The
// sender's thread takes batches out and says when they are settled. Never calls back and never does I/O,
// apart from signalling `wakeup`.
class Accumulator {
 public:
  Accumulator(AccumulatorOptions options, const Wakeup& wakeup);

  // Callers' side. Thread: any.
  Result<void> Add(const Message& message, DeliveryCallback callback) HEADRACE_EXCLUDES(mutex_);
  Result<void> Flush(TimePoint deadline) HEADRACE_EXCLUDES(mutex_);
  ProducerStats stats() const HEADRACE_EXCLUDES(mutex_);

  // How eager the sender is to take batches.
  enum class Eagerness : std::uint8_t {
    kNothing,  // it takes none now
    kEnough,   // requests are on their way: only what is worth another one
    kAnything  // none is on its way
  };
  // Takes at most one batch of each partition for which may_take[partition], up to `size_max` bytes in all
  // (one at least), taking turns. Returns when to ask again because of lingering. If nothing was taken, the
  // next message that changes that signals the wakeup.
  TimePoint Take(TimePoint now, Eagerness eagerness, const std::vector<bool>& may_take, std::size_t size_max,
                 std::vector<std::unique_ptr<ProduceBatch>>& out) HEADRACE_EXCLUDES(mutex_);
  // Takes what has waited past its deadline; all of it with TimePoint::max().
  std::vector<std::unique_ptr<ProduceBatch>> TakeExpired(TimePoint now) HEADRACE_EXCLUDES(mutex_);
  // A batch's messages are delivered (no error) or have failed. Call after their callbacks.
  void Settle(const ProduceBatch& batch, const Error* error) HEADRACE_EXCLUDES(mutex_);
  // From now on Add fails with `error`, and so do those that wait for room.
  void Stop(Error error) HEADRACE_EXCLUDES(mutex_);
  // Of what gathers here; TimePoint::max() if nothing does.
  TimePoint EarliestDeadline() const HEADRACE_EXCLUDES(mutex_);
  // Why messages do not get through for now; said by the errors of Add and Flush until a batch is delivered.
  void NoteTrouble(const std::string& why) HEADRACE_EXCLUDES(mutex_);
  void CountRequest() { requests_.fetch_add(1, std::memory_order_relaxed); }
  void CountRepeats(std::uint64_t batches) { retries_.fetch_add(batches, std::memory_order_relaxed); }
  void CountReconnect() { reconnects_.fetch_add(1, std::memory_order_relaxed); }

 private:
  struct Partition {
    std::deque<std::unique_ptr<ProduceBatch>> batches;  // the last one may be open, the others are full
    bool listed = false;                                // in ready_
  };

  Result<void> Check(const Message& message, std::size_t size) const;
  // Waits for room for `size` bytes, under the mutex.
  Result<void> WaitForRoom(std::size_t size) HEADRACE_REQUIRES(mutex_);
  std::uint32_t Choose(const Message& message, std::size_t size) HEADRACE_REQUIRES(mutex_);
  bool HasRoom(const Partition& partition, std::size_t size) const HEADRACE_REQUIRES(mutex_);
  ProduceBatch& OpenBatch(std::uint32_t partition, std::size_t size) HEADRACE_REQUIRES(mutex_);
  bool IsDue(const ProduceBatch& batch, bool full, TimePoint now, Eagerness eagerness) const
      HEADRACE_REQUIRES(mutex_);
  bool WakesSender() HEADRACE_REQUIRES(mutex_);
  Result<void> FlushResult() HEADRACE_REQUIRES(mutex_);
  std::string LastTrouble() const HEADRACE_REQUIRES(mutex_);

  const AccumulatorOptions options_;
  const Wakeup& wakeup_;
  mutable core::Mutex mutex_;
  core::ConditionVariable room_;     // waited for by Add
  core::ConditionVariable settled_;  // waited for by Flush
  std::vector<Partition> partitions_ HEADRACE_GUARDED_BY(mutex_);
  std::deque<std::uint32_t> ready_ HEADRACE_GUARDED_BY(mutex_);  // partitions with batches, in turn
  std::uint32_t sticky_ HEADRACE_GUARDED_BY(mutex_) = 0;         // of messages without key
  std::size_t gathered_ HEADRACE_GUARDED_BY(mutex_) = 0;         // bytes in partitions_
  std::size_t full_batches_ HEADRACE_GUARDED_BY(mutex_) = 0;
  std::size_t buffered_ HEADRACE_GUARDED_BY(mutex_) = 0;  // bytes not settled, with gathered_
  std::size_t waiting_for_room_ HEADRACE_GUARDED_BY(mutex_) = 0;
  Eagerness wake_at_ HEADRACE_GUARDED_BY(mutex_) = Eagerness::kNothing;
  std::optional<Error> stopped_ HEADRACE_GUARDED_BY(mutex_);

  std::uint64_t generation_ HEADRACE_GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, std::size_t> unsettled_ HEADRACE_GUARDED_BY(mutex_);  // batches per generation
  std::size_t flushing_ HEADRACE_GUARDED_BY(mutex_) = 0;                        // threads in Flush
  std::uint64_t failed_ HEADRACE_GUARDED_BY(mutex_) = 0;  // messages without callback, since the last Flush
  std::optional<Error> first_failure_ HEADRACE_GUARDED_BY(mutex_);
  std::string trouble_ HEADRACE_GUARDED_BY(mutex_);
  ProducerStats stats_ HEADRACE_GUARDED_BY(mutex_);  // but for these, which the sender alone counts:
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> retries_{0};
  std::atomic<std::uint64_t> reconnects_{0};
};

}  // namespace headrace
