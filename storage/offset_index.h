// Where in a segment an offset is: a sparse map from offsets to positions.
//
//    0      4        8             16           24        28        32
//   +------+--------+-------------+------------+---------+---------+----------------+---------------------
//   |"HROI"| CRC-32C| base offset | log size   | entries | damaged | entries:       | damaged ranges:
//   |      | of the | of the      | covered,   | count   | ranges  | relative offset| position, end,
//   |      | rest   | segment     | bytes      |         | count   | 4, position 4  | offset, next, 8 each
//   +------+--------+-------------+------------+---------+---------+----------------+---------------------
//
// The file is disposable: whatever is damaged, missing or of another size is rebuilt by scanning the segment.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "protocol/core/bytes.h"
#include "protocol/core/types.h"

namespace headrace::storage {

// Where a batch begins.
struct BatchPlace {
  Offset offset = 0;
  std::uint64_t position = 0;  // bytes into the segment

  friend bool operator==(const BatchPlace&, const BatchPlace&) = default;
};

// Bytes that are no valid batch, between valid ones. Both ends are batch boundaries. May be empty (position
// == end): then only offsets are missing.
struct DamagedRange {
  std::uint64_t position = 0;
  std::uint64_t end = 0;
  Offset offset = 0;       // the first that is missing
  Offset next_offset = 0;  // the first that is readable again

  friend bool operator==(const DamagedRange&, const DamagedRange&) = default;
};

// A value; the owner serialises. Every entry is at the beginning of a valid batch, and no batch is split.
class OffsetIndex {
 public:
  // Covers a segment from `first` on, where a batch begins; entries are at least `interval` bytes apart, but
  // where two indexes were put together.
  OffsetIndex(Offset base_offset, BatchPlace first) : base_offset_(base_offset), first_(first) {}

  // A batch at `place`: becomes an entry if it is `interval` bytes behind the last one.
  // REQUIRES: places ascend; place.offset - base offset and place.position fit in 32 bits.
  void Note(BatchPlace place, std::uint32_t interval);
  // A range that holds no batch; the batch behind it should be given an entry.
  void NoteDamage(const DamagedRange& range);

  // The last known batch that begins at or before this; first() if there is none.
  BatchPlace FloorOffset(Offset offset) const;
  BatchPlace FloorPosition(std::uint64_t position) const;
  // The first damaged range that ends behind `position`, or is empty and begins there.
  std::optional<DamagedRange> DamageFrom(std::uint64_t position) const;

  // Where it begins to know the segment.
  BatchPlace first() const { return first_; }
  const std::vector<DamagedRange>& damaged() const { return damaged_; }
  std::size_t entry_count() const { return entries_.size(); }
  std::size_t memory_size() const;  // bytes

  // Forgets what it knows from `position` on, and gives back where a scan has to go on: the last batch below
  // that it knew, or first().
  BatchPlace CutBack(std::uint64_t position);
  // Puts what `prefix` knows before what this knows. REQUIRES: prefix covers from 0 to first().position,
  // which is above 0.
  void Prepend(const OffsetIndex& prefix);

  std::vector<std::byte> Serialize(std::uint64_t log_size) const;
  // nullopt unless the bytes are whole and of a segment that begins at `base_offset` and has `log_size` bytes
  // (nullopt: any number).
  static std::optional<OffsetIndex> Parse(ByteSpan bytes, Offset base_offset,
                                          std::optional<std::uint64_t> log_size);

 private:
  struct Entry {
    std::uint32_t relative_offset = 0;
    std::uint32_t position = 0;
  };
  Entry EntryOf(BatchPlace place) const;
  BatchPlace PlaceOf(const Entry& entry) const {
    return {base_offset_ + entry.relative_offset, entry.position};
  }
  bool ParseRanges(ByteSpan bytes, std::uint32_t count, std::uint64_t log_size);
  bool ParseEntries(ByteSpan bytes, std::uint64_t log_size);

  Offset base_offset_;
  BatchPlace first_;
  std::vector<Entry> entries_;
  std::vector<DamagedRange> damaged_;
};

}  // namespace headrace::storage
