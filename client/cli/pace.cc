#include "client/cli/pace.h"

#include <time.h>

#include "client/cli/output.h"

namespace headrace::cli {

Pace::Clock::time_point Pace::DueTime(std::uint64_t record) {
  if (start_ == Clock::time_point{}) start_ = Clock::now();
  if (rate_ <= 0) return start_;
  const std::chrono::duration<double> after(static_cast<double>(record) / rate_);
  return start_ + std::chrono::duration_cast<Clock::duration>(after);
}

bool Pace::WaitFor(std::uint64_t record) {
  if (rate_ <= 0) return true;
  const auto due = DueTime(record);
  while (!Interrupted()) {
    const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(due - Clock::now()).count();
    if (rest <= 0) return true;
    const timespec time{rest / 1'000'000'000, rest % 1'000'000'000};
    ::nanosleep(&time, nullptr);  // ends early at a signal
  }
  return false;
}

}  // namespace headrace::cli
