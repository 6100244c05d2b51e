// What storage may be told about one log. Filled by the broker from a topic's configuration.
#pragma once

#include <cstdint>
#include <limits>

#include "protocol/core/types.h"

namespace headrace::storage {

struct LogOptions {
  // A segment is rolled before it would grow past this many bytes. A batch is never split, so a batch larger
  // than this has a segment of its own.
  std::uint64_t segment_size_max = std::uint64_t{256} << 20;
  // A segment that is not empty is rolled when its first append is older than this.
  TimestampMs segment_age_max_ms = TimestampMs{7} * 24 * 3600 * 1000;
  // Whole segments are deleted while the log stays at least this large; -1: no limit.
  std::int64_t retention_bytes = -1;
  // Segments whose last append is older than this are deleted; -1: never.
  TimestampMs retention_ms = TimestampMs{7} * 24 * 3600 * 1000;
  // One offset index entry for at least this many bytes of batches.
  std::uint32_t index_interval = 16 << 10;
  // A checkpoint (and producer snapshot) is due when this many bytes were appended since the last one.
  std::uint64_t checkpoint_interval = std::uint64_t{16} << 20;
  // State of a producer id is forgotten when its last append is older than this.
  TimestampMs producer_expiry_ms = TimestampMs{24} * 3600 * 1000;
  // Whether batches may be compressed in another way than their producers did, so that what a producer sent
  // cannot be told from the log.
  bool compressed_anew = false;
  // Whether only the last record of each key is kept (cleanup.policy=compact), and whether retention deletes
  // whole segments (cleanup.policy=delete). One of them at least is true.
  bool compact = false;
  bool delete_by_retention = true;
  // Compaction begins when this share of the log is not compacted yet.
  double min_cleanable_dirty_ratio = 0.5;
  // A record stays for at least the one, and waits for compaction at most the other.
  TimestampMs min_compaction_lag_ms = 0;
  TimestampMs max_compaction_lag_ms = std::numeric_limits<TimestampMs>::max();
  // How long a deletion's record, which has a null value, stays in a compacted log.
  TimestampMs delete_retention_ms = TimestampMs{24} * 3600 * 1000;

  friend bool operator==(const LogOptions&, const LogOptions&) = default;
};

}  // namespace headrace::storage
