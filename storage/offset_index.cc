#include "storage/offset_index.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "protocol/core/crc32c.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::string_view kMagic = "HROI";
constexpr std::size_t kHeaderSize = 32;
constexpr std::size_t kEntrySize = 8;
constexpr std::size_t kRangeSize = 32;

}  // namespace

OffsetIndex::Entry OffsetIndex::EntryOf(BatchPlace place) const {
  const Offset relative = place.offset - base_offset_;
  HEADRACE_CHECK(relative >= 0 && relative <= std::numeric_limits<std::uint32_t>::max());
  HEADRACE_CHECK(place.position <= std::numeric_limits<std::uint32_t>::max());
  return {static_cast<std::uint32_t>(relative), static_cast<std::uint32_t>(place.position)};
}

void OffsetIndex::Note(BatchPlace place, std::uint32_t interval) {
  const std::uint64_t last = entries_.empty() ? first_.position : entries_.back().position;
  const bool after_damage = !damaged_.empty() && damaged_.back().end == place.position;
  if (place.position - last < interval && !after_damage) return;
  entries_.push_back(EntryOf(place));
}

void OffsetIndex::NoteDamage(const DamagedRange& range) {
  const auto behind = std::upper_bound(
      damaged_.begin(), damaged_.end(), range,
      [](const DamagedRange& left, const DamagedRange& right) { return left.position < right.position; });
  damaged_.insert(behind, range);
}

BatchPlace OffsetIndex::FloorOffset(Offset offset) const {
  const auto above =
      std::upper_bound(entries_.begin(), entries_.end(), offset - base_offset_,
                       [](Offset wanted, const Entry& entry) { return wanted < entry.relative_offset; });
  return above == entries_.begin() ? first_ : PlaceOf(*std::prev(above));
}

BatchPlace OffsetIndex::FloorPosition(std::uint64_t position) const {
  const auto above =
      std::upper_bound(entries_.begin(), entries_.end(), position,
                       [](std::uint64_t wanted, const Entry& entry) { return wanted < entry.position; });
  return above == entries_.begin() ? first_ : PlaceOf(*std::prev(above));
}

std::optional<DamagedRange> OffsetIndex::DamageFrom(std::uint64_t position) const {
  for (const DamagedRange& range : damaged_) {
    if (range.end > position || (range.end == position && range.position == position)) return range;
  }
  return std::nullopt;
}

std::size_t OffsetIndex::memory_size() const {
  return sizeof *this + entries_.capacity() * sizeof(Entry) + damaged_.capacity() * sizeof(DamagedRange);
}

BatchPlace OffsetIndex::CutBack(std::uint64_t position) {
  while (!entries_.empty() && entries_.back().position >= position) entries_.pop_back();
  const BatchPlace last = entries_.empty() ? first_ : PlaceOf(entries_.back());
  if (!entries_.empty()) entries_.pop_back();  // the scan finds it anew
  std::erase_if(damaged_, [&](const DamagedRange& range) { return range.end > last.position; });
  return last;
}

void OffsetIndex::Prepend(const OffsetIndex& prefix) {
  HEADRACE_CHECK(prefix.first_.position == 0);
  // The batch at the seam was known without an entry; without one now, a slice that ends there would have to
  // be read.
  entries_.insert(entries_.begin(), EntryOf(first_));
  entries_.insert(entries_.begin(), prefix.entries_.begin(), prefix.entries_.end());
  damaged_.insert(damaged_.begin(), prefix.damaged_.begin(), prefix.damaged_.end());
  first_ = prefix.first_;
}

std::vector<std::byte> OffsetIndex::Serialize(std::uint64_t log_size) const {
  std::vector<std::byte> bytes(kHeaderSize + entries_.size() * kEntrySize + damaged_.size() * kRangeSize);
  std::byte* at = bytes.data();
  std::memcpy(at, kMagic.data(), kMagic.size());
  StoreBigEndian(at + 8, base_offset_);
  StoreBigEndian(at + 16, log_size);
  StoreBigEndian(at + 24, static_cast<std::uint32_t>(entries_.size()));
  StoreBigEndian(at + 28, static_cast<std::uint32_t>(damaged_.size()));
  at += kHeaderSize;
  for (const Entry& entry : entries_) {
    StoreBigEndian(at, entry.relative_offset);
    StoreBigEndian(at + 4, entry.position);
    at += kEntrySize;
  }
  for (const DamagedRange& range : damaged_) {
    StoreBigEndian(at, range.position);
    StoreBigEndian(at + 8, range.end);
    StoreBigEndian(at + 16, range.offset);
    StoreBigEndian(at + 24, range.next_offset);
    at += kRangeSize;
  }
  StoreBigEndian(bytes.data() + 4, Crc32c(ByteSpan(bytes).subspan(8)));
  return bytes;
}

std::optional<OffsetIndex> OffsetIndex::Parse(ByteSpan bytes, Offset base_offset,
                                              std::optional<std::uint64_t> log_size) {
  if (bytes.size() < kHeaderSize || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    return std::nullopt;
  if (LoadBigEndian<Offset>(bytes.data() + 8) != base_offset) return std::nullopt;
  const auto covered = LoadBigEndian<std::uint64_t>(bytes.data() + 16);
  if (log_size.has_value() && covered != *log_size) return std::nullopt;
  const auto entries = LoadBigEndian<std::uint32_t>(bytes.data() + 24);
  const auto ranges = LoadBigEndian<std::uint32_t>(bytes.data() + 28);
  if (bytes.size() !=
      kHeaderSize + std::uint64_t{entries} * kEntrySize + std::uint64_t{ranges} * kRangeSize) {
    return std::nullopt;
  }
  if (Crc32c(bytes.subspan(8)) != LoadBigEndian<std::uint32_t>(bytes.data() + 4)) return std::nullopt;
  OffsetIndex index(base_offset, {base_offset, 0});
  const ByteSpan content = bytes.subspan(kHeaderSize);
  if (!index.ParseEntries(content.first(std::size_t{entries} * kEntrySize), covered)) return std::nullopt;
  if (!index.ParseRanges(content.subspan(std::size_t{entries} * kEntrySize), ranges, covered))
    return std::nullopt;
  return index;
}

bool OffsetIndex::ParseEntries(ByteSpan bytes, std::uint64_t log_size) {
  entries_.reserve(bytes.size() / kEntrySize);
  for (std::size_t at = 0; at < bytes.size(); at += kEntrySize) {
    const Entry entry{LoadBigEndian<std::uint32_t>(bytes.data() + at),
                      LoadBigEndian<std::uint32_t>(bytes.data() + at + 4)};
    const Entry last = entries_.empty() ? Entry{} : entries_.back();
    if (entry.position <= last.position || entry.relative_offset < last.relative_offset) return false;
    if (entry.position >= log_size) return false;
    entries_.push_back(entry);
  }
  return true;
}

bool OffsetIndex::ParseRanges(ByteSpan bytes, std::uint32_t count, std::uint64_t log_size) {
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::byte* at = bytes.data() + std::size_t{i} * kRangeSize;
    const DamagedRange range{LoadBigEndian<std::uint64_t>(at), LoadBigEndian<std::uint64_t>(at + 8),
                             LoadBigEndian<Offset>(at + 16), LoadBigEndian<Offset>(at + 24)};
    if (range.position > range.end || range.end > log_size || range.offset > range.next_offset) return false;
    damaged_.push_back(range);
  }
  return true;
}

}  // namespace headrace::storage
