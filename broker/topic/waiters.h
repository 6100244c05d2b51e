// Those who wait for a partition's readable range to move: long polls and streams.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>

#include "protocol/core/mutex.h"

namespace headrace::topic {

// One list per partition. A waiter is called once, on the thread that woke it, and never under a lock of the
// partition; it only hands over to its own thread. To miss nothing: Add, then look at the partition again.
// Thread: any.
class Waiters {
 public:
  using Id = std::uint64_t;

  Id Add(std::function<void()> wake) HEADRACE_EXCLUDES(mutex_);
  // The waiter may be running already; afterwards it will not be called.
  void Remove(Id id) HEADRACE_EXCLUDES(mutex_);
  // Calls and forgets everybody. Costs one atomic load when nobody waits.
  void WakeAll() HEADRACE_EXCLUDES(mutex_);

 private:
  // Sequentially consistent against the high watermark's store: either the waker sees the waiter, or the
  // waiter's second look sees the new high watermark.
  std::atomic<bool> any_{false};
  core::Mutex mutex_;
  Id next_id_ HEADRACE_GUARDED_BY(mutex_) = 1;
  std::map<Id, std::function<void()>> waiters_ HEADRACE_GUARDED_BY(mutex_);  // the first to come is first
};

}  // namespace headrace::topic
