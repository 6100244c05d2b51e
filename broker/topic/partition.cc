#include "broker/topic/partition.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::topic {
namespace {

// A written topic's appends queue behind a sync that has run for longer than this: a write to a file under a
// slow sync may block with it.
constexpr std::int64_t kSlowSyncMs = 20;
// Bytes in the page cache after which a written topic is synced without waiting for the janitor.
constexpr std::uint64_t kUnsyncedMax = std::uint64_t{16} << 20;

}  // namespace

Partition::Partition(std::string name, std::unique_ptr<storage::Log> log, const TopicConfig& config,
                     const PartitionServices& services)
    : name_(std::move(name)),
      services_(services),
      durable_(config.durability == Durability::kDurable),
      next_offset_(log->offsets().end),
      staged_producers_(log->producers()),
      log_(std::move(log)) {
  SetRules(RulesOf(config));
}

absl::Status Partition::deleted_status() const {
  if (!deleted_.load(std::memory_order_relaxed)) return absl::OkStatus();
  return MakeError(ErrorCode::kUnknownTopicOrPartition, absl::StrCat(name_, ": the topic was deleted"));
}

absl::Status Partition::readable_status() const {
  RETURN_IF_ERROR(deleted_status());
  return Prefixed(log_->unreadable(), name_);
}

absl::Status Partition::status() const {
  RETURN_IF_ERROR(deleted_status());
  return Prefixed(log_->fenced(), name_);
}

absl::Status Partition::CheckOpen(bool internal) const {
  RETURN_IF_ERROR(status());
  if (services_.stopping->load())
    return MakeError(ErrorCode::kShuttingDown, "the broker is stopping; reconnect");
  return internal ? absl::OkStatus() : services_.disk->Check();
}

void Partition::Append(AppendRequest request) {
  AppendOutcome outcome;
  const absl::StatusOr<Placed> placed = Stage(request, outcome);
  if (!placed.ok()) return request.done(placed.status());
  if (*placed == Placed::kQueued) return;
  request.done(outcome);
  if (*placed == Placed::kInline) waiters_.WakeAll();
}

absl::StatusOr<Partition::Placed> Partition::Stage(AppendRequest& request, AppendOutcome& outcome) {
  const core::MutexLock lock(mutex_);
  RETURN_IF_ERROR(CheckOpen(request.internal));
  ASSIGN_OR_RETURN(const RecordBatchView view, RecordBatchView::Parse(request.bytes));
  const std::uint32_t sent_crc = request.sent_crc.value_or(view.crc());
  const absl::StatusOr<storage::SequenceCheck> check = staged_producers_.Check(view, sent_crc);
  if (!check.ok()) return Prefixed(check.status(), name_);
  outcome.record_count = view.record_count();
  outcome.log_start_offset = log_->offsets().start;
  if (check->kind == storage::SequenceCheck::Kind::kDuplicate) {
    outcome.base_offset = check->original.base_offset;
    outcome.duplicate = true;
    outcome.log_append_time = check->original.log_append_time;
    if (check->original.last_offset < log_->offsets().high_watermark) return Placed::kDuplicate;
    Queue(request, ByteSpan(), outcome);  // acknowledged no sooner than its original
    return Placed::kQueued;
  }
  outcome.base_offset = next_offset_;
  if ((view.attributes() & kAttributeLogAppendTime) != 0) outcome.log_append_time = view.max_timestamp();
  request.sent_crc = sent_crc;
  StampBatch(request.bytes, next_offset_, services_.leader_epoch);
  staged_producers_.Update(view, services_.clock->WallNow(), sent_crc);
  next_offset_ += view.last_offset_delta() + 1;
  if (const std::optional<absl::Status> written = TryWriteInline(view, sent_crc)) {
    if (!written->ok()) return Prefixed(*written, name_);
    return Placed::kInline;
  }
  Queue(request, request.bytes, outcome);
  return Placed::kQueued;
}

bool Partition::MayWriteInline() const {
  if (durable_.load(std::memory_order_relaxed) || group_writing_ || !queue_.empty()) return false;
  const std::int64_t began = sync_began_.load(std::memory_order_relaxed);
  return began == 0 || storage::MonotonicMs(*services_.clock) - began <= kSlowSyncMs;
}

std::optional<absl::Status> Partition::TryWriteInline(const RecordBatchView& batch, std::uint32_t sent_crc) {
  if (!MayWriteInline() || !log_mutex_.try_lock()) return std::nullopt;
  std::optional<absl::Status> written;
  if (!log_->AppendMayBlock(batch)) {
    written = WriteInline(batch.bytes(), sent_crc);
    if (!written->ok()) ResetStaging();
  }
  log_mutex_.unlock();
  return written;
}

absl::Status Partition::WriteInline(ByteSpan batch, std::uint32_t sent_crc) {
  const absl::Status written = log_->Append({&batch, 1}, {&sent_crc, 1});
  if (!written.ok()) {
    if (CodeOf(written) == ErrorCode::kDiskFull) services_.disk->NoteFull(written);
    return written;
  }
  log_->Publish(log_->WrittenPoint());
  unsynced_bytes_ += batch.size();
  if (unsynced_bytes_ >= kUnsyncedMax) SubmitSync();
  return absl::OkStatus();
}

void Partition::Queue(AppendRequest& request, ByteSpan bytes, const AppendOutcome& outcome) {
  queue_.push_back({std::move(request.owner), bytes, request.sent_crc.value_or(0), std::move(request.done),
                    outcome, std::move(request.room)});
  if (!flush_submitted_) SubmitFlush();
}

void Partition::SubmitFlush() {
  flush_submitted_ = true;
  auto group = std::make_shared<Group>();
  storage::FlushJob job;
  job.write = [self = shared_from_this(), group] { return self->WriteGroup(*group); };
  job.done = [self = shared_from_this(), group](const absl::StatusOr<storage::SyncPoint>& written,
                                                const absl::Status& synced) {
    self->FinishGroup(*group, written, synced);
  };
  services_.flusher->Submit(std::move(job));
}

absl::StatusOr<storage::SyncPoint> Partition::WriteGroup(Group& group) {
  {
    const core::MutexLock lock(mutex_);
    group.swap(queue_);
    flush_submitted_ = false;
    group_writing_ = true;
  }
  std::vector<ByteSpan> batches;
  std::vector<std::uint32_t> sent_crcs;
  std::uint64_t size = 0;
  for (const Staged& staged : group) {
    if (staged.bytes.empty()) continue;
    batches.push_back(staged.bytes);
    sent_crcs.push_back(staged.sent_crc);
    size += staged.bytes.size();
  }
  const bool durable = durable_.load();
  absl::Status written;
  storage::SyncPoint point;
  {
    const core::MutexLock lock(log_mutex_);
    written = status();
    if (written.ok()) written = log_->Append(batches, sent_crcs);
    if (written.ok()) point = durable ? log_->UnsyncedPoint() : log_->WrittenPoint();
  }
  if (!written.ok()) {
    if (CodeOf(written) == ErrorCode::kDiskFull) services_.disk->NoteFull(written);
    Rollback(written);
  } else if (!durable) {
    {
      const core::MutexLock lock(mutex_);
      unsynced_bytes_ += size;
    }
    FinishGroup(group, std::exchange(point, {}), absl::OkStatus());
    group.clear();
  }
  const core::MutexLock lock(mutex_);
  group_writing_ = false;
  if (!written.ok()) return Prefixed(written, name_);
  return point;
}

void Partition::FinishGroup(Group& group, const absl::StatusOr<storage::SyncPoint>& written,
                            const absl::Status& synced) {
  if (group.empty()) return;  // answered already
  const absl::Status outcome = written.ok() ? PublishGroup(*written, synced) : written.status();
  for (const Staged& staged : group) {
    if (outcome.ok()) {
      staged.done(staged.outcome);
    } else {
      staged.done(outcome);
    }
  }
  // Last: those who wait for an acknowledgement wait for a disk already, and readers for no promise.
  waiters_.WakeAll();
}

absl::Status Partition::PublishGroup(const storage::SyncPoint& point, const absl::Status& synced) {
  {
    const core::MutexLock lock(log_mutex_);
    // Looked at under the lock: nothing is done to an abandoned log. A sync may have failed for no more than
    // that its directory is gone.
    RETURN_IF_ERROR(deleted_status());
    if (synced.ok()) {
      if (!point.files.empty()) log_->MarkSynced(point);
      log_->Publish(point);
      return absl::OkStatus();
    }
    log_->Fence(synced);  // whatever its code: also on a full disk a failed sync may have lost anything
  }
  const absl::Status fenced = status();
  Rollback(fenced);
  return fenced;
}

void Partition::Rollback(const absl::Status& error) {
  Group failed;
  {
    const core::MutexLock lock(mutex_);
    const core::MutexLock log_lock(log_mutex_);
    failed.swap(queue_);
    ResetStaging();
  }
  for (const Staged& staged : failed) staged.done(Prefixed(error, name_));
}

void Partition::ResetStaging() {
  next_offset_ = log_->offsets().end;
  staged_producers_ = log_->producers();
}

void Partition::StartBackgroundSync() {
  const core::MutexLock lock(mutex_);
  if (unsynced_bytes_ > 0 && !deleted_.load()) SubmitSync();
}

void Partition::SubmitSync() {
  if (sync_submitted_) return;
  sync_submitted_ = true;
  unsynced_bytes_ = 0;
  storage::FlushJob job;
  job.write = [self = shared_from_this()]() -> absl::StatusOr<storage::SyncPoint> {
    self->sync_began_.store(storage::MonotonicMs(*self->services_.clock));
    const core::MutexLock lock(self->log_mutex_);
    if (self->deleted_.load()) return self->status();
    return self->log_->UnsyncedPoint();
  };
  job.done = [self = shared_from_this()](const absl::StatusOr<storage::SyncPoint>& written,
                                         const absl::Status& synced) { self->FinishSync(written, synced); };
  services_.flusher->Submit(std::move(job));
}

void Partition::FinishSync(const absl::StatusOr<storage::SyncPoint>& written, const absl::Status& synced) {
  sync_began_.store(0);
  {
    const core::MutexLock lock(mutex_);
    sync_submitted_ = false;
  }
  {
    const core::MutexLock lock(log_mutex_);
    if (!written.ok() || deleted_.load()) return;
    if (synced.ok()) return log_->MarkSynced(*written);
    log_->Fence(synced);
  }
  Rollback(log_->fenced());
  waiters_.WakeAll();
}

absl::StatusOr<storage::FileSlice> Partition::Read(storage::ReadCursor& cursor,
                                                   std::uint64_t size_max) const {
  RETURN_IF_ERROR(readable_status());
  absl::StatusOr<storage::FileSlice> slice = log_->Read(cursor, size_max);
  if (slice.ok()) return slice;
  RETURN_IF_ERROR(deleted_status());  // then that is why
  return Prefixed(slice.status(), name_);
}

absl::Status Partition::Trim(Offset offset) {
  absl::Status trimmed;
  {
    const core::MutexLock trimming(trim_mutex_);
    RETURN_IF_ERROR(status());
    trimmed = log_->Trim(offset, log_mutex_);
  }
  waiters_.WakeAll();
  return Prefixed(trimmed, name_);
}

absl::StatusOr<std::size_t> Partition::ApplyRetention() {
  absl::StatusOr<std::size_t> deleted = std::size_t{0};
  {
    const core::MutexLock trimming(trim_mutex_);
    if (!status().ok()) return std::size_t{0};
    deleted = log_->ApplyRetention(log_mutex_);
  }
  if (!deleted.ok()) return Prefixed(deleted.status(), name_);
  if (*deleted > 0) waiters_.WakeAll();
  return deleted;
}

void Partition::ExpireProducers() {
  TimestampMs horizon = 0;
  {
    const core::MutexLock lock(log_mutex_);
    horizon = log_->ExpireProducers();
  }
  const core::MutexLock lock(mutex_);
  staged_producers_.Expire(horizon);
}

absl::StatusOr<storage::LeaderEpochCache> Partition::LeaderEpochs() {
  const core::MutexLock lock(log_mutex_);
  return log_->Epochs();
}

void Partition::SetConfig(const TopicConfig& config) {
  durable_.store(config.durability == Durability::kDurable);
  SetRules(RulesOf(config));
  const core::MutexLock lock(log_mutex_);
  log_->SetOptions(config.log);
}

void Partition::MarkDeleted() {
  {
    // Both locks: whoever holds one of them while looking at the flag may finish its write first.
    const core::MutexLock lock(mutex_);
    const core::MutexLock log_lock(log_mutex_);
    deleted_.store(true);
  }
  Rollback(status());
  waiters_.WakeAll();
  const core::MutexLock compaction_over(compaction_mutex_);
  const core::MutexLock trim_over(trim_mutex_);
  log_->Abandon();
}

absl::StatusOr<storage::LogSummary> Partition::Close() {
  const core::MutexLock lock(log_mutex_);
  return log_->Close();
}

}  // namespace headrace::topic
