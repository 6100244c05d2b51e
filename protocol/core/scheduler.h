// A thread that runs what it is given, now or later.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace headrace::core {

// A timer that was started; 0 is none.
using TimerId = std::uint64_t;

// What a waiting operation needs of the thread it belongs to, so that the domain can wait without knowing
// what drives it. Post: any thread; the rest on the scheduler's own.
class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Runs `function` on the scheduler's thread, soon.
  virtual void Post(std::function<void()> function) = 0;
  // Runs `function` at `deadline`, once, unless cancelled.
  virtual TimerId StartTimer(std::chrono::steady_clock::time_point deadline,
                             std::function<void()> function) = 0;
  virtual void CancelTimer(TimerId timer) = 0;
};

}  // namespace headrace::core
