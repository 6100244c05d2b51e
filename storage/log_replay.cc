// What a log knows beside its bytes, from its own small files or, if they are lost, from the batches.
#include <algorithm>
#include <utility>

#include "protocol/core/status_macros.h"
#include "storage/disposable_file.h"
#include "storage/log_state.h"
#include "storage/segment_scan.h"

namespace headrace::storage {
namespace {

absl::Status ReplaySegment(const Segment& segment, BatchPlace from, const Log::State::Visit& visit) {
  const BatchPlace end = segment.written();
  if (from.position >= end.position) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, segment.Open());
  const TimestampMs append_time = segment.times().last_append;
  SegmentScanner scanner(*file, from, end.position);
  for (;;) {
    ASSIGN_OR_RETURN(const SegmentScanner::Found found, scanner.Next());
    if (found == SegmentScanner::Found::kEnd) return absl::OkStatus();
    if (found == SegmentScanner::Found::kBatch) {
      visit(scanner.batch(), append_time);
      continue;
    }
    ASSIGN_OR_RETURN(const std::optional<BatchPlace> next, scanner.FindNext(end.offset));
    if (!next.has_value()) return absl::OkStatus();
    scanner.Resume(*next);
  }
}

// The CRC that the producer gave this batch; 0 if it may be another: `compressed_anew`, given append time, or
// compacted.
std::uint32_t CrcAsSent(const RecordBatchView& batch, bool compressed_anew) {
  const bool rewritten = compressed_anew || batch.record_count() <= batch.last_offset_delta() ||
                         (batch.attributes() & (kAttributeDeleteHorizon | kAttributeLogAppendTime)) != 0;
  return rewritten ? 0 : batch.crc();
}

}  // namespace

absl::Status Log::State::Replay(Offset from, const Visit& visit) const {
  for (const std::shared_ptr<Segment>& segment : AllSegments()) {
    if (segment->written().offset <= from) continue;
    BatchPlace begin{segment->base_offset(), 0};
    if (from > begin.offset) {
      const absl::StatusOr<BatchPlace> found = segment->Find(from);
      if (found.ok()) begin = *found;
    }
    RETURN_IF_ERROR(ReplaySegment(*segment, begin, visit));
  }
  return absl::OkStatus();
}

absl::Status Log::State::LoadProducers(Offset snapshot_end_max, Offset none_below) {
  Offset from = none_below;
  const auto stored = ReadDisposableFile(*environment.files, PathOf("producers"));
  if (stored.has_value()) {
    absl::StatusOr<ProducerState::Snapshot> snapshot = ProducerState::Parse(*stored);
    if (snapshot.ok() && snapshot->end <= snapshot_end_max && snapshot->end >= none_below) {
      from = snapshot->end;
      producers = std::move(snapshot->state);
    }
  }
  if (from >= snapshot_end_max) return absl::OkStatus();
  return Replay(from, [&](const RecordBatchView& batch, TimestampMs append_time) {
    if (batch.base_offset() < from) return;
    producers.Update(batch, append_time, CrcAsSent(batch, options.compressed_anew));
  });
}

absl::Status Log::State::ReplayEpochs(Offset from) {
  RETURN_IF_ERROR(Replay(from, [&](const RecordBatchView& batch, TimestampMs) {
    epochs_changed |= epochs.Note(batch.leader_epoch(), batch.base_offset());
  }));
  epochs_loaded = true;
  return absl::OkStatus();
}

absl::Status Log::State::LoadEpochs() {
  if (epochs_loaded) return absl::OkStatus();
  const auto stored = ReadDisposableFile(*environment.files, PathOf("leader_epochs"));
  absl::StatusOr<LeaderEpochCache> parsed =
      stored.has_value() ? LeaderEpochCache::Parse(*stored) : absl::NotFoundError("leader epochs");
  epochs = parsed.ok() ? *std::move(parsed) : LeaderEpochCache();
  // A log that holds batches has an epoch.
  const bool whole = !epochs.entries().empty() || end.load() == start.load();
  if (!whole) return ReplayEpochs(0);
  epochs_loaded = true;
  return absl::OkStatus();
}

absl::Status Log::State::LoadEpochsAfterCrash(std::optional<LeaderEpoch> last, Offset known_end) {
  const auto stored = ReadDisposableFile(*environment.files, PathOf("leader_epochs"));
  if (stored.has_value() && last.has_value()) {
    absl::StatusOr<LeaderEpochCache> parsed = LeaderEpochCache::Parse(*stored);
    if (parsed.ok()) parsed->TrimBack(known_end);
    if (parsed.ok() && !parsed->entries().empty() && parsed->entries().back().epoch == *last) {
      epochs = *std::move(parsed);
      return ReplayEpochs(known_end);
    }
  }
  return ReplayEpochs(last == kNoLeaderEpoch ? known_end : 0);
}

}  // namespace headrace::storage
