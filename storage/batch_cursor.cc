#include "storage/batch_cursor.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::size_t kMagicAt = 16;
constexpr std::int8_t kMagic = 2;
constexpr Offset kDeltaMax = std::numeric_limits<std::int32_t>::max();

absl::Status NoBatch(const File& file, std::uint64_t position) {
  return MakeError(ErrorCode::kCorruptMessage,
                   absl::StrCat(file.path(), ": no record batch begins at position ", position));
}

}  // namespace

BatchCursor::BatchCursor(const File& file, std::uint64_t position, std::uint64_t limit)
    : file_(file), position_(position), limit_(limit) {}

absl::StatusOr<const std::byte*> BatchCursor::Header() {
  if (limit_ - position_ < kBatchHeaderSize) return NoBatch(file_, position_);
  if (position_ < buffer_position_ || position_ + kBatchHeaderSize > buffer_position_ + buffered_) {
    const std::uint64_t wanted = std::min<std::uint64_t>(buffer_.size(), limit_ - position_);
    ASSIGN_OR_RETURN(buffered_, file_.ReadAt(position_, MutableByteSpan(buffer_).first(wanted)));
    buffer_position_ = position_;
    if (buffered_ < kBatchHeaderSize) return NoBatch(file_, position_);
  }
  return buffer_.data() + (position_ - buffer_position_);
}

absl::StatusOr<StoredBatch> BatchCursor::Next() {
  ASSIGN_OR_RETURN(const std::byte* const header, Header());
  StoredBatch batch;
  batch.position = position_;
  batch.size = RecordBatchView::StatedSize({header, kBatchHeaderSize});
  batch.base_offset = LoadBigEndian<Offset>(header);
  const auto last_offset_delta = LoadBigEndian<std::int32_t>(header + 23);
  batch.max_timestamp = LoadBigEndian<TimestampMs>(header + 35);
  const bool plausible = batch.size != 0 && batch.size <= limit_ - position_ && batch.base_offset >= 0 &&
                         batch.base_offset <= std::numeric_limits<Offset>::max() - kDeltaMax &&
                         last_offset_delta >= 0 && LoadBigEndian<std::int8_t>(header + kMagicAt) == kMagic;
  if (!plausible) return NoBatch(file_, position_);
  batch.last_offset = batch.base_offset + last_offset_delta;
  position_ += batch.size;
  return batch;
}

}  // namespace headrace::storage
