#include "storage/segment_swap.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/batch_cursor.h"
#include "storage/io/small_file.h"
#include "storage/quarantine.h"
#include "storage/segment.h"

namespace headrace::storage {
namespace {

constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kRecordSize = 48;
constexpr std::size_t kDigits = 20;

std::string PathOf(const std::string& directory) {
  return (directory + "/").append(kSwapFile);
}

absl::Status RemoveIfThere(FileSystem& files, const std::string& path) {
  const absl::Status removed = files.Remove(path);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

// How far the batches of a segment follow each other, by their headers.
absl::StatusOr<BatchPlace> Reach(const File& file, Offset base_offset) {
  ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
  BatchCursor cursor(file, 0, size);
  BatchPlace reach{base_offset, 0};
  while (!cursor.done()) {
    const absl::StatusOr<StoredBatch> batch = cursor.Next();
    if (!batch.ok() && CodeOf(batch.status()) != ErrorCode::kCorruptMessage) return batch.status();
    if (!batch.ok() || batch->base_offset != reach.offset) break;
    reach = batch->next();
  }
  return reach;
}

// Whether this file is the whole new segment.
absl::StatusOr<bool> IsNew(FileSystem& files, const std::string& path, const SwapRecord& record) {
  const auto file = files.Open(path, OpenMode::kRead);
  if (absl::IsNotFound(file.status())) return false;
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(const std::uint64_t size, (*file)->Size());
  if (size != record.segment.size) return false;
  ASSIGN_OR_RETURN(const BatchPlace reach, Reach(**file, record.segment.base_offset));
  return reach.offset == record.end && reach.position == size;
}

// Step 3, if it is not known to be done.
absl::Status FinishRename(FileSystem& files, const std::string& directory, const SwapRecord& record) {
  const std::string cleaned = SegmentPath(directory, record.segment.base_offset, kCleanedSuffix);
  ASSIGN_OR_RETURN(const bool whole, IsNew(files, cleaned, record));
  if (!whole) return absl::OkStatus();
  RETURN_IF_ERROR(files.Rename(cleaned, SegmentPath(directory, record.segment.base_offset, "log")));
  return files.SyncDirectory(directory);
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

absl::StatusOr<std::vector<Offset>> SegmentsOf(FileSystem& files, const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.List(directory));
  std::vector<Offset> segments;
  for (const DirectoryEntry& entry : entries) {
    const Offset base = BaseOf(entry.name);
    if (base < 0 || entry.kind != DirectoryEntry::Kind::kFile) continue;
    if (SegmentPath(directory, base, "log") == directory + "/" + entry.name) segments.push_back(base);
  }
  std::sort(segments.begin(), segments.end());
  return segments;
}

// The indexes may be those of what a segment replaced.
absl::Status RemoveIndexes(FileSystem& files, const std::string& directory, Offset base_offset) {
  RETURN_IF_ERROR(RemoveIfThere(files, SegmentPath(directory, base_offset, "index")));
  return RemoveIfThere(files, SegmentPath(directory, base_offset, "timeindex"));
}

// `swap` cannot be read. It was written before anything was replaced, so without a rename the old segments
// are whole. After it the new one is, which was synced before.
absl::Status SetAside(const LogEnvironment& environment, const std::string& directory,
                      const absl::Status& damage) {
  FileSystem& files = *environment.files;
  Quarantine quarantine(environment, directory);
  ASSIGN_OR_RETURN(const std::vector<Offset> segments, SegmentsOf(files, directory));
  std::size_t replaced = 0;
  for (std::size_t i = 0; i < segments.size();) {
    const std::size_t first = i++;
    ASSIGN_OR_RETURN(const auto file,
                     files.Open(SegmentPath(directory, segments[first], "log"), OpenMode::kRead));
    ASSIGN_OR_RETURN(const BatchPlace reach, Reach(*file, segments[first]));
    for (; i < segments.size() && segments[i] < reach.offset; ++i, ++replaced) {
      const std::string path = SegmentPath(directory, segments[i], "log");
      ASSIGN_OR_RETURN(const auto covered, files.Open(path, OpenMode::kRead));
      ASSIGN_OR_RETURN(const BatchPlace covered_reach, Reach(*covered, segments[i]));
      if (covered_reach.offset > reach.offset) break;
      RETURN_IF_ERROR(RemoveIndexes(files, directory, segments[first]));
      RETURN_IF_ERROR(RemoveIndexes(files, directory, segments[i]));
      RETURN_IF_ERROR(quarantine.MoveFile(path.substr(directory.size() + 1)).status());
    }
  }
  ASSIGN_OR_RETURN(const std::string kept, quarantine.MoveFile(std::string(kSwapFile)));
  if (environment.report) {
    environment.report(absl::StrCat(damage.message(), "; it was moved to ", kept, ", with ", replaced,
                                    " segments that compaction had replaced"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SwapRecord> ReadSwapRecord(FileSystem& files, const std::string& directory) {
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

absl::Status FinishSwap(const LogEnvironment& environment, const std::string& directory) {
  FileSystem& files = *environment.files;
  const absl::StatusOr<SwapRecord> record = ReadSwapRecord(files, directory);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  if (absl::IsDataLoss(record.status())) return SetAside(environment, directory, record.status());
  RETURN_IF_ERROR(record.status());
  RETURN_IF_ERROR(FinishRename(files, directory, *record));
  // The other segments of the range may go only if the new one has what they have.
  RETURN_IF_ERROR(files.SyncDirectory(directory));
  const std::string path = SegmentPath(directory, record->segment.base_offset, "log");
  ASSIGN_OR_RETURN(const bool swapped, IsNew(files, path, *record));
  if (swapped) RETURN_IF_ERROR(FinishRemoval(files, directory, *record));
  RETURN_IF_ERROR(RemoveSwapRecord(files, directory));
  return files.SyncDirectory(directory);
}

}  // namespace headrace::storage
