// Which part of a log is compacted, and when: a pure function of what is there, what is wanted and what time
// it is.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <span>

#include "storage/log.h"

namespace headrace::storage {

// What earlier passes have done. Kept in the disposable file `compacted`; lost, all of the log is dirty.
struct CompactionProgress {
  static constexpr TimestampMs kNever = std::numeric_limits<TimestampMs>::max();

  Offset first_dirty = 0;             // below this no key has two records
  TimestampMs next_horizon = kNever;  // when the first deletion that is kept below may go

  std::vector<std::byte> Serialize() const;
  static std::optional<CompactionProgress> Parse(ByteSpan bytes);
  friend bool operator==(const CompactionProgress&, const CompactionProgress&) = default;
};

// How many of the oldest segments are to be compacted now; 0: none. The last segment is the active one and
// never is; nor is what lies above `limit`, or was appended to within the last min_compaction_lag_ms. It is
// time when the dirty share has reached min_cleanable_dirty_ratio, when a dirty segment has waited for
// max_compaction_lag_ms, or when a kept deletion's time is over.
std::size_t SegmentsToCompact(std::span<const SegmentSummary> segments, const CompactionProgress& progress,
                              Offset limit, const LogOptions& options, TimestampMs now);

}  // namespace headrace::storage
