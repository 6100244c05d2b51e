// What a Log is made of. Private to storage/log*.cc.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "protocol/core/mutex.h"
#include "storage/compaction_policy.h"
#include "storage/leader_epoch_cache.h"
#include "storage/log.h"
#include "storage/retention.h"
#include "storage/segment.h"

namespace headrace::storage {

// Fields of the writer are touched by writer calls only. What readers share is atomic or under the mutex,
// which is held for copying a few words, and over nothing that blocks. Changes to the three positions and to
// what segments have published are made together under it, so that a reader who holds it sees them agree.
struct Log::State {
  using Segments = std::vector<std::shared_ptr<Segment>>;

  State(LogEnvironment& log_environment, std::string log_directory, const LogOptions& log_options)
      : environment(log_environment),
        directory(std::make_shared<const std::string>(std::move(log_directory))),
        options(log_options) {}

  LogEnvironment& environment;
  const std::shared_ptr<const std::string> directory;
  bool unreadable = false;  // see Log::Unreadable; does not change

  // --- Readers and writer ---
  std::atomic<Offset> start{0};
  std::atomic<Offset> high_watermark{0};
  std::atomic<Offset> end{0};
  std::atomic<std::uint64_t> size{0};  // bytes of all segments
  std::atomic<bool> is_fenced{false};
  mutable core::Mutex mutex;
  Segments segments HEADRACE_GUARDED_BY(mutex);  // ascending; the last one is appended to
  absl::Status fence HEADRACE_GUARDED_BY(mutex);

  // --- Writer ---
  LogOptions options;
  ProducerState producers;
  LeaderEpochCache epochs;
  bool epochs_loaded = true;  // false after a clean start, until they are needed
  bool epochs_changed = false;
  Segments unsynced;  // with bytes that may not be on disk, ascending
  std::vector<std::string> unsynced_directories;
  std::uint64_t directory_changes = 0;
  std::uint64_t bytes_since_checkpoint = 0;
  std::optional<std::uint64_t> checkpoint_sequence;  // of the last one; nullopt until it was looked up
  // A new log's first checkpoint, until it is synced with the first batches: without one, recovery after a
  // power loss would not know where the acknowledged part ends.
  std::shared_ptr<File> unsynced_checkpoint;
  std::optional<std::chrono::steady_clock::time_point> last_checkpoint;
  TimestampMs last_append = 0;  // wall clock; never goes back
  RetentionClock retention_clock;
  // The segment of the last checkpoint written: what lies below may be replaced. -1: not known.
  Offset checkpoint_segment = -1;
  std::optional<CompactionProgress> compaction;  // once it was looked up

  // --- Trimmer ---
  Segments doomed;  // out of the log, not yet unlinked

  SegmentHome Home() const { return {&environment, directory, options.index_interval}; }
  std::string PathOf(std::string_view name) const { return (*directory + "/").append(name); }
  void Report(const std::string& line) const {
    if (environment.report) environment.report(line);
  }

  Segments AllSegments() const HEADRACE_EXCLUDES(mutex);
  std::shared_ptr<Segment> Active() const HEADRACE_EXCLUDES(mutex);
  void AddSegment(std::shared_ptr<Segment> segment) HEADRACE_EXCLUDES(mutex);
  // Keeps the first error, and gives it back as kStorageError. Thread: any.
  absl::Status Fence(const absl::Status& error) HEADRACE_EXCLUDES(mutex);
  absl::Status FenceStatus() const HEADRACE_EXCLUDES(mutex);
  // What a failed write means: kDiskFull if the disk is full, which passes; anything else fences.
  absl::Status FailedWrite(const absl::Status& error) HEADRACE_EXCLUDES(mutex);

  // log_append.cc: a new segment at `base_offset`, with the log's directory if that is missing.
  absl::StatusOr<std::shared_ptr<Segment>> CreateSegment(Offset base_offset);
  // The names in this directory may not be on disk.
  void NoteUnsynced(const std::string& name);
  // The names of the log's directory, and of its topic's, may not be on disk.
  void NoteNewDirectory();
  // Whether the next batch must go to a new segment, whatever its size.
  bool MustRoll(TimestampMs now) const HEADRACE_EXCLUDES(mutex);
  // `batches` were written.
  void Note(std::span<const RecordBatchView> batches, std::span<const std::uint32_t> sent_crcs,
            TimestampMs now, std::uint64_t bytes);

  // log_sync.cc
  bool CheckpointIsDue() const;
  void WriteCheckpoint(const SyncPoint& point);
  // The number of the next checkpoint.
  std::uint64_t NextCheckpointSequence();
  void WriteFirstCheckpoint(Offset base_offset);
  absl::Status SyncCheckpoint();
  // For the next start, which does without if they cannot be written.
  void StoreProducers();
  absl::Status StoreEpochs();
  absl::Status SyncDirectories();

  // log.cc
  absl::Status OpenClean(const LogSummary& summary);

  // log_replay.cc
  using Visit = std::function<void(const RecordBatchView& batch, TimestampMs append_time)>;
  // Shows every valid batch that holds an offset of at least `from`.
  absl::Status Replay(Offset from, const Visit& visit) const HEADRACE_EXCLUDES(mutex);
  // From the snapshot, if it is of `snapshot_end_max` or before, and the batches behind it.
  // There are no producers' batches below `none_below`.
  absl::Status LoadProducers(Offset snapshot_end_max, Offset none_below);
  // Of a log that was shut down in order, on first use.
  absl::Status LoadEpochs();
  // `last` is the epoch of the batch below `known_end`, where the checkpoint was; nullopt without one.
  absl::Status LoadEpochsAfterCrash(std::optional<LeaderEpoch> last, Offset known_end);
  absl::Status ReplayEpochs(Offset from);

  // log_trim.cc
  absl::Status RaiseStart(Offset offset, core::Mutex& writer) HEADRACE_EXCLUDES(mutex, writer);
  absl::Status SyncNames(core::Mutex& writer) HEADRACE_EXCLUDES(mutex, writer);
  // Takes the segments below the start out of the log; then DeleteDoomed unlinks them, the oldest first.
  void DoomBelowStart() HEADRACE_EXCLUDES(mutex);
  absl::Status DeleteDoomed() HEADRACE_EXCLUDES(mutex);
  absl::Status RollIfAged(TimestampMs now) HEADRACE_EXCLUDES(mutex);
  // How many of the oldest segments retention deletes now, and where the log begins without them.
  struct Expired {
    std::size_t count = 0;
    Offset start = 0;
  };
  absl::StatusOr<Expired> FindExpired() HEADRACE_EXCLUDES(mutex);
  // The time, for what is deleted by its age.
  TimestampMs RetentionNow();

  // log_compact.cc
  const CompactionProgress& LoadProgress();
  // What lies below `end` is on disk: the checkpoint must be beyond it. False if it could not be written.
  bool MoveCheckpointBeyond(Offset end) HEADRACE_EXCLUDES(mutex);
  // Puts the fresh segment in the place of the old ones. False if they are no longer there.
  bool Exchange(const SegmentReplacement& replacement) HEADRACE_EXCLUDES(mutex);

  // log_read.cc
  // What a reader has before it. No segment: nothing yet. No position: it must be looked up.
  struct Standing {
    std::shared_ptr<const Segment> segment;
    std::optional<std::uint64_t> position;
  };
  absl::StatusOr<Standing> Stand(const ReadCursor& cursor) const HEADRACE_EXCLUDES(mutex);
  absl::StatusOr<FileSlice> ReadAt(ReadCursor& cursor, std::uint64_t size_max) const HEADRACE_EXCLUDES(mutex);
  // The segment that holds this offset if any does.
  std::shared_ptr<Segment> SegmentOf(Offset offset) const HEADRACE_REQUIRES(mutex);
};

}  // namespace headrace::storage
