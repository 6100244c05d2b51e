// Compaction as the log sees it: what is to be done, and the exchange.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/status_macros.h"
#include "storage/compaction.h"
#include "storage/disposable_file.h"
#include "storage/io/file_cache.h"
#include "storage/log_state.h"
#include "storage/segment_swap.h"

namespace headrace::storage {
namespace {

constexpr std::string_view kProgressFile = "compacted";

}  // namespace

const CompactionProgress& Log::State::LoadProgress() {
  if (compaction.has_value()) return *compaction;
  const auto stored = ReadDisposableFile(*environment.files, PathOf(kProgressFile));
  const auto parsed = stored.has_value() ? CompactionProgress::Parse(*stored) : std::nullopt;
  compaction = parsed.value_or(CompactionProgress());
  return *compaction;
}

bool Log::State::MoveCheckpointBeyond(Offset end_offset) {
  if (checkpoint_segment >= end_offset) return true;
  const std::shared_ptr<Segment> active = Active();
  const BatchPlace written = active->written();
  const bool synced = active->UnsyncedFile() == nullptr;
  SyncPoint point;
  point.end = synced ? written.offset : active->base_offset();
  point.published_sizes.emplace_back(active, synced ? written.position : 0);
  // Between the range and the active segment, too, nothing may be missing on disk.
  if (!unsynced.empty() && unsynced.front() != active) return false;
  WriteCheckpoint(point);
  return checkpoint_segment >= end_offset;
}

absl::StatusOr<std::unique_ptr<CompactionPlan>> Log::PlanCompaction() {
  State& state = *state_;
  RETURN_IF_ERROR(fenced());
  if (!state.options.compact) return nullptr;
  const State::Segments segments = state.AllSegments();
  std::vector<SegmentSummary> summaries;
  for (const std::shared_ptr<Segment>& segment : segments) summaries.push_back(segment->Summary());
  Offset limit = state.high_watermark.load();
  if (!state.unsynced.empty()) limit = std::min(limit, state.unsynced.front()->base_offset());
  const TimestampMs now = state.environment.clock->WallNow();
  const std::size_t count = SegmentsToCompact(summaries, state.LoadProgress(), limit, state.options, now);
  if (count == 0) return nullptr;
  RETURN_IF_ERROR(state.LoadEpochs());
  const Offset end = segments[count]->base_offset();
  if (!state.MoveCheckpointBeyond(end)) return nullptr;
  auto plan = std::make_unique<CompactionPlan>();
  plan->home = state.Home();
  plan->segments.assign(segments.begin(), segments.begin() + static_cast<std::ptrdiff_t>(count));
  plan->end = end;
  plan->progress = state.LoadProgress();
  plan->options = state.options;
  plan->now = now;
  plan->producers = state.producers;
  plan->checkpoint = state.PathOf("checkpoint");
  return plan;
}

bool Log::State::Exchange(const SegmentReplacement& replacement) {
  const auto& old = replacement.old_segments;
  const core::MutexLock lock(mutex);
  const auto first = std::find(segments.begin(), segments.end(), old.front());
  if (segments.end() - first < std::ssize(old) || !std::equal(old.begin(), old.end(), first)) return false;
  for (const auto& segment : old) size.fetch_sub(segment->written().position, std::memory_order_relaxed);
  size.fetch_add(replacement.fresh->written().position, std::memory_order_relaxed);
  *first = replacement.fresh;
  segments.erase(first + 1, first + std::ssize(old));
  return true;
}

absl::StatusOr<bool> Log::SwapCompacted(const SegmentReplacement& replacement) {
  State& state = *state_;
  RETURN_IF_ERROR(fenced());
  const auto& old = replacement.old_segments;
  const State::Segments now = state.AllSegments();
  const auto found = std::search(now.begin(), now.end(), old.begin(), old.end());
  if (found == now.end()) return false;
  const std::string path = old.front()->Path("log");
  // Readers of the old segment keep its file while the name changes hands.
  absl::StatusOr<std::shared_ptr<File>> file = old.front()->Open();
  if (!file.ok()) return state.Fence(file.status());
  old.front()->Pin(*std::move(file));
  const absl::Status renamed = state.environment.files->Rename(replacement.fresh->Path(kCleanedSuffix), path);
  if (!renamed.ok()) {
    old.front()->Unpin();
    return state.Fence(renamed);
  }
  state.environment.cache->Drop(path);
  HEADRACE_CHECK(state.Exchange(replacement));
  for (const std::shared_ptr<Segment>& segment : old) segment->Retire();
  return true;
}

void Log::FinishCompaction(const CompactionProgress& progress) {
  State& state = *state_;
  state.compaction = progress;
  const absl::Status written =
      WriteDisposableFile(*state.environment.files, state.PathOf(kProgressFile), progress.Serialize());
  if (!written.ok()) {
    state.Report(absl::StrCat(*state.directory,
                              ": what was compacted is compacted again after a start: ", written.message()));
  }
}

}  // namespace headrace::storage
