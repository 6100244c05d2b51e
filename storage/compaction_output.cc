#include "storage/compaction_output.h"

#include <limits>
#include <utility>

#include "protocol/core/status_macros.h"
#include "storage/batch_cleaner.h"

namespace headrace::storage {
namespace {

constexpr std::size_t kBufferSize = std::size_t{1} << 20;
constexpr Offset kDeltaMax = std::numeric_limits<std::int32_t>::max();

}  // namespace

Compaction::Output::Output(const SegmentHome& home, Offset base_offset)
    : home_(home),
      base_offset_(base_offset),
      path_(SegmentPath(*home.directory, base_offset, kCleanedSuffix)),
      place_{base_offset, 0},
      indexes_{OffsetIndex(base_offset, {base_offset, 0}), TimeIndex(base_offset)} {}

absl::Status Compaction::Output::Create() {
  ASSIGN_OR_RETURN(file_, home_.environment->files->Open(path_, OpenMode::kCreate));
  return file_->Truncate(0);
}

bool Compaction::Output::Reaches(Offset end) const {
  return end - base_offset_ <= kDeltaMax;
}

absl::Status Compaction::Output::Put(const RecordBatchView& batch) {
  indexes_.times.Note(indexes_.max_timestamp, place_, home_.index_interval);
  indexes_.offsets.Note(place_, home_.index_interval);
  indexes_.max_timestamp = std::max(indexes_.max_timestamp, batch.max_timestamp());
  buffer_.insert(buffer_.end(), batch.bytes().begin(), batch.bytes().end());
  place_ = {batch.last_offset() + 1, place_.position + batch.size()};
  // What could be taken back stays in the file: Restore cuts it off.
  return buffer_.size() >= kBufferSize ? FlushBuffer() : absl::OkStatus();
}

absl::Status Compaction::Output::Add(const RecordBatchView& batch) {
  RETURN_IF_ERROR(FlushGap());
  return Put(batch);
}

absl::Status Compaction::Output::AddGap(const RecordBatchView& batch) {
  const bool joins = gap_.has_value() && gap_->epoch == batch.leader_epoch() &&
                     batch.last_offset() - gap_->first <= kDeltaMax;
  // One that stands alone already is a gap batch as it was.
  changed = changed || joins || !IsGapBatch(batch);
  if (joins) {
    gap_->last = batch.last_offset();
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(FlushGap());
  gap_ = Gap{batch.base_offset(), batch.last_offset(), batch.leader_epoch()};
  return absl::OkStatus();
}

absl::Status Compaction::Output::FlushGap() {
  if (!gap_.has_value()) return absl::OkStatus();
  const std::vector<std::byte> bytes = MakeGapBatch(gap_->first, gap_->last, gap_->epoch);
  gap_.reset();
  ASSIGN_OR_RETURN(const RecordBatchView batch, RecordBatchView::Parse(bytes));
  return Put(batch);
}

absl::Status Compaction::Output::FlushBuffer() {
  const ByteSpan piece(buffer_);
  RETURN_IF_ERROR(file_->WriteAt(flushed_, {&piece, 1}));
  flushed_ += buffer_.size();
  buffer_.clear();
  return absl::OkStatus();
}

void Compaction::Output::Save() {
  mark_ = Mark{place_, indexes_, gap_, changed};
}

void Compaction::Output::Restore() {
  HEADRACE_CHECK(mark_.has_value());
  place_ = mark_->place;
  indexes_ = mark_->indexes;
  gap_ = mark_->gap;
  changed = mark_->changed;
  if (place_.position >= flushed_) {
    buffer_.resize(place_.position - flushed_);
  } else {
    buffer_.clear();
    flushed_ = place_.position;  // written over, or cut off by Finish
  }
}

absl::Status Compaction::Output::Finish() {
  RETURN_IF_ERROR(FlushGap());
  RETURN_IF_ERROR(FlushBuffer());
  RETURN_IF_ERROR(file_->Truncate(flushed_));
  return file_->Sync();
}

void Compaction::Output::Remove() {
  file_ = nullptr;
  home_.environment->files->Remove(path_).IgnoreError();
}

std::shared_ptr<Segment> Compaction::Output::MakeSegment(const SegmentTimes& times, std::uint32_t revision) {
  auto segment = std::make_shared<Segment>(home_, base_offset_, place_, times, true, revision);
  segment->SetIndexes(std::move(indexes_));
  return segment;
}

}  // namespace headrace::storage
