// The client's clock and the deadlines that every wait of it has.
#pragma once

#include <algorithm>
#include <chrono>

namespace headrace {

using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;

// `wait` from now, without overflowing for "for ever" (milliseconds::max()).
inline TimePoint DeadlineAfter(std::chrono::milliseconds wait) {
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
  return SteadyClock::now() + std::clamp(wait, std::chrono::milliseconds(0), kLongest);
}

// For poll(2): rounded up, so that a wait does not end just before its deadline; 0 if that has passed.
inline int PollTimeoutMs(TimePoint deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
  return static_cast<int>(std::clamp<long>(left, 0, 3'600'000));
}

}  // namespace headrace
