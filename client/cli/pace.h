// Holds a loop to a rate.
#pragma once

#include <chrono>
#include <cstdint>

namespace headrace::cli {

// Record number n is due n / rate seconds after the first, however late the ones before it were: an open
// loop. One thread.
class Pace {
 public:
  using Clock = std::chrono::steady_clock;

  // `rate` in records per second; 0 for no limit.
  explicit Pace(double rate) : rate_(rate) {}

  // When the record is due. The clock starts with the first call of this or of WaitFor.
  Clock::time_point DueTime(std::uint64_t record);
  // Waits until the record is due. False if a signal asked to stop.
  bool WaitFor(std::uint64_t record);

 private:
  double rate_;
  Clock::time_point start_{};
};

}  // namespace headrace::cli
