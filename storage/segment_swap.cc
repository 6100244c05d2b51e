#include "storage/segment_swap.h"

#include <charconv>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/batch_cursor.h"
#include "storage/io/small_file.h"
#include "storage/segment.h"

namespace headrace::storage {
namespace {

constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kRecordSize = 48;
constexpr std::size_t kDigits = 20;

std::string PathOf(const std::string& directory) {
  return (directory + "/").append(kSwapFile);
}

absl::StatusOr<SwapRecord> ReadRecord(FileSystem& files, const std::string& directory) {
  const std::string path = PathOf(directory);
  ASSIGN_OR_RETURN(const SmallFile file, ReadSmallFile(files, path));
  if (file.format != kFormat || file.content.size() != kRecordSize) {
    return absl::DataLossError(absl::StrCat(path, ": format ", file.format, " with ", file.content.size(),
                                            " bytes is not known; was it written by a newer version?"));
  }
  const auto field = [&](std::size_t i) { return LoadBigEndian<std::int64_t>(file.content.data() + 8 * i); };
  SwapRecord record;
  record.end = field(1);
  record.segment = {field(0), static_cast<std::uint64_t>(field(2)), field(3), field(4), field(5)};
  return record;
}

absl::Status RemoveIfThere(FileSystem& files, const std::string& path) {
  const absl::Status removed = files.Remove(path);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

// Step 3, if it is not known to be done.
absl::Status FinishRename(FileSystem& files, const std::string& directory, const SwapRecord& record) {
  const std::string cleaned = SegmentPath(directory, record.segment.base_offset, kCleanedSuffix);
  const auto file = files.Open(cleaned, OpenMode::kRead);
  if (absl::IsNotFound(file.status())) return absl::OkStatus();
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(const std::uint64_t size, (*file)->Size());
  if (size != record.segment.size) return absl::OkStatus();  // of a later attempt
  RETURN_IF_ERROR(files.Rename(cleaned, SegmentPath(directory, record.segment.base_offset, "log")));
  return files.SyncDirectory(directory);
}

// Whether the segment at the record's base offset is the new one: it reaches the end.
absl::StatusOr<bool> IsSwapped(FileSystem& files, const std::string& directory, const SwapRecord& record) {
  const auto file = files.Open(SegmentPath(directory, record.segment.base_offset, "log"), OpenMode::kRead);
  if (absl::IsNotFound(file.status())) return false;
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(const std::uint64_t size, (*file)->Size());
  if (size != record.segment.size) return false;
  BatchCursor cursor(**file, 0, size);
  Offset end = record.segment.base_offset;
  while (!cursor.done()) {
    const absl::StatusOr<StoredBatch> batch = cursor.Next();
    if (CodeOf(batch.status()) == ErrorCode::kCorruptMessage) return false;
    RETURN_IF_ERROR(batch.status());
    end = batch->last_offset + 1;
  }
  return end == record.end;
}

// The base offset of a file's name, or -1.
Offset BaseOf(const std::string& name) {
  Offset base = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + std::min(name.size(), kDigits), base);
  return error == std::errc() && end == name.data() + kDigits ? base : -1;
}

// Step 4: the times of the appends are the new segment's, and everything else of its range goes.
absl::Status FinishRemoval(FileSystem& files, const std::string& directory, const SwapRecord& record) {
  const SegmentSummary& segment = record.segment;
  RETURN_IF_ERROR(RemoveIfThere(files, SegmentPath(directory, segment.base_offset, "index")));
  const std::string times_path = SegmentPath(directory, segment.base_offset, "timeindex");
  const SegmentTimes times{segment.first_append, segment.last_append, segment.max_timestamp};
  const std::vector<std::byte> footer = TimeIndex(segment.base_offset).Serialize(segment.size, times);
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, files.Open(times_path, OpenMode::kCreate));
  RETURN_IF_ERROR(file->Truncate(0));
  const ByteSpan piece(footer);
  RETURN_IF_ERROR(file->WriteAt(0, {&piece, 1}));
  RETURN_IF_ERROR(file->Sync());
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.List(directory));
  for (const DirectoryEntry& entry : entries) {
    const Offset base = BaseOf(entry.name);
    if (entry.kind != DirectoryEntry::Kind::kFile || base <= segment.base_offset || base >= record.end)
      continue;
    RETURN_IF_ERROR(RemoveIfThere(files, directory + "/" + entry.name));
  }
  return files.SyncDirectory(directory);
}

}  // namespace

absl::Status WriteSwapRecord(FileSystem& files, const std::string& directory, const SwapRecord& record) {
  std::vector<std::byte> content(kRecordSize);
  const SegmentSummary& segment = record.segment;
  const std::int64_t fields[] = {
      segment.base_offset,  record.end,          static_cast<std::int64_t>(segment.size),
      segment.first_append, segment.last_append, segment.max_timestamp};
  std::byte* at = content.data();
  for (const std::int64_t field : fields) {
    StoreBigEndian(at, field);
    at += sizeof field;
  }
  return ReplaceSmallFile(files, PathOf(directory), kFormat, content);
}

absl::Status RemoveSwapRecord(FileSystem& files, const std::string& directory) {
  return RemoveIfThere(files, PathOf(directory));
}

absl::Status FinishSwap(FileSystem& files, const std::string& directory) {
  const absl::StatusOr<SwapRecord> record = ReadRecord(files, directory);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  RETURN_IF_ERROR(record.status());
  RETURN_IF_ERROR(FinishRename(files, directory, *record));
  // The other segments of the range may go only if the new one has what they have.
  RETURN_IF_ERROR(files.SyncDirectory(directory));
  ASSIGN_OR_RETURN(const bool swapped, IsSwapped(files, directory, *record));
  if (swapped) RETURN_IF_ERROR(FinishRemoval(files, directory, *record));
  RETURN_IF_ERROR(RemoveSwapRecord(files, directory));
  return files.SyncDirectory(directory);
}

}  // namespace headrace::storage
