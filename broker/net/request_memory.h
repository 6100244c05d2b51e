// The memory of large requests: one budget for all connections.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "protocol/core/mutex.h"

namespace headrace::net {

// Reserved before a request too large for a chunk is read, so that half-read requests cannot starve each
// other: first come, first served, and one may always proceed, however large. Owned by a shared_ptr, for a
// request's bytes may outlive the server. Thread: any. Knows no connection, and never waits.
class RequestMemory : public std::enable_shared_from_this<RequestMemory> {
 public:
  // Bytes that are reserved, given back when the last copy is gone: kept beside the bytes it stands for.
  using Lease = std::shared_ptr<const void>;

  explicit RequestMemory(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // The lease, if it fits and nobody waits. Otherwise null, and `later` is called once, when its turn has
  // come, by the thread that gave memory back; who has gone by then just lets the lease go.
  Lease Reserve(std::uint64_t bytes, std::function<void(Lease)> later) HEADRACE_EXCLUDES(mutex_);

  std::uint64_t reserved() const HEADRACE_EXCLUDES(mutex_);
  // Whether somebody waits for his turn.
  bool contended() const HEADRACE_EXCLUDES(mutex_);

 private:
  struct Reservation;
  struct Waiter {
    std::uint64_t bytes;
    std::function<void(Lease)> granted;
  };

  void GiveBack(std::uint64_t bytes) HEADRACE_EXCLUDES(mutex_);
  bool Fits(std::uint64_t bytes) const HEADRACE_REQUIRES(mutex_);

  const std::uint64_t bytes_max_;
  mutable core::Mutex mutex_;
  std::uint64_t reserved_ HEADRACE_GUARDED_BY(mutex_) = 0;
  std::deque<Waiter> waiters_ HEADRACE_GUARDED_BY(mutex_);
};

}  // namespace headrace::net
