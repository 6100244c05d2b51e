// Letting go of the oldest: by order (Trim) and by the topic's limits (retention).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/io/small_file.h"
#include "storage/log_state.h"
#include "storage/retention.h"
#include "storage/start_offset.h"

namespace headrace::storage {

absl::Status Log::State::RaiseStart(Offset offset) {
  // The names of the segments that stay come first: of a log that lost them, only the start would be left.
  RETURN_IF_ERROR(SyncDirectories());
  const absl::Status stored = WriteStartOffset(*environment.files, PathOf(kStartOffsetFile), offset);
  if (!stored.ok()) return FailedWrite(stored);
  {
    const core::MutexLock lock(mutex);
    start.store(offset);
  }
  DoomBelowStart();
  epochs.TrimFront(offset);
  return DeleteDoomed();
}

void Log::State::DoomBelowStart() {
  const core::MutexLock lock(mutex);
  while (segments.size() > 1 && segments[1]->base_offset() <= start.load()) {
    size.fetch_sub(segments.front()->written().position, std::memory_order_relaxed);
    doomed.push_back(std::move(segments.front()));
    segments.erase(segments.begin());
  }
}

absl::Status Log::State::DeleteDoomed() {
  if (doomed.empty()) return absl::OkStatus();
  while (!doomed.empty()) {
    const std::shared_ptr<Segment> oldest = doomed.front();
    std::erase(unsynced, oldest);
    const absl::Status deleted = oldest->Delete();
    if (!deleted.ok()) return FailedWrite(deleted);
    doomed.erase(doomed.begin());
  }
  const absl::Status synced = environment.files->SyncDirectory(*directory);
  return synced.ok() ? synced : Fence(synced);
}

absl::Status Log::Trim(Offset offset) {
  State& state = *state_;
  RETURN_IF_ERROR(fenced());
  const LogOffsets now = offsets();
  if (offset > now.high_watermark) {
    return MakeError(ErrorCode::kOffsetOutOfRange,
                     absl::StrCat(directory(), ": cannot trim to offset ", offset, ", readable are ",
                                  now.start, " to ", now.high_watermark));
  }
  if (offset <= now.start) return state.DeleteDoomed();
  return state.RaiseStart(offset);
}

absl::Status Log::State::RollIfAged(TimestampMs now) {
  const std::shared_ptr<Segment> active = Active();
  if (active == nullptr || active->written().position == 0) return absl::OkStatus();
  if (end.load() != high_watermark.load()) return absl::OkStatus();  // in use: the next append sees to it
  const SegmentTimes times = active->times();
  const bool expired = options.delete_by_retention && options.retention_ms >= 0 &&
                       now - times.last_append > options.retention_ms;
  if (!expired && !MustRoll(now)) return absl::OkStatus();
  absl::StatusOr<std::shared_ptr<Segment>> created = CreateSegment(end.load());
  if (!created.ok()) return FailedWrite(created.status());
  AddSegment(*std::move(created));
  active->StoreIndexes();
  return absl::OkStatus();
}

TimestampMs Log::State::RetentionNow() {
  const Clock& clock = *environment.clock;
  return retention_clock.Now(clock.WallNow(), MonotonicMs(clock), last_append);
}

TimestampMs Log::ExpireProducers() {
  const TimestampMs horizon = state_->RetentionNow() - state_->options.producer_expiry_ms;
  state_->producers.Expire(horizon);
  return horizon;
}

absl::StatusOr<std::size_t> Log::ApplyRetention() {
  State& state = *state_;
  RETURN_IF_ERROR(fenced());
  RETURN_IF_ERROR(state.DeleteDoomed());
  const TimestampMs now = state.RetentionNow();
  RETURN_IF_ERROR(state.RollIfAged(now));
  const State::Segments segments = state.AllSegments();
  std::vector<SegmentSummary> summaries;
  for (const std::shared_ptr<Segment>& segment : segments) {
    summaries.push_back(segment->Summary());
  }
  std::size_t count = SegmentsToDelete(summaries, state.options, now);
  // What readers may not see yet is not retention's to take.
  while (count > 0 && segments[count]->base_offset() > state.high_watermark.load()) --count;
  if (count == 0) return std::size_t{0};
  RETURN_IF_ERROR(state.RaiseStart(std::max(state.start.load(), segments[count]->base_offset())));
  return count;
}

}  // namespace headrace::storage
