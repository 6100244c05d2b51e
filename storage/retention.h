// Which segments a log may let go: a pure function of what is there, what is wanted and what time it is.
#pragma once

#include <cstddef>
#include <span>

#include "storage/log.h"

namespace headrace::storage {

// The clock as retention may use it. A wall clock that jumped forward must delete nothing by the jump alone,
// so time is held back: it moves only as fast as the monotonic clock does, and a jump of more than a day is
// believed after ten minutes. A clock that was set while the broker was down looks like a log that was idle:
// so a log whose newest append is over a day old waits ten minutes after a start, too.
class RetentionClock {
 public:
  static constexpr TimestampMs kJumpMs = TimestampMs{24} * 3600 * 1000;
  static constexpr TimestampMs kHoldMs = TimestampMs{10} * 60 * 1000;

  // The time to use for retention, given both clocks in milliseconds, and when the log was last appended to
  // by the wall clock (0: never). Never goes back.
  TimestampMs Now(TimestampMs wall, std::int64_t monotonic, TimestampMs newest_append);

 private:
  bool started_ = false;
  TimestampMs believed_ = 0;     // wall clock at `seen_`
  std::int64_t seen_ = 0;        // monotonic
  std::int64_t jump_seen_ = -1;  // monotonic, when a jump was first seen
};

// How many of the oldest segments go. The last segment is the active one and always stays. By time: those
// whose last append is older than retention_ms. By size: while what stays is at least retention_bytes.
std::size_t SegmentsToDelete(std::span<const SegmentSummary> segments, const LogOptions& options,
                             TimestampMs now);

}  // namespace headrace::storage
