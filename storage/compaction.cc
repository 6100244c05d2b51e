#include "storage/compaction.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"
#include "storage/batch_cleaner.h"
#include "storage/compaction_output.h"

namespace headrace::storage {
namespace {

constexpr std::uint64_t kChargeStep = std::uint64_t{256} << 10;
constexpr std::uint64_t kPositionMax = std::numeric_limits<std::uint32_t>::max();

// Tells segments of one name apart within this process.
std::atomic<std::uint32_t> next_revision{1};

}  // namespace

Compaction::Compaction(CompactionPlan plan, CompactionLimits limits)
    : plan_(std::move(plan)),
      limits_(std::move(limits)),
      segments_(plan_.segments),
      progress_(plan_.progress),
      keys_(limits_.key_map_size_max) {
  progress_.first_dirty = std::max(progress_.first_dirty, segments_.front()->base_offset());
}

Offset Compaction::EndOf(std::size_t i) const {
  return i + 1 < segments_.size() ? segments_[i + 1]->base_offset() : plan_.end;
}

absl::Status Compaction::Charge(std::uint64_t bytes) {
  result_.bytes_read += bytes;
  uncharged_ += bytes;
  if (uncharged_ < kChargeStep) return absl::OkStatus();
  const bool go_on = !limits_.proceed || limits_.proceed(uncharged_);
  uncharged_ = 0;
  return go_on ? absl::OkStatus() : absl::CancelledError("compaction was stopped");
}

void Compaction::Report(const Segment& segment, std::string_view what) const {
  const auto& report = plan_.home.environment->report;
  if (report) report(absl::StrCat(segment.Path("log"), ": compaction: ", std::string(what)));
}

bool Compaction::NoteKeys(const RecordBatchView& batch) {
  if (batch.is_control()) return true;
  absl::StatusOr<RecordIterator> records = RecordIterator::Open(batch, limits_.decompressed_size_max);
  if (!records.ok()) return true;  // it stays as it is, and is reported when it is rewritten
  while (records->Next()) {
    const RecordView& record = records->record();
    if (!record.key.has_value() || record.offset < progress_.first_dirty) continue;
    if (keys_.Put(*record.key, record.offset)) continue;
    pass_->end = record.offset;
    return false;
  }
  return true;
}

absl::StatusOr<bool> Compaction::ReadKeys(std::size_t i) {
  const Segment& segment = *segments_[i];
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, segment.Open());
  SegmentScanner scanner(*file, {segment.base_offset(), 0}, segment.written().position);
  for (;;) {
    ASSIGN_OR_RETURN(const SegmentScanner::Found found, scanner.Next());
    if (found == SegmentScanner::Found::kEnd) return true;
    if (found == SegmentScanner::Found::kBad) {
      ASSIGN_OR_RETURN(const std::optional<BatchPlace> next, scanner.FindNext(EndOf(i)));
      if (!next.has_value()) return true;
      scanner.Resume(*next);
      continue;
    }
    const RecordBatchView& batch = scanner.batch();
    RETURN_IF_ERROR(Charge(batch.size()));
    if (batch.last_offset() < progress_.first_dirty) continue;
    if (!NoteKeys(batch)) return false;
  }
}

absl::Status Compaction::BeginPass() {
  pass_ = Pass();
  pass_->end = plan_.end;
  keys_.Clear();
  ++result_.passes;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (EndOf(i) <= progress_.first_dirty) continue;
    ASSIGN_OR_RETURN(const bool more, ReadKeys(i));
    if (!more) break;
  }
  return absl::OkStatus();
}

absl::Status Compaction::RewriteBatch(const RecordBatchView& batch, Output& output) {
  RETURN_IF_ERROR(Charge(batch.size()));
  if (batch.base_offset() >= pass_->end) return output.Add(batch);
  if (IsGapBatch(batch)) return output.AddGap(batch);
  CleanRules rules{&keys_, plan_.now, plan_.options.delete_retention_ms, limits_.decompressed_size_max};
  rules.keep_deletions = pass_->kept_unread || batch.last_offset() >= pass_->end;
  const absl::StatusOr<CleanedBatch> cleaned = CleanBatch(batch, rules);
  if (!cleaned.ok()) {
    Report(*segments_[pass_->next], absl::StrCat("the batch at offset ", batch.base_offset(),
                                                 " is kept as it is: ", cleaned.status().message()));
    pass_->kept_unread = true;
    return output.Add(batch);
  }
  result_.records_dropped += cleaned->dropped;
  if (cleaned->horizon.has_value()) pass_->next_horizon = std::min(pass_->next_horizon, *cleaned->horizon);
  if (cleaned->kind == CleanedBatch::Kind::kAsItWas) return output.Add(batch);
  if (cleaned->kind == CleanedBatch::Kind::kNothing && !plan_.producers.IsLast(batch)) {
    return output.AddGap(batch);
  }
  const bool emptied = cleaned->kind == CleanedBatch::Kind::kNothing;
  const std::vector<std::byte> bytes = emptied ? EmptyBatchOf(batch) : cleaned->bytes;
  output.changed = output.changed || bytes.size() != batch.size() || cleaned->dropped > 0 ||
                   cleaned->kind == CleanedBatch::Kind::kChanged;
  ASSIGN_OR_RETURN(const RecordBatchView rewritten, RecordBatchView::Parse(bytes));
  return output.Add(rewritten);
}

absl::StatusOr<bool> Compaction::RewriteSegment(std::size_t i, Output& output) {
  const Segment& segment = *segments_[i];
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, segment.Open());
  SegmentScanner scanner(*file, {segment.base_offset(), 0}, segment.written().position);
  output.Save();
  const std::uint64_t dropped = result_.records_dropped;
  for (;;) {
    ASSIGN_OR_RETURN(const SegmentScanner::Found found, scanner.Next());
    if (found == SegmentScanner::Found::kBatch) {
      RETURN_IF_ERROR(RewriteBatch(scanner.batch(), output));
      continue;
    }
    const bool whole = found == SegmentScanner::Found::kEnd && scanner.place().offset == EndOf(i);
    if (whole && output.size() <= kPositionMax) return true;
    output.Restore();
    result_.records_dropped = dropped;
    pass_->kept_unread = true;
    Report(segment, absl::StrCat("no valid batch at position ", scanner.place().position, " (offset ",
                                 scanner.place().offset, "), so the segment stays as it is"));
    return false;
  }
}

absl::StatusOr<std::optional<SegmentReplacement>> Compaction::RewriteGroup() {
  const std::size_t first = pass_->next;
  Output output(plan_.home, segments_[first]->base_offset());
  const auto failed = [&](const absl::Status& error) {
    output.Remove();
    return error;
  };
  if (const absl::Status created = output.Create(); !created.ok()) return failed(created);
  std::size_t count = 0;
  for (; pass_->next < segments_.size() && segments_[pass_->next]->base_offset() < pass_->end;
       ++pass_->next) {
    const std::uint64_t size = segments_[pass_->next]->written().position;
    const bool fits =
        output.size() + size <= plan_.options.segment_size_max && output.Reaches(EndOf(pass_->next));
    if (count > 0 && !fits) break;
    const absl::StatusOr<bool> whole = RewriteSegment(pass_->next, output);
    if (!whole.ok()) return failed(whole.status());
    if (!*whole && count > 0) break;  // a group of its own, of which nothing comes
    if (!*whole) {
      ++pass_->next;
      output.Remove();
      return std::optional<SegmentReplacement>();
    }
    ++count;
  }
  if (count == 1 && !output.changed) {
    output.Remove();
    return std::optional<SegmentReplacement>();
  }
  absl::StatusOr<std::optional<SegmentReplacement>> ready = Ready(first, count, output);
  if (!ready.ok()) return failed(ready.status());
  return ready;
}

absl::StatusOr<std::optional<SegmentReplacement>> Compaction::Ready(std::size_t first, std::size_t count,
                                                                    Output& output) {
  SegmentReplacement replacement;
  SegmentTimes times = segments_[first]->times();
  for (std::size_t i = first; i < first + count; ++i) {
    replacement.old_segments.push_back(segments_[i]);
    times.last_append = std::max(times.last_append, segments_[i]->times().last_append);
    result_.bytes_before += segments_[i]->written().position;
  }
  RETURN_IF_ERROR(output.Finish());
  times.max_timestamp = output.max_timestamp();
  SwapRecord record;
  record.end = EndOf(first + count - 1);
  record.segment = {output.base_offset(), output.size(), times.first_append, times.last_append,
                    times.max_timestamp};
  const std::string& directory = *plan_.home.directory;
  if (const absl::Status written = WriteSwapRecord(files(), directory, record); !written.ok()) {
    RemoveSwapRecord(files(), directory).IgnoreError();
    return written;
  }
  replacement.fresh = output.MakeSegment(times, next_revision.fetch_add(1));
  result_.segments_before += static_cast<std::uint32_t>(count);
  result_.segments_after += 1;
  result_.bytes_after += record.segment.size;
  handed_out_ = first;
  return std::optional(std::move(replacement));
}

absl::StatusOr<std::optional<SegmentReplacement>> Compaction::Next() {
  const auto stopped = [&](const absl::Status& status) -> absl::StatusOr<std::optional<SegmentReplacement>> {
    over_ = true;
    result_.stopped = true;
    // ABORTED, FAILED_PRECONDITION: the segment went while this was at it.
    if (absl::IsCancelled(status) || absl::IsAborted(status) || absl::IsFailedPrecondition(status)) {
      return std::optional<SegmentReplacement>();
    }
    return status;
  };
  if (!checkpoint_synced_ && !over_) {
    ASSIGN_OR_RETURN(const auto file, files().Open(plan_.checkpoint, OpenMode::kWrite));
    RETURN_IF_ERROR(file->Sync());
    RETURN_IF_ERROR(files().SyncDirectory(*plan_.home.directory));
    checkpoint_synced_ = true;
  }
  while (!over_) {
    if (!pass_.has_value()) {
      if (const absl::Status begun = BeginPass(); !begun.ok()) return stopped(begun);
    }
    while (pass_->next < segments_.size() && segments_[pass_->next]->base_offset() < pass_->end) {
      absl::StatusOr<std::optional<SegmentReplacement>> ready = RewriteGroup();
      if (!ready.ok()) return stopped(ready.status());
      if (ready->has_value()) return ready;
    }
    progress_ = {pass_->end, pass_->next_horizon};
    over_ = pass_->end >= plan_.end;
    pass_.reset();
  }
  return std::optional<SegmentReplacement>();
}

absl::Status Compaction::Settle(const SegmentReplacement& replacement, bool swapped) {
  const std::string& directory = *plan_.home.directory;
  const Segment& fresh = *replacement.fresh;
  if (!swapped) {
    over_ = true;
    result_.stopped = true;
    RETURN_IF_ERROR(RemoveSwapRecord(files(), directory));
    RETURN_IF_ERROR(files().SyncDirectory(directory));
    return files().Remove(fresh.Path(kCleanedSuffix));
  }
  RETURN_IF_ERROR(files().SyncDirectory(directory));
  replacement.fresh->StoreIndexes();
  for (const std::string_view suffix : {"index", "timeindex"}) {
    const auto file = files().Open(fresh.Path(suffix), OpenMode::kWrite);
    if (file.ok()) RETURN_IF_ERROR((*file)->Sync());
  }
  for (std::size_t i = 1; i < replacement.old_segments.size(); ++i) {
    RETURN_IF_ERROR(replacement.old_segments[i]->Delete());
  }
  RETURN_IF_ERROR(files().SyncDirectory(directory));
  RETURN_IF_ERROR(RemoveSwapRecord(files(), directory));
  // Else it could come back after a power loss, and be taken for that of the next replacement here.
  RETURN_IF_ERROR(files().SyncDirectory(directory));
  const auto at = segments_.begin() + static_cast<std::ptrdiff_t>(handed_out_);
  const auto count = static_cast<std::ptrdiff_t>(replacement.old_segments.size());
  segments_.erase(at + 1, at + count);
  segments_[handed_out_] = replacement.fresh;
  if (pass_.has_value()) pass_->next = handed_out_ + 1;
  return absl::OkStatus();
}

}  // namespace headrace::storage
