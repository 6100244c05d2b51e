// The file that compaction writes: private to storage/compaction*.cc.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "storage/compaction.h"
#include "storage/segment_swap.h"

namespace headrace::storage {

// `<base>.log.cleaned`, with its indexes. Offsets follow each other without a hole: those whose records are
// all gone are told by gap batches, as few as possible.
class Compaction::Output {
 public:
  Output(const SegmentHome& home, Offset base_offset);

  absl::Status Create();
  absl::Status Add(const RecordBatchView& batch);
  // The batch's offsets are gone.
  absl::Status AddGap(const RecordBatchView& batch);
  // Everything since is taken back by Restore.
  void Save();
  void Restore();
  // Writes what is left in memory, and syncs.
  absl::Status Finish();
  void Remove();

  std::uint64_t size() const { return place_.position; }
  Offset base_offset() const { return base_offset_; }
  // Whether offsets up to `end` can be in a segment that begins here.
  bool Reaches(Offset end) const;
  bool changed = false;  // it does not have the same bytes as what it replaces
  // The segment that the file will be.
  std::shared_ptr<Segment> MakeSegment(const SegmentTimes& times, std::uint32_t revision);
  TimestampMs max_timestamp() const { return indexes_.max_timestamp; }

 private:
  struct Gap {
    Offset first = 0;
    Offset last = 0;
    LeaderEpoch epoch = 0;
  };
  struct Mark {
    BatchPlace place;
    ScannedIndexes indexes;
    std::optional<Gap> gap;
    bool changed = false;
  };
  absl::Status Put(const RecordBatchView& batch);
  absl::Status FlushGap();
  absl::Status FlushBuffer();

  const SegmentHome home_;
  const Offset base_offset_;
  const std::string path_;
  std::shared_ptr<File> file_;
  BatchPlace place_;
  std::uint64_t flushed_ = 0;  // bytes in the file; what follows is in the buffer
  std::vector<std::byte> buffer_;
  ScannedIndexes indexes_;
  std::optional<Gap> gap_;
  std::optional<Mark> mark_;
};

}  // namespace headrace::storage
