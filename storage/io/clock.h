// Time as storage and the broker see it, so that tests need no sleeps.
#pragma once

#include <chrono>

#include "protocol/core/types.h"

namespace headrace::storage {

// Thread: any.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock: for timestamps on disk and retention only. It may jump.
  virtual TimestampMs WallNow() const = 0;
  // Never goes back: for time-outs and intervals.
  virtual std::chrono::steady_clock::time_point MonotonicNow() const = 0;
};

inline std::int64_t MonotonicMs(const Clock& clock) {
  using std::chrono::duration_cast, std::chrono::milliseconds;
  return duration_cast<milliseconds>(clock.MonotonicNow().time_since_epoch()).count();
}

class SystemClock final : public Clock {
 public:
  TimestampMs WallNow() const override {
    using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  }
  std::chrono::steady_clock::time_point MonotonicNow() const override {
    return std::chrono::steady_clock::now();
  }
};

}  // namespace headrace::storage
