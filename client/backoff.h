// Delays between attempts.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace headrace {

// Doubles from `min` to `max`; each delay is drawn from [delay / 2, delay], so that clients which lost the
// same broker do not come back in step. One owner, one thread.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds min, std::chrono::milliseconds max);

  // The delay before the attempt after `attempts` failed ones (1 at least).
  std::chrono::milliseconds Delay(std::uint32_t attempts);
  // The same, counting by itself; Reset after a success.
  std::chrono::milliseconds Next() { return Delay(++attempts_); }
  void Reset() { attempts_ = 0; }

 private:
  std::chrono::milliseconds min_;
  std::chrono::milliseconds max_;
  std::uint32_t attempts_ = 0;
  std::minstd_rand random_;
};

}  // namespace headrace
