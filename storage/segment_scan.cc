#include "storage/segment_scan.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "protocol/core/crc32c.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::uint64_t kWindowSize = 256 << 10;
// No room is made for a batch larger than this before its sum is known to be right: its length may be
// damaged.
constexpr std::uint64_t kReadAtOnceMax = 4 << 20;
// Of a search, however hostile the bytes: chains remembered, and sums made in vain, per byte of the file.
constexpr std::size_t kChainsMax = 1 << 16;
constexpr std::uint64_t kSumsPerByte = 16;
constexpr std::size_t kMagicAt = 16;
constexpr std::byte kMagic{2};
constexpr Offset kOffsetMax = std::numeric_limits<Offset>::max();

}  // namespace

SegmentScanner::SegmentScanner(const File& file, BatchPlace from, std::uint64_t limit)
    : file_(file), place_(from), limit_(limit), sums_left_(kSumsPerByte * limit) {}

absl::StatusOr<ByteSpan> SegmentScanner::Bytes(std::uint64_t position, std::uint64_t size) {
  size = std::min(size, limit_ - position);
  const std::uint64_t window_end = window_position_ + window_.size();
  if (position < window_position_ || position + size > window_end) {
    batch_.reset();  // it points into the window
    const bool overlaps = position >= window_position_ && position < window_end;
    const std::uint64_t kept = overlaps ? window_end - position : 0;  // is not read again
    std::copy(window_.end() - static_cast<std::ptrdiff_t>(kept), window_.end(), window_.begin());
    window_.resize(std::min(std::max(size, kWindowSize), limit_ - position));
    window_position_ = position;
    ASSIGN_OR_RETURN(const std::size_t read,
                     file_.ReadAt(position + kept, MutableByteSpan(window_).subspan(kept)));
    window_.resize(kept + read);
    size = std::min<std::uint64_t>(size, window_.size());
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
  if (size > kReadAtOnceMax) {
    ASSIGN_OR_RETURN(const bool right, CrcIsRight(position, size));
    if (!right) return false;
  }
  ASSIGN_OR_RETURN(const ByteSpan bytes, Bytes(position, size));
  const absl::StatusOr<RecordBatchView> batch = RecordBatchView::Parse(bytes);
  if (!batch.ok() || !batch->CheckCrc().ok()) return false;
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

absl::StatusOr<SegmentScanner::Stated> SegmentScanner::StatedAtPlace() {
  Stated stated;
  ASSIGN_OR_RETURN(const ByteSpan header, Bytes(place_.position, kBatchHeaderSize));
  if (header.size() >= kBatchLengthEnd) stated.size = RecordBatchView::StatedSize(header);
  if (header.size() < kBatchHeaderSize || header[kMagicAt] != kMagic) return stated;
  if (stated.size == 0 || LoadBigEndian<Offset>(header.data()) != place_.offset) return stated;
  const auto delta = LoadBigEndian<std::int32_t>(header.data() + 23);
  const auto count = LoadBigEndian<std::int32_t>(header.data() + 57);
  // Either may be what is damaged: the larger one keeps offsets from being used again.
  stated.next = place_.offset + std::max<std::int64_t>({std::int64_t{delta} + 1, count, 1});
  return stated;
}

absl::StatusOr<std::optional<BatchPlace>> SegmentScanner::FindNext(Offset offset_end, Tail tail) {
  ASSIGN_OR_RETURN(Stated stated, StatedAtPlace());
  const std::uint64_t left = limit_ - place_.position;
  const std::uint64_t stated_end = place_.position + stated.size;
  std::uint64_t behind = place_.position + 1;
  if (stated.next.has_value() && stated.size <= left && *stated.next < offset_end) {
    ASSIGN_OR_RETURN(const bool valid, ValidAt(stated_end, *stated.next, *stated.next + 1));
    if (valid) return batch_place_;
  }
  if (stated.size != 0 && stated.size <= left) {
    // Whole, but for what the sum does not cover: nothing begins inside it.
    ASSIGN_OR_RETURN(const bool whole, EndsAt(stated_end));
    if (whole) behind = stated_end;
  }
  if (stated.size > left && tail == Tail::kWhole) stated.next.reset();  // nothing of it can be believed
  searched_ = std::max(searched_, behind);
  std::erase_if(chains_, [&](const Chain& chain) { return chain.begin.position < behind; });
  RETURN_IF_ERROR(DropStrangeChains(stated, offset_end));
  while (chains_.empty() && searched_ + kBatchHeaderSize <= limit_) {
    RETURN_IF_ERROR(FindChains(offset_end));
    RETURN_IF_ERROR(DropStrangeChains(stated, offset_end));
  }
  if (chains_.empty()) return std::nullopt;
  return ChooseChain(stated.next);
}

absl::StatusOr<bool> SegmentScanner::EndsAt(std::uint64_t end) {
  const std::uint64_t size = end - place_.position;
  if (size > sums_left_) return false;
  sums_left_ -= size;
  return CrcIsRight(place_.position, size);
}

// What lies inside the bad batch by its own word is in its records, unless its length is what is damaged,
// which its sum does not cover: then the log goes on where its offsets end, and the sum of what comes before
// is right.
absl::Status SegmentScanner::DropStrangeChains(const Stated& stated, Offset offset_end) {
  const std::uint64_t stated_end = place_.position + stated.size;
  std::vector<Chain> kept;
  for (const Chain& chain : chains_) {
    bool follows = chain.begin.offset > place_.offset && chain.end.offset <= offset_end;
    const bool inside = stated.next.has_value() && chain.begin.position < stated_end;
    if (follows && inside) {
      ASSIGN_OR_RETURN(const bool ends, EndsAt(chain.begin.position));
      follows = ends && chain.begin.offset == *stated.next;
    }
    if (follows) kept.push_back(chain);
  }
  chains_ = std::move(kept);
  return absl::OkStatus();
}

absl::Status SegmentScanner::FindChains(Offset offset_end) {
  // A chain inside a record may begin with a lower offset and go on where the log does: that tells it. Beyond
  // this range chance makes too much look like a batch.
  const Offset offset_first = std::max<Offset>(0, place_.offset - std::numeric_limits<std::int32_t>::max());
  std::vector<std::byte> piece;
  std::uint64_t piece_position = 0;
  while (searched_ + kBatchHeaderSize <= limit_ && chains_.size() < kChainsMax) {
    if (searched_ + kBatchHeaderSize > piece_position + piece.size()) {
      piece.resize(std::min(kWindowSize, limit_ - searched_));
      ASSIGN_OR_RETURN(const std::size_t read, file_.ReadAt(searched_, piece));
      piece.resize(read);
      piece_position = searched_;
      if (read < kBatchHeaderSize) {
        searched_ = limit_;  // the file is shorter than it was
        break;
      }
    }
    const ByteSpan header = ByteSpan(piece).subspan(searched_ - piece_position);
    const std::uint64_t position = searched_++;
    if (header[kMagicAt] != kMagic) continue;
    const auto base_offset = LoadBigEndian<Offset>(header.data());
    if (base_offset < offset_first || base_offset >= offset_end) continue;
    const std::uint64_t size = RecordBatchView::StatedSize(header);
    if (size > std::min(sums_left_, limit_ - position)) continue;
    ASSIGN_OR_RETURN(const std::optional<Chain> chain, ChainAt(position));
    if (!chain.has_value()) {
      sums_left_ -= size;
      continue;
    }
    chains_.push_back(*chain);
    searched_ = chain->end.position;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<SegmentScanner::Chain>> SegmentScanner::ChainAt(std::uint64_t position) {
  ASSIGN_OR_RETURN(const bool valid, ValidAt(position, 0, kOffsetMax));
  if (!valid) return std::nullopt;
  Chain chain{batch_place_, {batch_->last_offset() + 1, position + batch_->size()}};
  while (chain.end.position < limit_) {
    ASSIGN_OR_RETURN(const bool follows, ValidAt(chain.end.position, chain.end.offset, chain.end.offset + 1));
    if (!follows) break;
    chain.end = {batch_->last_offset() + 1, batch_place_.position + batch_->size()};
  }
  return chain;
}

// Batches inside a record make a chain too, which breaks where the record ends. The log's own reaches the
// limit, or begins where the bad batch's offsets end, if its header can be believed, or is the longest. A
// chain before that one is the log's if its offsets are lower and some are missing behind it: more damage.
BatchPlace SegmentScanner::ChooseChain(std::optional<Offset> expected) const {
  const auto rank = [&](const Chain& chain) {
    return std::tuple(chain.end.position == limit_, chain.begin.offset == expected,
                      chain.end.position - chain.begin.position);
  };
  auto chosen = std::max_element(chains_.begin(), chains_.end(), [&](const Chain& left, const Chain& right) {
    return rank(left) < rank(right);
  });
  for (auto before = chosen; before != chains_.begin() && chosen->begin.offset != expected;) {
    --before;
    if (before->end.offset < chosen->begin.offset) chosen = before;
  }
  return chosen->begin;
}

absl::StatusOr<std::optional<Offset>> SegmentScanner::WholeButCorrupt() {
  ASSIGN_OR_RETURN(const Stated stated, StatedAtPlace());
  return stated.size == limit_ - place_.position ? stated.next : std::nullopt;
}

absl::StatusOr<ScannedIndexes> ScanIndexes(const File& file, Offset base_offset, std::uint64_t limit,
                                           Offset offset_end, std::uint32_t interval) {
  const BatchPlace begin{base_offset, 0};
  return CompleteIndexes({OffsetIndex(base_offset, begin), TimeIndex(base_offset)}, file, begin,
                         {offset_end, limit}, interval);
}

absl::StatusOr<ScannedIndexes> CompleteIndexes(ScannedIndexes indexes, const File& file, BatchPlace from,
                                               BatchPlace end, std::uint32_t interval) {
  SegmentScanner scanner(file, from, end.position);
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
      if (bad.offset < end.offset) {
        indexes.offsets.NoteDamage({bad.position, bad.position, bad.offset, end.offset});
      }
      return indexes;
    }
    ASSIGN_OR_RETURN(const std::optional<BatchPlace> next, scanner.FindNext(end.offset));
    const BatchPlace resumed = next.value_or(BatchPlace{std::max(bad.offset, end.offset), end.position});
    indexes.offsets.NoteDamage({bad.position, resumed.position, bad.offset, resumed.offset});
    scanner.Resume(resumed);
  }
}

}  // namespace headrace::storage
