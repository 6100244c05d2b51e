#include "storage/segment_scan.h"

#include <algorithm>
#include <limits>

#include "protocol/core/crc32c.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::uint64_t kWindowSize = 256 << 10;
constexpr std::size_t kMagicAt = 16;
constexpr std::byte kMagic{2};
constexpr Offset kOffsetMax = std::numeric_limits<Offset>::max();

}  // namespace

SegmentScanner::SegmentScanner(const File& file, BatchPlace from, std::uint64_t limit)
    : file_(file), place_(from), limit_(limit) {}

absl::StatusOr<ByteSpan> SegmentScanner::Bytes(std::uint64_t position, std::uint64_t size) {
  size = std::min(size, limit_ - position);
  const bool inside = position >= window_position_ && position + size <= window_position_ + window_.size();
  if (!inside) {
    batch_.reset();  // it points into the window
    window_position_ = position;
    window_.resize(std::min(std::max(size, kWindowSize), limit_ - position));
    ASSIGN_OR_RETURN(const std::size_t read, file_.ReadAt(position, window_));
    window_.resize(read);
    size = std::min<std::uint64_t>(size, read);
  }
  return ByteSpan(window_).subspan(position - window_position_, size);
}

absl::StatusOr<bool> SegmentScanner::CrcIsRight(std::uint64_t position, std::uint64_t size) {
  ASSIGN_OR_RETURN(const ByteSpan header, Bytes(position, kBatchHeaderSize));
  if (header.size() < kBatchHeaderSize) return false;
  const auto stated = LoadBigEndian<std::uint32_t>(header.data() + 17);
  std::uint32_t sum = 0;
  for (std::uint64_t at = kBatchCrcStart; at < size;) {
    ASSIGN_OR_RETURN(const ByteSpan piece, Bytes(position + at, std::min(kWindowSize, size - at)));
    if (piece.empty()) return false;
    sum = Crc32c(piece, sum);
    at += piece.size();
  }
  return sum == stated;
}

absl::StatusOr<bool> SegmentScanner::ValidAt(std::uint64_t position, Offset offset_first, Offset offset_end) {
  if (position + kBatchHeaderSize > limit_) return false;
  ASSIGN_OR_RETURN(const ByteSpan header, Bytes(position, kBatchHeaderSize));
  if (header.size() < kBatchHeaderSize || header[kMagicAt] != kMagic) return false;
  const auto base_offset = LoadBigEndian<Offset>(header.data());
  if (base_offset < offset_first || base_offset >= offset_end) return false;
  const std::uint64_t size = RecordBatchView::StatedSize(header);
  if (size == 0 || size > limit_ - position) return false;
  ASSIGN_OR_RETURN(const bool right, CrcIsRight(position, size));
  if (!right) return false;
  ASSIGN_OR_RETURN(const ByteSpan bytes, Bytes(position, size));
  const absl::StatusOr<RecordBatchView> batch = RecordBatchView::Parse(bytes);
  if (!batch.ok()) return false;
  batch_ = *batch;
  batch_place_ = {base_offset, position};
  return true;
}

absl::StatusOr<SegmentScanner::Found> SegmentScanner::Next() {
  if (place_.position >= limit_) return Found::kEnd;
  const Offset offset_end = place_.offset == kOffsetMax ? kOffsetMax : place_.offset + 1;
  ASSIGN_OR_RETURN(const bool valid, ValidAt(place_.position, place_.offset, offset_end));
  if (!valid) return Found::kBad;
  place_ = {batch_->last_offset() + 1, batch_place_.position + batch_->size()};
  return Found::kBatch;
}

absl::StatusOr<std::optional<BatchPlace>> SegmentScanner::FindNext(Offset offset_end) {
  const Offset first = place_.offset + 1;
  if (place_.position + kBatchLengthEnd <= limit_) {
    ASSIGN_OR_RETURN(const ByteSpan head, Bytes(place_.position, kBatchLengthEnd));
    const std::uint64_t stated = head.size() < kBatchLengthEnd ? 0 : RecordBatchView::StatedSize(head);
    if (stated != 0 && stated < limit_ - place_.position) {
      ASSIGN_OR_RETURN(const bool valid, ValidAt(place_.position + stated, first, offset_end));
      if (valid) return batch_place_;
    }
  }
  std::vector<std::byte> piece(kWindowSize);
  for (std::uint64_t from = place_.position + 1; from + kBatchHeaderSize <= limit_;) {
    const std::uint64_t wanted = std::min(kWindowSize, limit_ - from);
    ASSIGN_OR_RETURN(const std::size_t read, file_.ReadAt(from, MutableByteSpan(piece).first(wanted)));
    if (read < kBatchHeaderSize) break;
    const std::uint64_t last = read - kBatchHeaderSize;
    for (std::uint64_t at = 0; at <= last; ++at) {
      if (piece[at + kMagicAt] != kMagic) continue;
      const auto base_offset = LoadBigEndian<Offset>(piece.data() + at);
      if (base_offset < first || base_offset >= offset_end) continue;
      ASSIGN_OR_RETURN(const bool valid, ValidAt(from + at, first, offset_end));
      if (valid) return batch_place_;
    }
    from += last + 1;
  }
  return std::nullopt;
}

absl::StatusOr<std::optional<Offset>> SegmentScanner::WholeButCorrupt() {
  ASSIGN_OR_RETURN(const ByteSpan header, Bytes(place_.position, kBatchHeaderSize));
  if (header.size() < kBatchHeaderSize || header[kMagicAt] != kMagic) return std::nullopt;
  if (LoadBigEndian<Offset>(header.data()) != place_.offset) return std::nullopt;
  const std::uint64_t size = RecordBatchView::StatedSize(header);
  if (size == 0 || size != limit_ - place_.position) return std::nullopt;
  const auto delta = LoadBigEndian<std::int32_t>(header.data() + 23);
  const auto count = LoadBigEndian<std::int32_t>(header.data() + 57);
  // Either may be what is damaged: the larger one keeps offsets from being used again.
  const std::int64_t offsets = std::max<std::int64_t>({std::int64_t{delta} + 1, count, 1});
  return place_.offset + offsets;
}

absl::StatusOr<ScannedIndexes> ScanIndexes(const File& file, Offset base_offset, std::uint64_t limit,
                                           Offset offset_end, std::uint32_t interval) {
  ScannedIndexes indexes{OffsetIndex(base_offset, {base_offset, 0}), TimeIndex(base_offset)};
  SegmentScanner scanner(file, {base_offset, 0}, limit);
  for (;;) {
    ASSIGN_OR_RETURN(const SegmentScanner::Found found, scanner.Next());
    if (found == SegmentScanner::Found::kBatch) {
      indexes.times.Note(indexes.max_timestamp, scanner.batch_place(), interval);
      indexes.offsets.Note(scanner.batch_place(), interval);
      indexes.max_timestamp = std::max(indexes.max_timestamp, scanner.batch().max_timestamp());
      continue;
    }
    const BatchPlace bad = scanner.place();
    if (found == SegmentScanner::Found::kEnd) {
      if (bad.offset < offset_end) {
        indexes.offsets.NoteDamage({bad.position, bad.position, bad.offset, offset_end});
      }
      return indexes;
    }
    ASSIGN_OR_RETURN(const std::optional<BatchPlace> next, scanner.FindNext(offset_end));
    const BatchPlace resumed = next.value_or(BatchPlace{std::max(bad.offset, offset_end), limit});
    indexes.offsets.NoteDamage({bad.position, resumed.position, bad.offset, resumed.offset});
    scanner.Resume(resumed);
  }
}

}  // namespace headrace::storage
