#include "client/backoff.h"

#include <algorithm>

namespace headrace {

Backoff::Backoff(std::chrono::milliseconds min, std::chrono::milliseconds max)
    : min_(std::max(min, std::chrono::milliseconds(1))),
      max_(std::max(max, min_)),
      random_(std::random_device()()) {}

std::chrono::milliseconds Backoff::Delay(std::uint32_t attempts) {
  std::chrono::milliseconds delay = min_;
  for (std::uint32_t i = 1; i < attempts && delay < max_; ++i) delay *= 2;
  delay = std::min(delay, max_);
  std::uniform_int_distribution<long> draw(delay.count() / 2, delay.count());
  return std::chrono::milliseconds(std::max(draw(random_), 1L));
}

}  // namespace headrace
