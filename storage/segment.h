// One file of a log, and what is known of it: <base offset, 20 digits>.log.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "protocol/core/mutex.h"
#include "protocol/core/record_batch.h"
#include "storage/batch_cursor.h"
#include "storage/index_cache.h"
#include "storage/log.h"
#include "storage/offset_index.h"
#include "storage/segment_scan.h"
#include "storage/time_index.h"

namespace headrace::storage {

// What all segments of one log share.
struct SegmentHome {
  LogEnvironment* environment = nullptr;
  std::shared_ptr<const std::string> directory;
  std::uint32_t index_interval = 0;  // bytes
};

// The path of a segment's file; suffixes are "log", "index" and "timeindex".
std::string SegmentPath(const std::string& directory, Offset base_offset, std::string_view suffix);

// The bytes of an index file; none if it cannot be read.
std::vector<std::byte> ReadIndexBytes(FileSystem& files, const std::string& path);

// How far readers may go in a segment.
struct PublishedEnd {
  std::uint64_t size = 0;  // bytes
  Offset offset = 0;       // the one after the last
};

// Shared by its log, by cursors and by sync points. The log's writer calls what is under "Writer", one call
// at a time; readers come from any thread and never see a byte above published(). The mutex is a leaf and is
// never held over a call to the file system. A segment never cuts or overwrites what is published.
//
// While bytes of it may not be on disk it holds its file; else the file is opened through the cache. The part
// of the index that was added since it was last stored is in memory; what lies below comes from disk, or is
// rebuilt, when somebody asks.
class Segment {
 public:
  // Nothing is on disk yet: see Create.
  Segment(SegmentHome home, Offset base_offset);
  // A file that is there, of `written.position` bytes that end at `written.offset`, all of them published. If
  // not `verified`, its size is compared with that at first use.
  // `revision` tells it from segments of the same name that this process has had before (compaction).
  Segment(SegmentHome home, Offset base_offset, BatchPlace written, const SegmentTimes& times, bool verified,
          std::uint32_t revision = 0);

  Offset base_offset() const { return base_offset_; }
  std::string Path(std::string_view suffix) const {
    return SegmentPath(*home_.directory, base_offset_, suffix);
  }

  // --- Writer ---

  // Creates the file, empty.
  absl::Status Create() HEADRACE_EXCLUDES(mutex_);
  // Writes behind what is written, without taking it in. On an error any part of it may be in the file.
  absl::Status Write(std::span<const ByteSpan> pieces) HEADRACE_EXCLUDES(mutex_);
  // Takes in what Write has written: `batches` are its batches.
  void Adopt(std::span<const RecordBatchView> batches, TimestampMs append_time) HEADRACE_EXCLUDES(mutex_);
  // Cuts off what was written and not taken in.
  absl::Status CutBack() HEADRACE_EXCLUDES(mutex_);
  // The open file, if some of its bytes may not be on disk; else nullptr.
  std::shared_ptr<File> UnsyncedFile() const HEADRACE_EXCLUDES(mutex_);
  // The first `size` bytes are on disk.
  void MarkSynced(std::uint64_t size) HEADRACE_EXCLUDES(mutex_);
  // Readers may go up to here. Never goes back.
  void Publish(PublishedEnd end) HEADRACE_EXCLUDES(mutex_);
  // Writes the indexes, if all of them are at hand, and lets go of those in memory. Call it when nothing more
  // will be appended for long. Losing an index loses nothing, so there is no error.
  void StoreIndexes() HEADRACE_EXCLUDES(mutex_);
  // The same once enough was appended since the last time: what recovery has to index by itself stays small,
  // and so does what is written for it.
  void StoreIndexesIfGrown() HEADRACE_EXCLUDES(mutex_);
  // Another file is about to take this one's name: from now on this segment reads `file`, its own, only.
  void Pin(std::shared_ptr<File> file) HEADRACE_EXCLUDES(mutex_);
  void Unpin() HEADRACE_EXCLUDES(mutex_);
  // The segment is out of the log and its name is another's. It can no longer be opened (ABORTED: look for
  // the offset again), and writes no index.
  void Retire() HEADRACE_EXCLUDES(mutex_, store_mutex_);
  // Forgets and unlinks the files. Whoever still holds the open file keeps its bytes.
  absl::Status Delete() HEADRACE_EXCLUDES(mutex_);

  // Where the next batch goes.
  BatchPlace written() const HEADRACE_EXCLUDES(mutex_);
  SegmentTimes times() const HEADRACE_EXCLUDES(mutex_);
  SegmentSummary Summary() const HEADRACE_EXCLUDES(mutex_);
  // Indexes built elsewhere, by recovery; they end where the segment does.
  void SetIndexes(ScannedIndexes indexes) HEADRACE_EXCLUDES(mutex_);

  // --- Reader ---

  PublishedEnd published() const HEADRACE_EXCLUDES(mutex_);
  bool retired() const HEADRACE_EXCLUDES(mutex_);
  // The open file. Errors: FAILED_PRECONDITION if it is gone or not as long as the log was told;
  // ABORTED if another has replaced it.
  absl::StatusOr<std::shared_ptr<File>> Open() const HEADRACE_EXCLUDES(mutex_);
  // Where the batch that holds `offset` begins. Errors: kCorruptMessage with the next readable offset if it
  // is damaged. REQUIRES: base_offset() <= offset < published().offset.
  absl::StatusOr<BatchPlace> Find(Offset offset) const;
  // Where a slice from `begin` of at most `size_max` bytes ends: behind at least one batch, at a batch's end,
  // at most at published(), before any damage. Errors: kCorruptMessage if there is damage at `begin`.
  absl::StatusOr<BatchPlace> SliceEnd(BatchPlace begin, std::uint64_t size_max) const;
  // Where to begin to look for a record of at least this timestamp.
  absl::StatusOr<BatchPlace> FloorTimestamp(TimestampMs timestamp) const;
  // The first damage at or behind `position`.
  absl::StatusOr<std::optional<DamagedRange>> DamageFrom(std::uint64_t position) const;
  // The error for damage that a reader stands before.
  absl::Status DamageError(const DamagedRange& range) const;

 private:
  struct Memory {
    OffsetIndex offsets;
    TimeIndex times;
    TimestampMs max_before = -1;  // largest timestamp below offsets.first()
  };
  using Prefix = std::shared_ptr<const IndexCache::Loaded>;

  // The index of what lies below the part in memory: from the cache, the disk, or a scan.
  absl::StatusOr<Prefix> LoadPrefix() const HEADRACE_EXCLUDES(mutex_);
  Prefix PrefixAtHand(BatchPlace end) const;
  // False if that is not at hand: then the part in memory stays.
  bool StoreWholeIndexes() HEADRACE_EXCLUDES(mutex_);
  absl::StatusOr<ScannedIndexes> ScanPrefix(BatchPlace end) const HEADRACE_EXCLUDES(mutex_);
  std::optional<TimeIndex::Parsed> StoredTimes(std::uint64_t log_size) const;
  void StoreIndexFiles(const OffsetIndex& offsets, const TimeIndex& times, std::uint64_t log_size,
                       const SegmentTimes& segment_times) const HEADRACE_EXCLUDES(mutex_, store_mutex_);
  // Its name in the index cache.
  std::string IndexKey() const;
  // Where the part in memory begins: behind all that is written, if there is none.
  BatchPlace MemoryBegin() const HEADRACE_REQUIRES(mutex_);
  Memory& EnsureMemory() HEADRACE_REQUIRES(mutex_);
  // A walk met something at `place` that is no batch: finds out where batches begin again.
  absl::Status LearnDamage(BatchPlace place) const HEADRACE_EXCLUDES(mutex_);
  absl::Status LearnDamageInMemory(BatchPlace place) const HEADRACE_EXCLUDES(mutex_);
  absl::StatusOr<BatchPlace> FloorOffset(Offset offset) const;
  absl::StatusOr<BatchPlace> FloorPosition(std::uint64_t position) const;
  absl::StatusOr<BatchPlace> WalkToEnd(BatchPlace begin, std::uint64_t limit, std::uint64_t size_max) const;
  absl::Status CheckSize(const File& file) const HEADRACE_EXCLUDES(mutex_);

  const SegmentHome home_;
  const Offset base_offset_;
  const std::uint32_t revision_ = 0;
  // Held while index files are written, so that one is never written over that of a successor. Before mutex_.
  mutable core::Mutex store_mutex_;
  mutable core::Mutex mutex_;
  mutable bool verified_ HEADRACE_GUARDED_BY(mutex_) = true;
  bool deleted_ HEADRACE_GUARDED_BY(mutex_) = false;
  bool retired_ HEADRACE_GUARDED_BY(mutex_) = false;
  // Whether there is damage below the part in memory, once somebody has looked.
  mutable std::optional<bool> prefix_damaged_ HEADRACE_GUARDED_BY(mutex_);
  BatchPlace written_ HEADRACE_GUARDED_BY(mutex_);
  std::uint64_t synced_ HEADRACE_GUARDED_BY(mutex_) = 0;
  PublishedEnd published_ HEADRACE_GUARDED_BY(mutex_);
  SegmentTimes times_ HEADRACE_GUARDED_BY(mutex_);
  std::shared_ptr<File> pinned_ HEADRACE_GUARDED_BY(mutex_);
  std::unique_ptr<Memory> memory_ HEADRACE_GUARDED_BY(mutex_);
};

}  // namespace headrace::storage
