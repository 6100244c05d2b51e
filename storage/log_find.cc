// Finding a record by its timestamp, and an offset by its epoch.
#include <algorithm>

#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"
#include "storage/log_state.h"

namespace headrace::storage {
namespace {

// What is looked for, and where.
struct Wanted {
  TimestampMs timestamp = 0;
  Offset first = 0;  // the log's start
  Offset end = 0;    // the high watermark
  std::size_t decompressed_size_max = 0;
};
using Hit = std::optional<TimestampHit>;

absl::StatusOr<Hit> FindInBatch(const File& file, const StoredBatch& stored, const Wanted& wanted) {
  std::vector<std::byte> bytes(stored.size);
  ASSIGN_OR_RETURN(const std::size_t read, file.ReadAt(stored.position, bytes));
  bytes.resize(read);
  ASSIGN_OR_RETURN(const RecordBatchView batch, RecordBatchView::Parse(bytes));
  RETURN_IF_ERROR(batch.CheckCrc());
  ASSIGN_OR_RETURN(RecordIterator records, RecordIterator::Open(batch, wanted.decompressed_size_max));
  while (records.Next()) {
    const RecordView& record = records.record();
    if (record.offset < wanted.first || record.offset >= wanted.end) continue;
    if (record.timestamp >= wanted.timestamp) {
      return TimestampHit{record.offset, record.timestamp, batch.leader_epoch()};
    }
  }
  RETURN_IF_ERROR(records.status());
  return Hit();
}

absl::StatusOr<Hit> FindInSegment(const Segment& segment, const Wanted& wanted) {
  const PublishedEnd end = segment.published();
  ASSIGN_OR_RETURN(BatchPlace at, segment.FloorTimestamp(wanted.timestamp));
  if (at.position >= end.size) return Hit();
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, segment.Open());
  ASSIGN_OR_RETURN(std::optional<DamagedRange> damage, segment.DamageFrom(at.position));
  BatchCursor cursor(*file, at.position, end.size);
  while (!cursor.done()) {
    if (damage.has_value() && damage->position == at.position) {
      at = {damage->next_offset, damage->end};
      if (at.position >= end.size) break;
      cursor.SkipTo(at.position);
      ASSIGN_OR_RETURN(damage, segment.DamageFrom(at.position));
      continue;
    }
    ASSIGN_OR_RETURN(const StoredBatch batch, cursor.Next());
    at = batch.next();
    if (batch.max_timestamp < wanted.timestamp || batch.last_offset < wanted.first) continue;
    ASSIGN_OR_RETURN(const Hit hit, FindInBatch(*file, batch, wanted));
    if (hit.has_value()) return hit;
  }
  return Hit();
}

}  // namespace

absl::StatusOr<std::optional<TimestampHit>> Log::FindTimestamp(TimestampMs timestamp,
                                                               std::size_t decompressed_size_max) const {
  const LogOffsets now = offsets();
  const Wanted wanted{timestamp, now.start, now.high_watermark, decompressed_size_max};
  for (const std::shared_ptr<Segment>& segment : state_->AllSegments()) {
    if (segment->base_offset() >= wanted.end) break;
    if (segment->times().max_timestamp < timestamp || segment->published().offset <= wanted.first) continue;
    const absl::StatusOr<Hit> hit = FindInSegment(*segment, wanted);
    // Replaced meanwhile by compaction: what it held is elsewhere.
    if (absl::IsAborted(hit.status())) return FindTimestamp(timestamp, decompressed_size_max);
    // Deleted meanwhile: what it held is no longer readable, so the search goes on behind it.
    if (!hit.ok() && segment->published().offset <= offsets().start) continue;
    if (!hit.ok() && absl::IsFailedPrecondition(hit.status())) return state_->Fence(hit.status());
    if (!hit.ok() || hit->has_value()) return hit;
  }
  return Hit();
}

absl::StatusOr<std::optional<TimestampHit>> Log::FindMaxTimestamp(std::size_t decompressed_size_max) const {
  std::optional<TimestampHit> largest;
  TimestampMs asked = 0;
  // A segment states the largest timestamp of all it holds, which may lie above the high watermark or below
  // the start: then the search for it finds nothing, and what was found before stands.
  for (const std::shared_ptr<Segment>& segment : state_->AllSegments()) {
    const TimestampMs stated = segment->times().max_timestamp;
    if (stated < asked) continue;
    asked = stated;
    ASSIGN_OR_RETURN(const auto hit, FindTimestamp(stated, decompressed_size_max));
    if (hit && (!largest || hit->timestamp > largest->timestamp)) largest = hit;
  }
  return largest;
}

absl::StatusOr<LeaderEpochCache> Log::Epochs() {
  RETURN_IF_ERROR(state_->LoadEpochs());
  return state_->epochs;
}

}  // namespace headrace::storage
