// Where in a segment a timestamp is: the running maximum of the batches' timestamps.
//
//    0      4        8             16          24             32            40             48
//   +------+--------+-------------+-----------+--------------+-------------+--------------+------------------
//   |"HRTI"| CRC-32C| base offset | log size  | first append | last append | max timestamp| entries: maximum
//   |      | of the | of the      | covered,  | wall clock,  | wall clock, | of all       | before 8,
//   relative |      | rest   | segment     | bytes     | ms           | ms          | records      | offset
//   4, position 4
//   +------+--------+-------------+-----------+--------------+-------------+--------------+------------------
//
// Timestamps may go back from record to record; their maximum does not, so it can be searched. Disposable, as
// the offset index is; what cannot be rebuilt, the times of the appends, is then taken from the file's mtime.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "protocol/core/bytes.h"
#include "storage/offset_index.h"

namespace headrace::storage {

// When a segment was written, by the broker's wall clock, and the largest timestamp of its records.
struct SegmentTimes {
  // Stands for a maximum nobody has computed: such a segment is never skipped in a search.
  static constexpr TimestampMs kUnknownTimestamp = std::numeric_limits<TimestampMs>::max();

  TimestampMs first_append = 0;  // 0 while the segment is empty
  TimestampMs last_append = 0;
  TimestampMs max_timestamp = -1;

  friend bool operator==(const SegmentTimes&, const SegmentTimes&) = default;
};

// A value; the owner serialises.
class TimeIndex {
 public:
  explicit TimeIndex(Offset base_offset) : base_offset_(base_offset) {}

  // A batch at `place`, before which `max_before` is the largest timestamp: becomes an entry if that is above
  // the last entry's and it is `interval` bytes behind it.
  void Note(TimestampMs max_before, BatchPlace place, std::uint32_t interval);

  // The last entry all batches before which are older than `timestamp`: a search begins there. nullopt if
  // there is none.
  std::optional<BatchPlace> Floor(TimestampMs timestamp) const;
  std::size_t entry_count() const { return entries_.size(); }

  // Forgets what it knows from `position` on.
  void CutBack(std::uint64_t position);
  void Prepend(const TimeIndex& prefix);

  std::vector<std::byte> Serialize(std::uint64_t log_size, const SegmentTimes& times) const;
  struct Parsed;
  // nullopt unless the bytes are whole and of a segment that begins at `base_offset` and has `log_size` bytes
  // (nullopt: any number).
  static std::optional<Parsed> Parse(ByteSpan bytes, Offset base_offset,
                                     std::optional<std::uint64_t> log_size);

 private:
  struct Entry {
    TimestampMs max_before = 0;
    std::uint32_t relative_offset = 0;
    std::uint32_t position = 0;
  };
  Offset base_offset_;
  std::vector<Entry> entries_;
};

struct TimeIndex::Parsed {
  TimeIndex index;
  SegmentTimes times;
};

}  // namespace headrace::storage
