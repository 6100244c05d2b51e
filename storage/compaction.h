// Compaction of one log: of each key only the last record stays. storage/README.md has the argument.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "storage/compaction_policy.h"
#include "storage/key_map.h"
#include "storage/segment.h"

namespace headrace::storage {

struct CompactionLimits {
  static constexpr std::size_t kKeyMapSizeMax = std::size_t{16} << 20;
  // For the map of keys, bytes: 393,216 keys a pass. A dirty part with more keys takes several passes.
  std::size_t key_map_size_max = kKeyMapSizeMax;
  // What one batch may decompress to, bytes; a batch that is larger stays as it is.
  std::size_t decompressed_size_max = std::size_t{128} << 20;
  // Called after every so many bytes read, to hold compaction back; false stops it. May block.
  std::function<bool(std::uint64_t bytes)> proceed;
};

static_assert(KeyMap::KeysWithin(CompactionLimits::kKeyMapSizeMax) == 393'216);

struct CompactionResult {
  std::uint32_t passes = 0;
  std::uint32_t segments_before = 0;  // those that were replaced
  std::uint32_t segments_after = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_before = 0;  // of the segments that were replaced
  std::uint64_t bytes_after = 0;
  std::uint64_t records_dropped = 0;
  bool stopped = false;  // before it was through: what was done stays done
};

// What Log::PlanCompaction has decided on, with everything that is needed to do it without the log.
struct CompactionPlan {
  SegmentHome home;
  std::vector<std::shared_ptr<Segment>> segments;  // ascending, all sealed, readable and on disk
  Offset end = 0;                                  // behind the last of them
  CompactionProgress progress;
  LogOptions options;
  TimestampMs now = 0;  // wall clock
  ProducerState producers;
  std::string checkpoint;  // of the log, beyond `end`: to be synced before anything is replaced
};

// Segments, and the one that is to replace them, which lies ready beside them.
struct SegmentReplacement {
  std::vector<std::shared_ptr<Segment>> old_segments;
  std::shared_ptr<Segment> fresh;
};

// One run over a log, owned by whoever compacts, on one thread. It reads and writes files without the log's
// lock, and never touches the log: the owner calls
//   Next (no lock), Log::SwapCompacted (as a writer), Settle (no lock), ..., Log::FinishCompaction (writer).
// Memory: the key map, one batch and what it decompresses to, twice, and the indexes of one segment.
class Compaction {
 public:
  Compaction(CompactionPlan plan, CompactionLimits limits);

  // Rewrites until there is something to replace; nullopt when there is nothing more. After a crash from here
  // on the replacement takes place. Errors: the file system's; what was not handed out is taken away.
  absl::StatusOr<std::optional<SegmentReplacement>> Next();
  // The replacement was made (or not, `swapped` false: then the run is over): puts it on disk, and removes
  // what it replaced. After an error the log must be fenced.
  absl::Status Settle(const SegmentReplacement& replacement, bool swapped);

  const CompactionProgress& progress() const { return progress_; }
  const CompactionResult& result() const { return result_; }

 private:
  class Output;
  struct Pass {
    Offset end = 0;  // the keys of records from here on are not in the map
    std::size_t next = 0;
    // Something before this stays with keys that are not known: a deletion may be of a record in it.
    bool kept_unread = false;
    TimestampMs next_horizon = CompactionProgress::kNever;
  };

  FileSystem& files() const { return *plan_.home.environment->files; }
  Offset EndOf(std::size_t i) const;
  absl::Status Charge(std::uint64_t bytes);
  absl::Status BeginPass();
  // False once the map is full: the pass ends where it was.
  absl::StatusOr<bool> ReadKeys(std::size_t i);
  bool NoteKeys(const RecordBatchView& batch);
  // Puts segments_[pass_.next] and those that fit behind it into one. Moves pass_.next behind them.
  absl::StatusOr<std::optional<SegmentReplacement>> RewriteGroup();
  // False if the segment is damaged: then it stays as it is, and `output` is as before.
  absl::StatusOr<bool> RewriteSegment(std::size_t i, Output& output);
  absl::Status RewriteBatch(const RecordBatchView& batch, Output& output);
  absl::StatusOr<std::optional<SegmentReplacement>> Ready(std::size_t first, std::size_t count,
                                                          Output& output);
  void Report(const Segment& segment, std::string_view what) const;

  const CompactionPlan plan_;
  const CompactionLimits limits_;
  std::vector<std::shared_ptr<Segment>> segments_;  // as they are now
  CompactionProgress progress_;
  CompactionResult result_;
  KeyMap keys_;
  std::optional<Pass> pass_;
  std::size_t handed_out_ = 0;  // index of the first segment of the replacement that was handed out
  std::uint64_t uncharged_ = 0;
  bool over_ = false;
  bool checkpoint_synced_ = false;
};

}  // namespace headrace::storage
