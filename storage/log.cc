#include "storage/log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/disposable_file.h"
#include "storage/log_recovery.h"
#include "storage/log_state.h"

namespace headrace::storage {

Log::Log(std::unique_ptr<State> state) : state_(std::move(state)) {}
Log::~Log() = default;

absl::StatusOr<std::unique_ptr<Log>> Log::Open(LogEnvironment& environment, std::string directory,
                                               const LogOptions& options,
                                               const std::optional<LogSummary>& clean,
                                               RecoveryReport* report) {
  auto state = std::make_unique<State>(environment, std::move(directory), options);
  RecoveryReport ignored;
  if (clean.has_value()) {
    RETURN_IF_ERROR(state->OpenClean(*clean));
  } else {
    RETURN_IF_ERROR(RecoverLog(*state, report == nullptr ? ignored : *report));
  }
  return std::unique_ptr<Log>(new Log(std::move(state)));
}

std::unique_ptr<Log> Log::Unreadable(LogEnvironment& environment, std::string directory,
                                     const absl::Status& error) {
  auto state = std::make_unique<State>(environment, std::move(directory), LogOptions());
  state->unreadable = true;
  state->Fence(absl::Status(error.code(), absl::StrCat("it could not be opened: ", error.message())))
      .IgnoreError();
  return std::unique_ptr<Log>(new Log(std::move(state)));
}

absl::Status Log::State::OpenClean(const LogSummary& summary) {
  Offset next = summary.offsets.end;
  Segments opened(summary.segments.size());
  for (std::size_t i = summary.segments.size(); i-- > 0;) {
    const SegmentSummary& known = summary.segments[i];
    const SegmentTimes times{known.first_append, known.last_append, known.max_timestamp};
    opened[i] =
        std::make_shared<Segment>(Home(), known.base_offset, BatchPlace{next, known.size}, times, false);
    next = known.base_offset;
    size += known.size;
    last_append = std::max(last_append, known.last_append);
  }
  {
    const core::MutexLock lock(mutex);
    segments = std::move(opened);
  }
  end = summary.offsets.end;
  high_watermark = summary.offsets.end;
  start = summary.offsets.start;
  epochs_loaded = false;
  return summary.has_producers ? LoadProducers(summary.offsets.end, 0) : absl::OkStatus();
}

Log::State::Segments Log::State::AllSegments() const {
  const core::MutexLock lock(mutex);
  return segments;
}

std::shared_ptr<Segment> Log::State::Active() const {
  const core::MutexLock lock(mutex);
  return segments.empty() ? nullptr : segments.back();
}

void Log::State::AddSegment(std::shared_ptr<Segment> segment) {
  const core::MutexLock lock(mutex);
  segments.push_back(std::move(segment));
}

absl::Status Log::State::Fence(const absl::Status& error) {
  const core::MutexLock lock(mutex);
  if (fence.ok()) {
    fence = MakeError(ErrorCode::kStorageError,
                      absl::StrCat(*directory, ": the log takes no more writes since this failed: ",
                                   error.message(), "; repair the disk and restart the broker"));
    is_fenced.store(true);
    Report(std::string(MessageOf(fence)));
  }
  return fence;
}

absl::Status Log::State::FenceStatus() const {
  if (!is_fenced.load()) return absl::OkStatus();
  const core::MutexLock lock(mutex);
  return fence;
}

absl::Status Log::State::FailedWrite(const absl::Status& error) {
  if (absl::IsUnavailable(error)) {  // of an open: not a byte was written
    return MakeError(ErrorCode::kThrottlingQuotaExceeded,
                     absl::StrCat(*directory, ": ", error.message(), "; nothing was kept, retry"));
  }
  if (!absl::IsResourceExhausted(error)) return Fence(error);
  return MakeError(ErrorCode::kDiskFull, absl::StrCat(*directory, ": the disk is full: ", error.message(),
                                                      "; nothing was kept, retry when there is room"));
}

absl::Status Log::fenced() const {
  return state_->FenceStatus();
}
absl::Status Log::unreadable() const {
  return state_->unreadable ? fenced() : absl::OkStatus();
}
void Log::Fence(const absl::Status& error) {
  state_->Fence(error).IgnoreError();
}
void Log::SetOptions(const LogOptions& options) {
  state_->options = options;
}
void Log::Abandon() {
  {
    // Before the first unlink, so that whoever misses a file learns why, and takes it for no broken disk.
    const core::MutexLock lock(state_->mutex);
    state_->fence = MakeError(ErrorCode::kUnknownTopicOrPartition, directory() + ": the log was deleted");
    state_->is_fenced.store(true);
  }
  // What cannot be unlinked now goes with the directory, or is found there by the next start.
  for (const std::shared_ptr<Segment>& segment : state_->AllSegments()) segment->Delete().IgnoreError();
}
const ProducerState& Log::producers() const {
  return state_->producers;
}
const std::string& Log::directory() const {
  return *state_->directory;
}
std::uint64_t Log::size() const {
  return state_->size.load(std::memory_order_relaxed);
}

std::uint32_t Log::segment_count() const {
  State& state = *state_;
  const core::MutexLock lock(state.mutex);
  return static_cast<std::uint32_t>(state.segments.size());
}

LogOffsets Log::offsets() const {
  // Each only rises, so in this order start <= high watermark <= end whatever happens in between.
  LogOffsets offsets;
  offsets.start = state_->start.load();
  offsets.high_watermark = state_->high_watermark.load();
  offsets.end = state_->end.load();
  return offsets;
}

SyncPoint Log::WrittenPoint() const {
  State& state = *state_;
  SyncPoint point;
  point.end = state.end.load();
  const core::MutexLock lock(state.mutex);
  std::size_t first = state.segments.size();
  while (first > 0) {
    const std::uint64_t written = state.segments[first - 1]->written().position;
    if (state.segments[first - 1]->published().size == written) break;
    --first;
  }
  for (; first < state.segments.size(); ++first) {
    point.published_sizes.emplace_back(state.segments[first], state.segments[first]->written().position);
  }
  return point;
}

void Log::Publish(const SyncPoint& point) {
  State& state = *state_;
  const auto& sizes = point.published_sizes;
  const core::MutexLock lock(state.mutex);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Offset end = i + 1 < sizes.size() ? sizes[i + 1].first->base_offset() : point.end;
    sizes[i].first->Publish({sizes[i].second, end});
  }
  if (point.end > state.high_watermark.load()) state.high_watermark.store(point.end);
}

}  // namespace headrace::storage
