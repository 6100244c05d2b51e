// Reading: from a cursor or an offset to a slice of whole batches.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/log_state.h"

namespace headrace::storage {
namespace {

absl::Status OutOfRange(const std::string& directory, Offset offset, Offset start, Offset high_watermark) {
  return MakeError(ErrorCode::kOffsetOutOfRange,
                   absl::StrCat(directory, ": offset ", offset, " is out of range, readable are ", start,
                                " to ", high_watermark));
}

}  // namespace

std::shared_ptr<Segment> Log::State::SegmentOf(Offset offset) const {
  const auto above = std::upper_bound(
      segments.begin(), segments.end(), offset,
      [](Offset wanted, const std::shared_ptr<Segment>& segment) { return wanted < segment->base_offset(); });
  return above == segments.begin() ? nullptr : *std::prev(above);
}

absl::StatusOr<Log::State::Standing> Log::State::Stand(const ReadCursor& cursor) const {
  const core::MutexLock lock(mutex);
  const Offset first = start.load();
  const Offset last = high_watermark.load();
  if (cursor.offset < first || cursor.offset > last)
    return OutOfRange(*directory, cursor.offset, first, last);
  Standing standing;
  if (cursor.offset == last) return standing;
  if (cursor.segment != nullptr && !cursor.segment->retired() &&
      cursor.position < cursor.segment->published().size) {
    standing.segment = cursor.segment;
    standing.position = cursor.position;
  } else {
    standing.segment = SegmentOf(cursor.offset);
    if (standing.segment == nullptr) return OutOfRange(*directory, cursor.offset, first, last);
    if (standing.segment->base_offset() == cursor.offset) standing.position = 0;
  }
  return standing;
}

absl::StatusOr<FileSlice> Log::Read(ReadCursor& cursor, std::uint64_t size_max) const {
  RETURN_IF_ERROR(unreadable());
  absl::StatusOr<FileSlice> slice = state_->ReadAt(cursor, size_max);
  // Compaction has replaced the segment between the look at the list and the open.
  while (absl::IsAborted(slice.status())) slice = state_->ReadAt(cursor, size_max);
  if (slice.ok()) return slice;
  const ErrorCode code = CodeOf(slice.status());
  if (code == ErrorCode::kOffsetOutOfRange || code == ErrorCode::kCorruptMessage) return slice;
  const LogOffsets now = offsets();
  // Retention may have deleted the file between the look at the list and the open.
  if (cursor.offset < now.start) return OutOfRange(directory(), cursor.offset, now.start, now.high_watermark);
  // The log is not what it was when it was shut down: nothing may be built on it.
  if (absl::IsFailedPrecondition(slice.status())) return state_->Fence(slice.status());
  return MakeError(ErrorCode::kStorageError, MessageOf(slice.status()));
}

absl::StatusOr<FileSlice> Log::State::ReadAt(ReadCursor& cursor, std::uint64_t size_max) const {
  ASSIGN_OR_RETURN(const Standing standing, Stand(cursor));
  if (standing.segment == nullptr) return FileSlice{};
  BatchPlace begin{cursor.offset, standing.position.value_or(0)};
  if (!standing.position.has_value()) {
    ASSIGN_OR_RETURN(begin, standing.segment->Find(cursor.offset));
  }
  ASSIGN_OR_RETURN(const BatchPlace behind, standing.segment->SliceEnd(begin, size_max));
  ASSIGN_OR_RETURN(std::shared_ptr<File> file, standing.segment->Open());
  cursor.segment = standing.segment;
  cursor.offset = behind.offset;
  cursor.position = behind.position;
  return FileSlice{std::move(file), begin.position, behind.position - begin.position};
}

}  // namespace headrace::storage
