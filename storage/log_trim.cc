// Letting go of the oldest: by order (Trim) and by the topic's limits (retention).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/io/ballast.h"
#include "storage/log_state.h"
#include "storage/retention.h"
#include "storage/start_offset.h"

namespace headrace::storage {

absl::Status Log::State::RaiseStart(Offset offset, core::Mutex& writer) {
  RETURN_IF_ERROR(SyncNames(writer));
  const auto store = [&] { return WriteStartOffset(*environment.files, PathOf(kStartOffsetFile), offset); };
  const absl::Status stored = environment.ballast == nullptr ? store() : environment.ballast->Lighten(store);
  if (!stored.ok()) return FailedWrite(stored);
  {
    const core::MutexLock writing(writer);
    {
      const core::MutexLock lock(mutex);
      start.store(offset);
    }
    DoomBelowStart();
    epochs.TrimFront(offset);
  }
  return DeleteDoomed();
}

// The names of the segments that stay come first: of a log that lost them, only the start would be left.
absl::Status Log::State::SyncNames(core::Mutex& writer) {
  std::vector<std::string> names;
  std::uint64_t changes = 0;
  {
    const core::MutexLock writing(writer);
    names = unsynced_directories;
    changes = directory_changes;
  }
  for (const std::string& name : names) {
    const absl::Status synced = environment.files->SyncDirectory(name);
    if (!synced.ok()) return Fence(synced);
  }
  const core::MutexLock writing(writer);
  if (directory_changes == changes) unsynced_directories.clear();
  return absl::OkStatus();
}

void Log::State::DoomBelowStart() {
  const core::MutexLock lock(mutex);
  while (segments.size() > 1 && segments[1]->base_offset() <= start.load()) {
    size.fetch_sub(segments.front()->written().position, std::memory_order_relaxed);
    std::erase(unsynced, segments.front());
    doomed.push_back(std::move(segments.front()));
    segments.erase(segments.begin());
  }
}

absl::Status Log::State::DeleteDoomed() {
  if (doomed.empty()) return absl::OkStatus();
  while (!doomed.empty()) {
    const absl::Status deleted = doomed.front()->Delete();
    if (!deleted.ok()) return FailedWrite(deleted);
    doomed.erase(doomed.begin());
  }
  const absl::Status synced = environment.files->SyncDirectory(*directory);
  return synced.ok() ? synced : Fence(synced);
}

absl::Status Log::Trim(Offset offset, core::Mutex& writer) {
  State& state = *state_;
  RETURN_IF_ERROR(fenced());
  const LogOffsets now = offsets();
  if (offset > now.high_watermark) {
    return MakeError(ErrorCode::kOffsetOutOfRange,
                     absl::StrCat(directory(), ": cannot trim to offset ", offset, ", readable are ",
                                  now.start, " to ", now.high_watermark));
  }
  if (offset <= now.start) return state.DeleteDoomed();
  return state.RaiseStart(offset, writer);
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

absl::StatusOr<Log::State::Expired> Log::State::FindExpired() {
  const TimestampMs now = RetentionNow();
  const absl::Status rolled = RollIfAged(now);
  // On a full disk the others go all the more.
  if (!rolled.ok() && CodeOf(rolled) != ErrorCode::kDiskFull) return rolled;
  const Segments all = AllSegments();
  std::vector<SegmentSummary> summaries;
  for (const std::shared_ptr<Segment>& segment : all) {
    summaries.push_back(segment->Summary());
  }
  std::size_t count = SegmentsToDelete(summaries, options, now);
  // What readers may not see yet is not retention's to take.
  while (count > 0 && all[count]->base_offset() > high_watermark.load()) --count;
  if (count == 0) return Expired{};
  return Expired{count, std::max(start.load(), all[count]->base_offset())};
}

absl::StatusOr<std::size_t> Log::ApplyRetention(core::Mutex& writer) {
  State& state = *state_;
  RETURN_IF_ERROR(fenced());
  RETURN_IF_ERROR(state.DeleteDoomed());
  State::Expired expired;
  {
    const core::MutexLock writing(writer);
    ASSIGN_OR_RETURN(expired, state.FindExpired());
  }
  if (expired.count > 0) RETURN_IF_ERROR(state.RaiseStart(expired.start, writer));
  return expired.count;
}

}  // namespace headrace::storage
