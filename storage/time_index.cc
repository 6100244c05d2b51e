#include "storage/time_index.h"

#include <algorithm>
#include <cstring>

#include "protocol/core/crc32c.h"

namespace headrace::storage {
namespace {

constexpr std::string_view kMagic = "HRTI";
constexpr std::size_t kHeaderSize = 48;
constexpr std::size_t kEntrySize = 16;

}  // namespace

void TimeIndex::Note(TimestampMs max_before, BatchPlace place, std::uint32_t interval) {
  if (!entries_.empty()) {
    const Entry& last = entries_.back();
    if (max_before <= last.max_before || place.position - last.position < interval) return;
  }
  entries_.push_back({max_before, static_cast<std::uint32_t>(place.offset - base_offset_),
                      static_cast<std::uint32_t>(place.position)});
}

std::optional<BatchPlace> TimeIndex::Floor(TimestampMs timestamp) const {
  const auto above =
      std::lower_bound(entries_.begin(), entries_.end(), timestamp,
                       [](const Entry& entry, TimestampMs wanted) { return entry.max_before < wanted; });
  if (above == entries_.begin()) return std::nullopt;
  const Entry& entry = *std::prev(above);
  return BatchPlace{base_offset_ + entry.relative_offset, entry.position};
}

void TimeIndex::CutBack(std::uint64_t position) {
  while (!entries_.empty() && entries_.back().position >= position) entries_.pop_back();
}

void TimeIndex::Prepend(const TimeIndex& prefix) {
  entries_.insert(entries_.begin(), prefix.entries_.begin(), prefix.entries_.end());
}

std::vector<std::byte> TimeIndex::Serialize(std::uint64_t log_size, const SegmentTimes& times) const {
  std::vector<std::byte> bytes(kHeaderSize + entries_.size() * kEntrySize);
  std::byte* at = bytes.data();
  std::memcpy(at, kMagic.data(), kMagic.size());
  StoreBigEndian(at + 8, base_offset_);
  StoreBigEndian(at + 16, log_size);
  StoreBigEndian(at + 24, times.first_append);
  StoreBigEndian(at + 32, times.last_append);
  StoreBigEndian(at + 40, times.max_timestamp);
  at += kHeaderSize;
  for (const Entry& entry : entries_) {
    StoreBigEndian(at, entry.max_before);
    StoreBigEndian(at + 8, entry.relative_offset);
    StoreBigEndian(at + 12, entry.position);
    at += kEntrySize;
  }
  StoreBigEndian(bytes.data() + 4, Crc32c(ByteSpan(bytes).subspan(8)));
  return bytes;
}

std::optional<TimeIndex::Parsed> TimeIndex::Parse(ByteSpan bytes, Offset base_offset,
                                                  std::optional<std::uint64_t> log_size) {
  if (bytes.size() < kHeaderSize || (bytes.size() - kHeaderSize) % kEntrySize != 0) return std::nullopt;
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return std::nullopt;
  if (LoadBigEndian<Offset>(bytes.data() + 8) != base_offset) return std::nullopt;
  const auto covered = LoadBigEndian<std::uint64_t>(bytes.data() + 16);
  if (log_size.has_value() && covered != *log_size) return std::nullopt;
  if (Crc32c(bytes.subspan(8)) != LoadBigEndian<std::uint32_t>(bytes.data() + 4)) return std::nullopt;
  Parsed parsed{TimeIndex(base_offset),
                {LoadBigEndian<TimestampMs>(bytes.data() + 24), LoadBigEndian<TimestampMs>(bytes.data() + 32),
                 LoadBigEndian<TimestampMs>(bytes.data() + 40)}};
  parsed.index.entries_.reserve((bytes.size() - kHeaderSize) / kEntrySize);
  for (std::size_t at = kHeaderSize; at < bytes.size(); at += kEntrySize) {
    const Entry entry{LoadBigEndian<TimestampMs>(bytes.data() + at),
                      LoadBigEndian<std::uint32_t>(bytes.data() + at + 8),
                      LoadBigEndian<std::uint32_t>(bytes.data() + at + 12)};
    if (entry.position > covered) return std::nullopt;
    parsed.index.entries_.push_back(entry);
  }
  return parsed;
}

}  // namespace headrace::storage
