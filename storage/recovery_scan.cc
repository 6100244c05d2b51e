#include "storage/recovery_scan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {

RecoveryScan::RecoveryScan(Log::State& state, std::vector<FoundSegment>& segments, TailRule rule,
                           RecoveryReport& report)
    : state_(state),
      segments_(segments),
      rule_(rule),
      report_(report),
      quarantine_(state.environment, *state.directory) {}

std::string RecoveryScan::PathOf(const FoundSegment& segment, std::string_view suffix) const {
  return SegmentPath(*state_.directory, segment.base_offset, suffix);
}

absl::StatusOr<std::shared_ptr<File>> RecoveryScan::Open(const FoundSegment& segment) {
  return state_.environment.files->Open(PathOf(segment), OpenMode::kWrite);
}

Offset RecoveryScan::OffsetEnd(std::size_t i) const {
  if (i + 1 < segments_.size()) return segments_[i + 1].base_offset;
  return segments_[i].base_offset + std::numeric_limits<std::int32_t>::max();
}

absl::Status RecoveryScan::Run(std::size_t first, BatchPlace from) {
  for (std::size_t i = first; i < segments_.size(); ++i) {
    if (i > first && segments_[i].base_offset != segments_[i - 1].end.offset) {
      const std::size_t count = segments_.size();
      RETURN_IF_ERROR(ResolveGap(i));
      if (segments_.size() < count) {
        --i;
        continue;
      }
    }
    RETURN_IF_ERROR(ScanSegment(i, i == first ? from : BatchPlace{segments_[i].base_offset, 0}));
  }
  return absl::OkStatus();
}

absl::Status RecoveryScan::ResolveGap(std::size_t i) {
  FoundSegment& before = segments_[i - 1];
  const FoundSegment& segment = segments_[i];
  if (segment.base_offset < before.end.offset) {
    return QuarantineSegment(i, "its first offset is in the segment before it");
  }
  if (rule_ == TailRule::kOtherBoot) return QuarantineFrom(i);
  const Offset resumed = segment.base_offset;
  NoteDamage(before, {before.end.position, before.end.position, before.end.offset, resumed});
  before.end.offset = resumed;
  return absl::OkStatus();
}

absl::Status RecoveryScan::ScanSegment(std::size_t i, BatchPlace from) {
  FoundSegment& segment = segments_[i];
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, Open(segment));
  segment.scanned = true;
  ASSIGN_OR_RETURN(segment.indexes, IndexesBelow(segment, *file, from));
  for (const DamagedRange& range : segment.indexes->offsets.damaged()) ReportDamage(segment, range);
  segment.indexes->max_timestamp = segment.max_timestamp;
  SegmentScanner scanner(*file, from, segment.size);
  report_.bytes_scanned += segment.size - from.position;
  ScannedIndexes& indexes = *segment.indexes;
  while (!segment.cut) {
    ASSIGN_OR_RETURN(const SegmentScanner::Found found, scanner.Next());
    if (found == SegmentScanner::Found::kEnd) break;
    if (found == SegmentScanner::Found::kBad) {
      RETURN_IF_ERROR(Resolve(i, *file, scanner));
      continue;
    }
    indexes.times.Note(indexes.max_timestamp, scanner.batch_place(), state_.options.index_interval);
    indexes.offsets.Note(scanner.batch_place(), state_.options.index_interval);
    indexes.max_timestamp = std::max(indexes.max_timestamp, scanner.batch().max_timestamp());
  }
  segment.end = scanner.place();
  segment.max_timestamp = indexes.max_timestamp;
  RETURN_IF_ERROR(RemoveOtherIndexes(segment));
  return file->Sync();
}

absl::StatusOr<ScannedIndexes> RecoveryScan::IndexesBelow(const FoundSegment& segment, const File& file,
                                                          BatchPlace end) {
  const Offset base = segment.base_offset;
  BatchPlace from{base, 0};
  ScannedIndexes known{OffsetIndex(base, from), TimeIndex(base)};
  FileSystem& files = *state_.environment.files;
  auto offsets = OffsetIndex::Parse(ReadIndexBytes(files, PathOf(segment, "index")), base, std::nullopt);
  auto times = TimeIndex::Parse(ReadIndexBytes(files, PathOf(segment, "timeindex")), base, std::nullopt);
  if (end.position > 0 && offsets.has_value() && times.has_value()) {
    from = offsets->CutBack(end.position);
    times->index.CutBack(from.position);
    // A maximum of a little more than lies below: an entry may lead a search too far back, never too far on.
    known = {*std::move(offsets), std::move(times->index), times->times.max_timestamp};
  }
  report_.bytes_indexed += end.position - from.position;
  return CompleteIndexes(std::move(known), file, from, end, state_.options.index_interval);
}

// Index files that cover another number of bytes would fit again, once the file has grown to it.
absl::Status RecoveryScan::RemoveOtherIndexes(const FoundSegment& segment) {
  FileSystem& files = *state_.environment.files;
  for (const std::string_view suffix : {"index", "timeindex"}) {
    const std::vector<std::byte> bytes = ReadIndexBytes(files, PathOf(segment, suffix));
    if (bytes.empty()) continue;
    if (OffsetIndex::Parse(bytes, segment.base_offset, segment.size).has_value()) continue;
    if (TimeIndex::Parse(bytes, segment.base_offset, segment.size).has_value()) continue;
    const absl::Status removed = files.Remove(PathOf(segment, suffix));
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  }
  return absl::OkStatus();
}

absl::Status RecoveryScan::Resolve(std::size_t i, File& file, SegmentScanner& scanner) {
  FoundSegment& segment = segments_[i];
  const BatchPlace bad = scanner.place();
  if (rule_ == TailRule::kOtherBoot) return Cut(i, file, bad);
  ASSIGN_OR_RETURN(const bool followed, ValidBatchAfter(i));
  using Tail = SegmentScanner::Tail;
  ASSIGN_OR_RETURN(std::optional<BatchPlace> next,
                   scanner.FindNext(OffsetEnd(i), followed ? Tail::kWhole : Tail::kMayBeTorn));
  if (!next.has_value() && followed) {
    next = BatchPlace{std::max(bad.offset, OffsetEnd(i)), segment.size};
  } else if (!next.has_value() && rule_ == TailRule::kSameBoot) {
    ASSIGN_OR_RETURN(const std::optional<Offset> behind, scanner.WholeButCorrupt());
    if (behind.has_value()) next = BatchPlace{std::min(*behind, OffsetEnd(i)), segment.size};
  }
  if (!next.has_value()) return Cut(i, file, bad);
  NoteDamage(segment, {bad.position, next->position, bad.offset, next->offset});
  scanner.Resume(*next);
  return absl::OkStatus();
}

absl::StatusOr<bool> RecoveryScan::ValidBatchAfter(std::size_t i) {
  for (std::size_t later = i + 1; later < segments_.size(); ++later) {
    ASSIGN_OR_RETURN(const std::shared_ptr<File> file, Open(segments_[later]));
    SegmentScanner scanner(*file, {segments_[later].base_offset, 0}, segments_[later].size);
    ASSIGN_OR_RETURN(const SegmentScanner::Found found, scanner.Next());
    if (found == SegmentScanner::Found::kBatch) return true;
    if (found == SegmentScanner::Found::kEnd) continue;
    ASSIGN_OR_RETURN(const std::optional<BatchPlace> next, scanner.FindNext(OffsetEnd(later)));
    if (next.has_value()) return true;
  }
  return false;
}

absl::Status RecoveryScan::Cut(std::size_t i, File& file, BatchPlace place) {
  RETURN_IF_ERROR(QuarantineFrom(i + 1));
  FoundSegment& segment = segments_[i];
  segment.cut = true;
  const std::uint64_t size = segment.size - place.position;
  ASSIGN_OR_RETURN(const std::string kept, quarantine_.CopyBytes(file, place.position, size, place.offset));
  RETURN_IF_ERROR(file.Truncate(place.position));
  segment.size = place.position;
  report_.bytes_cut += size;
  state_.Report(absl::StrCat(PathOf(segment), ": cut the last ", size, " bytes, from position ",
                             place.position, " (offset ", place.offset,
                             "), which are no whole batch; they are kept in ", kept));
  return absl::OkStatus();
}

absl::Status RecoveryScan::QuarantineFrom(std::size_t first) {
  while (segments_.size() > first) {
    RETURN_IF_ERROR(QuarantineSegment(segments_.size() - 1, "the log ends before it"));
  }
  return absl::OkStatus();
}

absl::Status RecoveryScan::QuarantineSegment(std::size_t i, std::string_view why) {
  const FoundSegment segment = segments_[i];
  FileSystem& files = *state_.environment.files;
  for (const std::string_view suffix : {"index", "timeindex"}) {
    const absl::Status removed = files.Remove(PathOf(segment, suffix));
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  }
  if (segment.size == 0) {
    RETURN_IF_ERROR(files.Remove(PathOf(segment)));
  } else {
    const std::string path = PathOf(segment);
    ASSIGN_OR_RETURN(const std::string kept, quarantine_.MoveFile(path.substr(path.rfind('/') + 1)));
    report_.bytes_cut += segment.size;
    state_.Report(absl::StrCat(path, ": moved to ", kept, ": ", std::string(why)));
  }
  segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(i));
  return absl::OkStatus();
}

void RecoveryScan::NoteDamage(FoundSegment& segment, const DamagedRange& range) {
  if (segment.indexes.has_value()) segment.indexes->offsets.NoteDamage(range);
  ReportDamage(segment, range);
}

void RecoveryScan::ReportDamage(const FoundSegment& segment, const DamagedRange& range) {
  ++report_.damaged_ranges;
  state_.Report(absl::StrCat(PathOf(segment), ": damaged from position ", range.position, " to ", range.end,
                             ": offsets ", range.offset, " to ", range.next_offset - 1,
                             " cannot be read; everything else can"));
}

}  // namespace headrace::storage
