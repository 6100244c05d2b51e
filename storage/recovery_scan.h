// The part of recovery that reads: which batches of a log's tail are whole, and where it must be cut.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/log_state.h"
#include "storage/quarantine.h"
#include "storage/segment_scan.h"

namespace headrace::storage {

// What a bad batch at the tail may be, by what is known of the crash.
enum class TailRule {
  kSameBoot,      // the process died: what it wrote is all there, but for an incomplete last batch
  kOtherBoot,     // power was lost: nothing behind the first bad batch was ever acknowledged
  kNoCheckpoint,  // not known: only what no valid batch follows is taken for a tail
};

// A segment file as recovery finds it, and what becomes of it.
struct FoundSegment {
  Offset base_offset = 0;
  std::uint64_t size = 0;  // bytes
  BatchPlace end;          // where its last batch ends; after the scan
  bool scanned = false;
  bool cut = false;
  std::optional<ScannedIndexes> indexes;
  TimestampMs max_timestamp = -1;

  // Whether its last bytes are known not to be a batch.
  bool damaged_at_end() const {
    return indexes.has_value() && !indexes->offsets.damaged().empty() &&
           indexes->offsets.damaged().back().end == size;
  }
};

// Scans the segments from a place on. Owned by one recovery, on one thread. Cuts what the rule calls a tail,
// after a copy in quarantine; keeps and reports every other damage. Never touches what lies below its start.
class RecoveryScan {
 public:
  RecoveryScan(Log::State& state, std::vector<FoundSegment>& segments, TailRule rule, RecoveryReport& report);

  // Scans from `from` in segments[first] to the end of the log. Segments behind a cut are gone from the list
  // afterwards.
  absl::Status Run(std::size_t first, BatchPlace from);
  // The log ends before segments[first]: moves it and what follows to quarantine, the last one first, so that
  // what a crash in between leaves is still a log that ends too late.
  absl::Status QuarantineFrom(std::size_t first);

 private:
  absl::Status ScanSegment(std::size_t i, BatchPlace from);
  // The indexes of what lies below the checkpoint: from their files, which may be older than it, and a scan
  // of what these leave out. So that no reader has to make them.
  absl::StatusOr<ScannedIndexes> IndexesBelow(const FoundSegment& segment, const File& file, BatchPlace end);
  absl::Status RemoveOtherIndexes(const FoundSegment& segment);
  // At a bad batch: goes on behind it, or cuts there.
  absl::Status Resolve(std::size_t i, File& file, SegmentScanner& scanner);
  // The segment does not begin where the one before ended.
  absl::Status ResolveGap(std::size_t i);
  absl::StatusOr<bool> ValidBatchAfter(std::size_t i);
  // The log ends at `place` of segments[i]; what is behind goes to quarantine.
  absl::Status Cut(std::size_t i, File& file, BatchPlace place);
  absl::Status QuarantineSegment(std::size_t i, std::string_view why);
  void NoteDamage(FoundSegment& segment, const DamagedRange& range);
  void ReportDamage(const FoundSegment& segment, const DamagedRange& range);
  // No base offset in segments[i] can be at or above this.
  Offset OffsetEnd(std::size_t i) const;
  std::string PathOf(const FoundSegment& segment, std::string_view suffix = "log") const;
  absl::StatusOr<std::shared_ptr<File>> Open(const FoundSegment& segment);

  Log::State& state_;
  std::vector<FoundSegment>& segments_;
  const TailRule rule_;
  RecoveryReport& report_;
  Quarantine quarantine_;
};

}  // namespace headrace::storage
