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

// Calls visit(record) for the readable records of a batch, until it returns true. The batch's leader epoch.
template <typename Visit>
absl::StatusOr<LeaderEpoch> VisitRecords(const File& file, const StoredBatch& stored, const Wanted& wanted,
                                         Visit visit) {
  std::vector<std::byte> bytes(stored.size);
  ASSIGN_OR_RETURN(const std::size_t read, file.ReadAt(stored.position, bytes));
  bytes.resize(read);
  ASSIGN_OR_RETURN(const RecordBatchView batch, RecordBatchView::Parse(bytes));
  RETURN_IF_ERROR(batch.CheckCrc());
  ASSIGN_OR_RETURN(RecordIterator records, RecordIterator::Open(batch, wanted.decompressed_size_max));
  while (records.Next()) {
    const RecordView& record = records.record();
    if (record.offset < wanted.first || record.offset >= wanted.end) continue;
    if (visit(record)) return batch.leader_epoch();
  }
  RETURN_IF_ERROR(records.status());
  return batch.leader_epoch();
}

absl::StatusOr<Hit> FindInBatch(const File& file, const StoredBatch& stored, const Wanted& wanted) {
  Hit hit;
  const auto matches = [&](const RecordView& record) {
    if (record.timestamp >= wanted.timestamp) hit = TimestampHit{record.offset, record.timestamp, 0};
    return hit.has_value();
  };
  ASSIGN_OR_RETURN(const LeaderEpoch epoch, VisitRecords(file, stored, wanted, matches));
  if (hit.has_value()) hit->leader_epoch = epoch;
  return hit;
}

// Calls visit(file, batch) for the readable batches of a segment from where those of at least the wanted
// timestamp may begin, until it returns true.
template <typename Visit>
absl::Status VisitBatches(const Segment& segment, const Wanted& wanted, Visit visit) {
  const PublishedEnd end = segment.published();
  ASSIGN_OR_RETURN(BatchPlace at, segment.FloorTimestamp(wanted.timestamp));
  if (at.position >= end.size) return absl::OkStatus();
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
    ASSIGN_OR_RETURN(const bool found, visit(*file, batch));
    if (found) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<Hit> FindInSegment(const Segment& segment, const Wanted& wanted) {
  Hit hit;
  const auto look = [&](const File& file, const StoredBatch& batch) -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(hit, FindInBatch(file, batch, wanted));
    return hit.has_value();
  };
  RETURN_IF_ERROR(VisitBatches(segment, wanted, look));
  return hit;
}

// The largest timestamp of the readable batches, by their headers, or less than the wanted one. Of the batch
// that the log's start lies in, its readable records count.
absl::StatusOr<TimestampMs> LargestIn(const Segment& segment, const Wanted& wanted) {
  TimestampMs largest = wanted.timestamp - 1;
  const auto note = [&](const RecordView& record) {
    largest = std::max(largest, record.timestamp);
    return false;
  };
  const auto look = [&](const File& file, const StoredBatch& batch) -> absl::StatusOr<bool> {
    if (batch.base_offset >= wanted.end) return true;
    if (batch.base_offset < wanted.first) {
      RETURN_IF_ERROR(VisitRecords(file, batch, wanted, note).status());
    } else {
      largest = std::max(largest, batch.max_timestamp);
    }
    return false;
  };
  RETURN_IF_ERROR(VisitBatches(segment, wanted, look));
  return largest;
}

// The first record that has the largest timestamp, if that is the wanted one at least.
absl::StatusOr<Hit> FindLargest(const Segment& segment, Wanted wanted) {
  const TimestampMs least = wanted.timestamp;
  wanted.timestamp = segment.times().max_timestamp;
  ASSIGN_OR_RETURN(const Hit stated, FindInSegment(segment, wanted));
  if (stated.has_value()) return stated;
  // It lies above the high watermark or below the start, or nobody has computed it since a recovery.
  wanted.timestamp = least;
  ASSIGN_OR_RETURN(wanted.timestamp, LargestIn(segment, wanted));
  if (wanted.timestamp < least) return Hit();
  return FindInSegment(segment, wanted);
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
  const LogOffsets now = offsets();
  Wanted wanted{0, now.start, now.high_watermark, decompressed_size_max};
  Hit largest;
  // From the newest on: mostly it has the largest, and all others are known to have less.
  const std::vector<std::shared_ptr<Segment>> segments = state_->AllSegments();
  for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
    if ((*segment)->base_offset() >= wanted.end || (*segment)->published().offset <= wanted.first) continue;
    if ((*segment)->times().max_timestamp < wanted.timestamp) continue;
    const absl::StatusOr<Hit> hit = FindLargest(**segment, wanted);
    if (absl::IsAborted(hit.status())) return FindMaxTimestamp(decompressed_size_max);
    if (!hit.ok() && (*segment)->published().offset <= offsets().start) continue;  // deleted meanwhile
    if (!hit.ok() && absl::IsFailedPrecondition(hit.status())) return state_->Fence(hit.status());
    if (!hit.ok()) return hit;
    if (!hit->has_value()) continue;
    largest = *hit;
    wanted.timestamp = largest->timestamp;
  }
  return largest;
}

absl::StatusOr<LeaderEpochCache> Log::Epochs() {
  RETURN_IF_ERROR(state_->LoadEpochs());
  return state_->epochs;
}

}  // namespace headrace::storage
