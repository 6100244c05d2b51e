// What storage may be told about one log. Filled by the broker from a topic's configuration.
#pragma once

#include <cstdint>

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

  friend bool operator==(const LogOptions&, const LogOptions&) = default;
};

}  // namespace headrace::storage
