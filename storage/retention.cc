#include "storage/retention.h"

#include <algorithm>

namespace headrace::storage {

TimestampMs RetentionClock::Now(TimestampMs wall, std::int64_t monotonic, TimestampMs newest_append) {
  if (!started_) {
    started_ = true;
    believed_ = newest_append > 0 ? std::min(wall, newest_append) : wall;
    seen_ = monotonic;
  }
  const TimestampMs expected = believed_ + (monotonic - seen_);
  seen_ = monotonic;
  if (wall - expected > kJumpMs) {
    if (jump_seen_ < 0) jump_seen_ = monotonic;
    believed_ = monotonic - jump_seen_ >= kHoldMs ? wall : expected;
  } else {
    jump_seen_ = -1;
    believed_ = std::max(believed_, wall);
  }
  return believed_;
}

std::size_t SegmentsToDelete(std::span<const SegmentSummary> segments, const LogOptions& options,
                             TimestampMs now) {
  if (!options.delete_by_retention) return 0;
  std::uint64_t left = 0;
  for (const SegmentSummary& segment : segments) left += segment.size;
  std::size_t count = 0;
  while (count + 1 < segments.size()) {
    const SegmentSummary& oldest = segments[count];
    const bool too_old = options.retention_ms >= 0 && now - oldest.last_append > options.retention_ms;
    const bool too_much = options.retention_bytes >= 0 &&
                          left - oldest.size >= static_cast<std::uint64_t>(options.retention_bytes);
    if (!too_old && !too_much) break;
    left -= oldest.size;
    ++count;
  }
  return count;
}

}  // namespace headrace::storage
