// One partition's log: ordered segments and three positions, start <= high watermark <= end.
//
// `end` is the offset after the last batch written; the high watermark is the one after the last batch that
// has reached the topic's durability, and the only one readers see; `start` is the first offset readers may
// ask for.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "protocol/core/mutex.h"
#include "protocol/core/record_batch.h"
#include "storage/io/clock.h"
#include "storage/io/file.h"
#include "storage/io/file_slice.h"
#include "storage/leader_epoch_cache.h"
#include "storage/log_options.h"
#include "storage/producer_state.h"

namespace headrace::storage {

class Ballast;
class FileCache;
class IndexCache;
class Segment;
struct CompactionPlan;
struct CompactionProgress;
struct SegmentReplacement;
std::shared_ptr<IndexCache> MakeIndexCache();

struct LogOffsets {
  Offset start = 0;
  Offset high_watermark = 0;
  Offset end = 0;
};

// What all logs of a data directory share; outlives them. See storage/data_directory.h.
struct LogEnvironment {
  FileSystem* files = nullptr;
  Clock* clock = nullptr;
  FileCache* cache = nullptr;
  Ballast* ballast = nullptr;  // may be none
  std::string boot_id;         // of the running kernel; empty if unknown
  std::string quarantine;      // directory for what is cut or not understood
  // Called with one line per finding worth an operator's eye (torn tail cut, damage, quarantine). Any thread.
  std::function<void(const std::string&)> report;
  // Indexes of sealed segments, loaded on demand within a fixed amount of memory.
  std::shared_ptr<IndexCache> indexes = MakeIndexCache();
};

// A log as a clean shutdown left it, so that the next start opens no file of it. Kept by the data directory.
struct SegmentSummary {
  Offset base_offset = 0;
  std::uint64_t size = 0;        // bytes
  TimestampMs first_append = 0;  // broker's wall clock; 0 when empty
  TimestampMs last_append = 0;
  TimestampMs max_timestamp = -1;  // of its records
};
struct LogSummary {
  LogOffsets offsets;
  std::vector<SegmentSummary> segments;
  bool has_producers = false;  // a producer snapshot is in the directory and covers `offsets.end`
};

// Where a reader stands. A stream keeps one, so that following the log needs no lookup.
struct ReadCursor {
  Offset offset = 0;  // where to begin; used while `segment` is empty
  std::shared_ptr<const Segment> segment;
  std::uint64_t position = 0;  // bytes into the segment
};

// What must be synced so that everything up to `end` survives power loss. Files are open; directories are
// paths. Syncing may happen on any thread, several at once.
struct SyncPoint {
  Offset end = 0;
  std::vector<std::shared_ptr<File>> files;
  std::vector<std::string> directories;
  // Segments with bytes below `end` that were not yet synced or not yet published, in order, and the bytes
  // written to each.
  std::vector<std::pair<std::shared_ptr<Segment>, std::uint64_t>> published_sizes;
  std::uint64_t directory_changes = 0;  // names made so far, all in `directories` if not yet on disk
  // Set when a producer snapshot is due: the producers as of `end`.
  std::shared_ptr<const std::vector<std::byte>> producer_snapshot;
};

// A record found by its timestamp.
struct TimestampHit {
  Offset offset = 0;
  TimestampMs timestamp = 0;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;  // under which it was written
};

// What opening a log after a crash found.
struct RecoveryReport {
  std::uint64_t bytes_scanned = 0;   // behind the checkpoint
  std::uint64_t bytes_indexed = 0;   // below it: read to complete an index
  std::uint64_t bytes_cut = 0;       // torn tail, moved to quarantine
  std::uint32_t damaged_ranges = 0;  // corrupt batches in the middle; kept, and not served
};

// Owned by one Partition. "Writer" calls are serialised by the owner; "reader" calls come from any thread at
// any time and take only a leaf mutex. It has no thread and no virtual function, assigns no offsets, and
// never cuts or overwrites a published byte.
class Log {
 public:
  struct State;  // storage/log_state.h: for the log's own files only

  // Opens the log in `directory`; a directory that does not exist is an empty log, and is created by the
  // first append. With a `clean` summary no file is touched; without one the log is recovered, by the rules
  // in storage/README.md. Blocking: not on a reactor.
  static absl::StatusOr<std::unique_ptr<Log>> Open(LogEnvironment& environment, std::string directory,
                                                   const LogOptions& options,
                                                   const std::optional<LogSummary>& clean,
                                                   RecoveryReport* report);
  // Stands for a log that Open could not open, so that the others go on without it: it is empty, takes no
  // write, and refuses reads with `error`. Touches no file.
  static std::unique_ptr<Log> Unreadable(LogEnvironment& environment, std::string directory,
                                         const absl::Status& error);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // --- Writer ---

  // Writes whole batches, already checked and stamped: the first one's base offset is offsets().end and each
  // continues the one before (REQUIRES). Rolls as needed. All or nothing: on a full disk (kDiskFull) what was
  // written is cut back and the log goes on; on any other failure, or if the cut fails, the log is fenced.
  // `sent_crcs`: of each batch the CRC that its producer gave it; empty: the one it has.
  absl::Status Append(std::span<const ByteSpan> batches, std::span<const std::uint32_t> sent_crcs = {});

  // Whether an append of this batch may do more than write to an open file: create a segment, with what goes
  // with it, or read. Not for a reactor.
  bool AppendMayBlock(const RecordBatchView& batch) const;

  // Everything written and not yet known to be on disk, as of now.
  SyncPoint UnsyncedPoint();
  // The point's files are on disk: records that, and writes a checkpoint and producer snapshot if due.
  void MarkSynced(const SyncPoint& point);
  // Makes everything up to `point.end` readable. For a durable log call it after MarkSynced.
  void Publish(const SyncPoint& point);
  // A point that covers all that is written, without sync: what a written log publishes.
  SyncPoint WrittenPoint() const;

  // A sync failed: the log refuses every further write, for good. Keeps the first error.
  void Fence(const absl::Status& error);

  // Forgets the producers that have not appended for the time the options say. Returns the time of the last
  // append, by the clock of retention, before which they are forgotten.
  TimestampMs ExpireProducers();
  // The three steps of a compaction that need the log: storage/compaction.h. Nothing if it is not time.
  absl::StatusOr<std::unique_ptr<CompactionPlan>> PlanCompaction();
  // Makes the replacement, from the next read on. False if the segments to replace are gone.
  absl::StatusOr<bool> SwapCompacted(const SegmentReplacement& replacement);
  void FinishCompaction(const CompactionProgress& progress);
  void SetOptions(const LogOptions& options);
  // Syncs, writes indexes and the producer snapshot, and says what the next start needs to know.
  absl::StatusOr<LogSummary> Close();
  // The producers whose batches are in the log, as of `end`.
  const ProducerState& producers() const;
  // The epochs whose batches are in the log. Blocking, the first time after a clean start.
  absl::StatusOr<LeaderEpochCache> Epochs();

  // --- Trimmer: one call at a time, beside the writer, whose lock they take themselves and hold over nothing
  // but a roll: no append waits for their syncs and unlinks. ---

  // Raises the start offset to `offset` (at most the high watermark), on disk before it returns, and deletes
  // the segments below it. No-op if it is not above the present start.
  absl::Status Trim(Offset offset, core::Mutex& writer) HEADRACE_EXCLUDES(writer);
  // Rolls an aged segment and deletes what retention allows (storage/retention.h decides). Returns the
  // number of segments deleted.
  absl::StatusOr<std::size_t> ApplyRetention(core::Mutex& writer) HEADRACE_EXCLUDES(writer);
  // Unlinks every segment and lets go of its file, because the log's topic was deleted: slices on their way
  // keep their bytes, nothing else keeps the space. Needs no lock: there is no writer call afterwards, and
  // readers are refused with kUnknownTopicOrPartition where they need a file.
  void Abandon();

  // --- Reader ---

  LogOffsets offsets() const;
  // The error that fenced the log, or OK.
  absl::Status fenced() const;
  // The same, if the log could not be opened; a fenced log can be read.
  absl::Status unreadable() const;

  // The next whole batches at the cursor, at most `size_max` bytes but at least one batch, all of one
  // segment; the cursor moves behind them. An empty slice (length 0, no file): the cursor is at the high
  // watermark. With an `offset` inside a batch the slice begins with that batch. Errors: kOffsetOutOfRange
  // with the valid range; kCorruptMessage with file, position, offset and the next readable offset;
  // kStorageError. Reads batch headers at most: may block on a cold index or page for one short read.
  absl::StatusOr<FileSlice> Read(ReadCursor& cursor, std::uint64_t size_max) const;

  // The first record whose timestamp is at least `timestamp`, or nullopt. Blocking: decompresses one batch
  // of at most `decompressed_size_max` bytes.
  absl::StatusOr<std::optional<TimestampHit>> FindTimestamp(TimestampMs timestamp,
                                                            std::size_t decompressed_size_max) const;
  // The largest timestamp of a readable record, or nullopt: the first one that has it. Blocking, likewise.
  absl::StatusOr<std::optional<TimestampHit>> FindMaxTimestamp(std::size_t decompressed_size_max) const;

  std::uint64_t size() const;  // bytes of all segments
  std::uint32_t segment_count() const;
  const std::string& directory() const;

 private:
  explicit Log(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace headrace::storage
