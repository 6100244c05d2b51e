#include "storage/segment.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_format.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/io/file_cache.h"

namespace headrace::storage {

std::string SegmentPath(const std::string& directory, Offset base_offset, std::string_view suffix) {
  std::array<char, 20> digits;
  auto rest = static_cast<std::uint64_t>(base_offset);
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, rest /= 10) {
    *digit = static_cast<char>('0' + rest % 10);
  }
  std::string path;
  path.reserve(directory.size() + digits.size() + suffix.size() + 2);
  path.append(directory).push_back('/');
  path.append(digits.data(), digits.size()).push_back('.');
  return path.append(suffix);
}

Segment::Segment(SegmentHome home, Offset base_offset)
    : home_(std::move(home)),
      base_offset_(base_offset),
      written_{base_offset, 0},
      published_{0, base_offset} {}

Segment::Segment(SegmentHome home, Offset base_offset, BatchPlace written, const SegmentTimes& times,
                 bool verified, std::uint32_t revision)
    : home_(std::move(home)),
      base_offset_(base_offset),
      revision_(revision),
      verified_(verified),
      written_(written),
      synced_(written.position),
      published_{written.position, written.offset},
      times_(times) {}

absl::Status Segment::Create() {
  const std::string path = Path("log");
  home_.environment->cache->Drop(path);
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, home_.environment->cache->Get(path, OpenMode::kCreate));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  // A roll that failed may have left bytes that were never taken in.
  return size == 0 ? absl::OkStatus() : file->Truncate(0);
}

absl::Status Segment::Write(std::span<const ByteSpan> pieces) {
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, Open());
  std::uint64_t position = 0;
  {
    const core::MutexLock lock(mutex_);
    pinned_ = file;
    position = written_.position;
  }
  return file->WriteAt(position, pieces);
}

void Segment::Adopt(std::span<const RecordBatchView> batches, TimestampMs append_time) {
  const core::MutexLock lock(mutex_);
  Memory& memory = EnsureMemory();
  if (written_.position == 0) times_.first_append = append_time;
  times_.last_append = std::max(times_.last_append, append_time);
  for (const RecordBatchView& batch : batches) {
    memory.times.Note(times_.max_timestamp, written_, home_.index_interval);
    memory.offsets.Note(written_, home_.index_interval);
    times_.max_timestamp = std::max(times_.max_timestamp, batch.max_timestamp());
    written_ = {batch.last_offset() + 1, written_.position + batch.size()};
  }
}

absl::Status Segment::CutBack() {
  std::shared_ptr<File> file;
  std::uint64_t size = 0;
  {
    const core::MutexLock lock(mutex_);
    file = pinned_;
    size = written_.position;
    if (synced_ >= size) pinned_ = nullptr;
  }
  return file == nullptr ? absl::OkStatus() : file->Truncate(size);
}

std::shared_ptr<File> Segment::UnsyncedFile() const {
  const core::MutexLock lock(mutex_);
  return synced_ < written_.position ? pinned_ : nullptr;
}

void Segment::MarkSynced(std::uint64_t size) {
  std::shared_ptr<File> released;  // closed, if it is, after the lock
  const core::MutexLock lock(mutex_);
  synced_ = std::max(synced_, size);
  if (synced_ >= written_.position) released = std::move(pinned_);
}

void Segment::Publish(PublishedEnd end) {
  const core::MutexLock lock(mutex_);
  if (end.size >= published_.size && end.offset > published_.offset) published_ = end;
}

BatchPlace Segment::written() const {
  const core::MutexLock lock(mutex_);
  return written_;
}

SegmentTimes Segment::times() const {
  const core::MutexLock lock(mutex_);
  return times_;
}

SegmentSummary Segment::Summary() const {
  const core::MutexLock lock(mutex_);
  return {base_offset_, written_.position, times_.first_append, times_.last_append, times_.max_timestamp};
}

PublishedEnd Segment::published() const {
  const core::MutexLock lock(mutex_);
  return published_;
}

absl::Status Segment::Delete() {
  std::shared_ptr<File> released;  // a cursor that still has this segment must not keep the space
  {
    const core::MutexLock lock(mutex_);
    deleted_ = true;
    released = std::move(pinned_);
  }
  const std::string path = Path("log");
  FileSystem& files = *home_.environment->files;
  for (const std::string& name : {path, Path("index"), Path("timeindex")}) {
    const absl::Status removed = files.Remove(name);
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  }
  home_.environment->cache->Drop(path);
  home_.environment->indexes->Drop(IndexKey());
  return absl::OkStatus();
}

void Segment::Pin(std::shared_ptr<File> file) {
  const core::MutexLock lock(mutex_);
  pinned_ = std::move(file);
}

void Segment::Unpin() {
  std::shared_ptr<File> released;
  const core::MutexLock lock(mutex_);
  released = std::move(pinned_);
}

void Segment::Retire() {
  std::shared_ptr<File> released;  // a cursor that still has this segment must not keep the space
  const core::MutexLock store_lock(store_mutex_);
  const core::MutexLock lock(mutex_);
  retired_ = true;
  deleted_ = true;
  released = std::move(pinned_);
}

bool Segment::retired() const {
  const core::MutexLock lock(mutex_);
  return retired_;
}

absl::StatusOr<std::shared_ptr<File>> Segment::Open() const {
  bool verified = false;
  {
    const core::MutexLock lock(mutex_);
    if (pinned_ != nullptr) return pinned_;
    verified = verified_;
  }
  absl::StatusOr<std::shared_ptr<File>> file = home_.environment->cache->Get(Path("log"), OpenMode::kWrite);
  {
    // What was opened may be a successor's: then this segment was pinned before, and perhaps retired since.
    const core::MutexLock lock(mutex_);
    if (pinned_ != nullptr) return pinned_;
    if (retired_) return absl::AbortedError(absl::StrFormat("%s: compaction has replaced it", Path("log")));
  }
  if (absl::IsNotFound(file.status())) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s: the file is gone; restore it, or move the log's directory away", Path("log")));
  }
  RETURN_IF_ERROR(file.status());
  if (!verified) RETURN_IF_ERROR(CheckSize(**file));
  return file;
}

absl::Status Segment::CheckSize(const File& file) const {
  ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
  const core::MutexLock lock(mutex_);
  if (size != written_.position) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s: it has %d bytes, the last shutdown left %d; restore the file, or remove `clean` from "
        "the data directory to have the log recovered",
        file.path(), size, written_.position));
  }
  verified_ = true;
  return absl::OkStatus();
}

absl::Status Segment::DamageError(const DamagedRange& range) const {
  return MakeError(
      ErrorCode::kCorruptMessage,
      absl::StrFormat("%s: no valid batch at position %d (offset %d); readable again from offset %d",
                      Path("log"), range.position, range.offset, range.next_offset));
}

}  // namespace headrace::storage
