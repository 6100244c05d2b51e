// One partition: the single writer of its log, and the door for everybody who appends or reads.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "broker/topic/append_budget.h"
#include "broker/topic/disk_guard.h"
#include "broker/topic/produce_rules.h"
#include "broker/topic/topic_config.h"
#include "broker/topic/waiters.h"
#include "protocol/core/mutex.h"
#include "storage/compaction.h"
#include "storage/flusher.h"
#include "storage/log.h"

namespace headrace::topic {

struct AppendOutcome {
  Offset base_offset = 0;
  bool duplicate = false;
  std::int32_t record_count = 0;
  // The broker's wall clock at the append, of the original if this is a duplicate, if the topic's timestamps
  // are of the append; else -1.
  TimestampMs log_append_time = -1;
  Offset log_start_offset = 0;
};
// Called exactly once: on the caller's thread before Append or Produce returns, or later on the flusher's
// thread or the pool's. It must not block.
using AppendCallback = std::function<void(const absl::StatusOr<AppendOutcome>&)>;

// One batch on its way into the log. `owner` keeps `bytes` alive.
struct AppendRequest {
  std::shared_ptr<void> owner;
  MutableByteSpan bytes;
  AppendCallback done;
  std::optional<std::uint32_t> sent_crc{};  // as the producer sent it, if it was rewritten since
  bool internal = false;       // a topic of the broker's own: goes on while the disk is kept in reserve
  AppendBudget::Lease room{};  // taken by Produce
};

// What all partitions of a broker share; outlives them.
struct PartitionServices {
  storage::Flusher* flusher = nullptr;
  storage::FilePool* pool = nullptr;
  storage::Clock* clock = nullptr;
  DiskGuard* disk = nullptr;
  AppendBudget* budget = nullptr;
  const std::atomic<bool>* stopping = nullptr;  // once true, appends are refused with kShuttingDown
  LeaderEpoch leader_epoch = 0;
};

// How an append travels depends on the topic's durability (storage/README.md has the argument): a written
// topic's batch is written on the caller's thread; a durable one's is given its offset there, and the flusher
// writes, syncs, publishes and acknowledges it with its group. The flusher writes for a written topic, too,
// what may wait for the disk, such as a roll, and what comes behind it. Owned by its Topic, by shared_ptr
// because flush jobs and streams outlive a delete. Thread: any. Never blocks a reader, never syncs on the
// caller's thread.
class Partition : public std::enable_shared_from_this<Partition> {
 public:
  Partition(std::string name, std::unique_ptr<storage::Log> log, const TopicConfig& config,
            const PartitionServices& services);

  // Appends what a client has sent: checks it, makes of it what the topic's configuration demands (see
  // produce_rules.h) and appends that. Batches reach the log in the order of one thread's calls, though what
  // decompresses or compresses happens on the pool. As long as the configuration demands nothing of the kind
  // this is a check and Append. Errors: those of AppendBudget::Take, CheckSize, CheckBatch, Prepare and
  // Append; kInvalidTopic for a topic of the broker's own. All with the partition's name.
  void Produce(AppendRequest request) HEADRACE_EXCLUDES(produce_mutex_, mutex_, log_mutex_);

  // Appends one batch as it is, which RecordBatchView::Parse and CheckProduced have passed. Outcomes in the
  // order of calls. Errors: kOutOfOrderSequence, kInvalidProducerEpoch, kDuplicateSequence, kDiskFull
  // (retriable), kStorageError (fenced), kUnknownTopicOrPartition (deleted).
  void Append(AppendRequest request) HEADRACE_EXCLUDES(mutex_, log_mutex_);

  // storage::Log::Read, with the partition's name in errors.
  absl::StatusOr<storage::FileSlice> Read(storage::ReadCursor& cursor, std::uint64_t size_max) const;
  // Woken when the high watermark or the start offset moves, and when the partition is deleted or fenced.
  Waiters& waiters() { return waiters_; }

  storage::LogOffsets offsets() const { return log_->offsets(); }
  const storage::Log& log() const { return *log_; }
  // "topic-3", for messages.
  const std::string& name() const { return name_; }
  LeaderEpoch leader_epoch() const { return services_.leader_epoch; }
  // OK, or why nothing can be appended: deleted, fenced.
  absl::Status status() const;
  // OK, or why nothing can be read: deleted, or its log could not be opened. A fenced one can be read.
  absl::Status readable_status() const;

  // Blocking, for the file pool or an administrative thread.
  absl::Status Trim(Offset offset) HEADRACE_EXCLUDES(trim_mutex_, log_mutex_);
  absl::StatusOr<std::size_t> ApplyRetention() HEADRACE_EXCLUDES(trim_mutex_, log_mutex_);
  // Forgets producers that have not appended for long.
  void ExpireProducers() HEADRACE_EXCLUDES(mutex_, log_mutex_);
  // Compacts the log if it is time (storage/compaction.h). Blocking, and long: for a thread of its own, one
  // call at a time. Appends wait for it no longer than a rename takes.
  absl::StatusOr<storage::CompactionResult> Compact(storage::CompactionLimits limits)
      HEADRACE_EXCLUDES(compaction_mutex_, log_mutex_);
  // The leader epochs of the log.
  absl::StatusOr<storage::LeaderEpochCache> LeaderEpochs() HEADRACE_EXCLUDES(log_mutex_);
  void SetConfig(const TopicConfig& config) HEADRACE_EXCLUDES(produce_mutex_, log_mutex_);
  // Starts a sync of what a written topic has in the page cache, if there is any and none is under way.
  void StartBackgroundSync() HEADRACE_EXCLUDES(mutex_);
  // Once `stopping` is set: returns when no append let in before is still on its way to the flusher.
  void AwaitAppends() HEADRACE_EXCLUDES(mutex_);
  // Refuses everything from now on, fails what is queued, ends a compaction and unlinks the segments: when
  // this returns, nobody makes or removes files of the log any more. Blocking.
  void MarkDeleted() HEADRACE_EXCLUDES(compaction_mutex_, trim_mutex_, mutex_, log_mutex_);
  // Closes the log. REQUIRES: nobody appends any more, and the flusher has finished its jobs.
  absl::StatusOr<storage::LogSummary> Close() HEADRACE_EXCLUDES(log_mutex_);

 private:
  struct Staged {
    std::shared_ptr<void> owner;
    ByteSpan bytes;  // empty for a duplicate that waits for its original
    std::uint32_t sent_crc = 0;
    AppendCallback done;
    AppendOutcome outcome;
    AppendBudget::Lease room;
  };
  using Group = std::vector<Staged>;
  enum class Placed { kInline, kQueued, kDuplicate };

  // Produce's parts: partition_produce.cc.
  absl::StatusOr<RecordBatchView> CheckProduced(ByteSpan bytes) const HEADRACE_EXCLUDES(produce_mutex_);
  void SetRules(const ProduceRules& rules) HEADRACE_EXCLUDES(produce_mutex_);
  absl::Status TakeRoom(AppendRequest& request) const;
  void Refuse(const AppendRequest& request, const absl::Status& error) const;
  void PrepareAndAppend(const ProduceRules& rules, AppendRequest request);
  void PostNext();
  void ProduceNext() HEADRACE_EXCLUDES(produce_mutex_);

  absl::Status deleted_status() const;
  absl::StatusOr<Placed> Stage(AppendRequest& request, AppendOutcome& outcome) HEADRACE_EXCLUDES(mutex_);
  absl::Status CheckOpen(bool internal) const;
  bool MayWriteInline() const HEADRACE_REQUIRES(mutex_);
  // The outcome of a write on this thread; nullopt if the flusher must do it.
  std::optional<absl::Status> TryWriteInline(const RecordBatchView& batch, std::uint32_t sent_crc)
      HEADRACE_REQUIRES(mutex_) HEADRACE_EXCLUDES(log_mutex_);
  absl::Status WriteInline(ByteSpan batch, std::uint32_t sent_crc) HEADRACE_REQUIRES(mutex_, log_mutex_);
  void Queue(AppendRequest& request, ByteSpan bytes, const AppendOutcome& outcome) HEADRACE_REQUIRES(mutex_);
  void SubmitFlush() HEADRACE_REQUIRES(mutex_);
  void SubmitSync() HEADRACE_REQUIRES(mutex_);
  // The flusher's two calls for one group. That of a written topic is answered by the first, since it has no
  // sync to wait for, and before another batch can be written on its own thread.
  absl::StatusOr<storage::SyncPoint> WriteGroup(Group& group) HEADRACE_EXCLUDES(mutex_, log_mutex_);
  void FinishGroup(Group& group, const absl::StatusOr<storage::SyncPoint>& written,
                   const absl::Status& synced) HEADRACE_EXCLUDES(mutex_, log_mutex_);
  // The group's batches are on disk, or their sync failed.
  absl::Status PublishGroup(const storage::SyncPoint& point, const absl::Status& synced)
      HEADRACE_EXCLUDES(mutex_, log_mutex_);
  void FinishSync(const absl::StatusOr<storage::SyncPoint>& written, const absl::Status& synced)
      HEADRACE_EXCLUDES(mutex_, log_mutex_);
  // After a failed write: everything staged and not written fails with it, and staging starts at the log's
  // end.
  void Rollback(const absl::Status& error) HEADRACE_EXCLUDES(mutex_, log_mutex_);
  void ResetStaging() HEADRACE_REQUIRES(mutex_, log_mutex_);

  const std::string name_;
  const PartitionServices services_;
  Waiters waiters_;
  std::atomic<bool> durable_;
  std::atomic<bool> deleted_{false};
  // Whether a batch that comes now goes to Append as it was sent, if it has its largest timestamp: nothing is
  // demanded of it, and none that came before it is still being prepared.
  std::atomic<bool> direct_;
  std::atomic<std::uint64_t> batch_size_max_;
  // Monotonic milliseconds when the sync under way began; 0: none. A written topic queues behind a slow one.
  std::atomic<std::int64_t> sync_began_{0};

  // What is demanded of batches, and those that wait their turn on the pool, which has one at a time. Held
  // for short; never together with the other two.
  mutable core::Mutex produce_mutex_;
  ProduceRules rules_ HEADRACE_GUARDED_BY(produce_mutex_);
  std::list<AppendRequest> preparing_ HEADRACE_GUARDED_BY(produce_mutex_);
  bool preparing_one_ HEADRACE_GUARDED_BY(produce_mutex_) = false;

  // Staging: what the next batch will be given. Held for short, never across a system call but the one write
  // of a written topic. Taken before log_mutex_.
  core::Mutex mutex_;
  Offset next_offset_ HEADRACE_GUARDED_BY(mutex_) = 0;
  storage::ProducerState staged_producers_ HEADRACE_GUARDED_BY(mutex_);
  Group queue_ HEADRACE_GUARDED_BY(mutex_);
  bool flush_submitted_ HEADRACE_GUARDED_BY(mutex_) = false;
  bool group_writing_ HEADRACE_GUARDED_BY(mutex_) =
      false;  // a group left the queue and is not yet in the log
  bool sync_submitted_ HEADRACE_GUARDED_BY(mutex_) = false;
  std::uint64_t unsynced_bytes_ HEADRACE_GUARDED_BY(mutex_) = 0;

  // Held for a whole compaction, and for a whole trim, which make and remove files beside the writer. Taken
  // before log_mutex_, and in this order.
  core::Mutex compaction_mutex_;
  core::Mutex trim_mutex_;

  // Serialises the log's writer calls. Readers do not take it. Not held over a sync or an unlink: all durable
  // topics' flusher waits for it.
  core::Mutex log_mutex_;
  std::unique_ptr<storage::Log> log_;
};

}  // namespace headrace::topic
