#include "storage/compaction_policy.h"

#include <algorithm>

namespace headrace::storage {
namespace {

constexpr std::size_t kProgressSize = 20;
constexpr std::uint32_t kFormat = 1;

}  // namespace

std::vector<std::byte> CompactionProgress::Serialize() const {
  std::vector<std::byte> bytes(kProgressSize);
  StoreBigEndian(bytes.data(), kFormat);
  StoreBigEndian(bytes.data() + 4, first_dirty);
  StoreBigEndian(bytes.data() + 12, next_horizon);
  return bytes;
}

std::optional<CompactionProgress> CompactionProgress::Parse(ByteSpan bytes) {
  if (bytes.size() != kProgressSize || LoadBigEndian<std::uint32_t>(bytes.data()) != kFormat) {
    return std::nullopt;
  }
  CompactionProgress progress;
  progress.first_dirty = LoadBigEndian<Offset>(bytes.data() + 4);
  progress.next_horizon = LoadBigEndian<TimestampMs>(bytes.data() + 12);
  return progress;
}

std::size_t SegmentsToCompact(std::span<const SegmentSummary> segments, const CompactionProgress& progress,
                              Offset limit, const LogOptions& options, TimestampMs now) {
  if (!options.compact) return 0;
  std::size_t count = 0;
  std::uint64_t clean = 0;
  std::uint64_t dirty = 0;
  bool waited = false;
  for (; count + 1 < segments.size() && segments[count + 1].base_offset <= limit; ++count) {
    const SegmentSummary& segment = segments[count];
    const bool is_dirty = segments[count + 1].base_offset > progress.first_dirty;
    if (is_dirty && now - segment.last_append < options.min_compaction_lag_ms) break;
    (is_dirty ? dirty : clean) += segment.size;
    waited = waited ||
             (is_dirty && segment.size > 0 && now - segment.first_append > options.max_compaction_lag_ms);
  }
  const bool filthy = dirty > 0 && static_cast<double>(dirty) >=
                                       options.min_cleanable_dirty_ratio * static_cast<double>(clean + dirty);
  return filthy || waited || now >= progress.next_horizon ? count : 0;
}

}  // namespace headrace::storage
