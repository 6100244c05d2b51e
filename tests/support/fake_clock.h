// A clock that moves when told to.
#pragma once

#include <atomic>

#include "storage/io/clock.h"

namespace headrace::testing {

// Thread: any.
class FakeClock final : public storage::Clock {
 public:
  TimestampMs WallNow() const override { return wall_.load(); }
  std::chrono::steady_clock::time_point MonotonicNow() const override {
    return std::chrono::steady_clock::time_point(std::chrono::milliseconds(monotonic_.load()));
  }

  // Time passes: both clocks move.
  void Advance(std::chrono::milliseconds by) {
    wall_ += by.count();
    monotonic_ += by.count();
  }
  // The wall clock is set, as an operator or NTP does.
  void JumpWall(std::chrono::milliseconds by) { wall_ += by.count(); }

 private:
  std::atomic<TimestampMs> wall_{1'700'000'000'000};
  std::atomic<std::int64_t> monotonic_{1'000'000};
};

}  // namespace headrace::testing
