// Reads a segment batch by batch and checks every CRC: for recovery, and to rebuild indexes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "protocol/core/record_batch.h"
#include "storage/io/file.h"
#include "storage/offset_index.h"
#include "storage/time_index.h"

namespace headrace::storage {

// One pass over a segment file, on one thread. A batch is valid if its header parses, it lies inside the
// limit, its CRC is right and its base offset is the one expected. Never holds more than one batch or a
// window of it, and allocates for no length that is not there.
class SegmentScanner {
 public:
  enum class Found {
    kBatch,  // batch() is valid; the scan stands behind it
    kBad,    // no valid batch at place(); the scan stands before it
    kEnd,    // place().position is the limit
  };

  // Scans from `from`, where a batch with that offset should begin, to `limit` (bytes).
  SegmentScanner(const File& file, BatchPlace from, std::uint64_t limit);

  absl::StatusOr<Found> Next();
  // The last batch found. Holds until the next call.
  const RecordBatchView& batch() const { return *batch_; }
  // Where it begins.
  BatchPlace batch_place() const { return batch_place_; }
  // Where the scan stands.
  BatchPlace place() const { return place_; }

  // Whether the batch at the limit may have been cut short: no valid batch follows in a later segment.
  enum class Tail { kWhole, kMayBeTorn };
  // After kBad: where the log goes on behind place(), with a base offset in (place().offset, offset_end), or
  // nullopt. Tries where the bad batch says that it ends first, then every position. A record may hold
  // batches that are none of the log: DropStrangeChains and ChooseChain tell them apart. All calls together
  // read the file once.
  absl::StatusOr<std::optional<BatchPlace>> FindNext(Offset offset_end, Tail tail = Tail::kWhole);
  // After kBad: whether the batch at place() is all there and only its CRC is wrong; then the offset after it
  // by its header.
  absl::StatusOr<std::optional<Offset>> WholeButCorrupt();
  void Resume(BatchPlace place) { place_ = place; }

 private:
  // Valid batches that follow each other without a hole.
  struct Chain {
    BatchPlace begin;
    BatchPlace end;
  };
  // What the header of a bad batch says, if anything.
  struct Stated {
    std::uint64_t size = 0;      // bytes; 0: none that can be
    std::optional<Offset> next;  // the offset behind it, if the header is that of the batch expected here
  };

  // `size` bytes at `position`, or fewer if the file ends. Hold until the next call.
  absl::StatusOr<ByteSpan> Bytes(std::uint64_t position, std::uint64_t size);
  absl::StatusOr<bool> CrcIsRight(std::uint64_t position, std::uint64_t size);
  // Looks at one position; true, with batch_ set, if a valid batch begins there.
  absl::StatusOr<bool> ValidAt(std::uint64_t position, Offset offset_first, Offset offset_end);
  absl::StatusOr<Stated> StatedAtPlace();
  // Whether the bad batch would have the right sum if it ended there.
  absl::StatusOr<bool> EndsAt(std::uint64_t end);
  // Forgets the chains that cannot follow the bad batch.
  absl::Status DropStrangeChains(const Stated& stated, Offset offset_end);
  // Looks for chains from searched_ on.
  absl::Status FindChains(Offset offset_end);
  absl::StatusOr<std::optional<Chain>> ChainAt(std::uint64_t position);
  BatchPlace ChooseChain(std::optional<Offset> expected) const;

  const File& file_;
  BatchPlace place_;
  const std::uint64_t limit_;
  std::optional<RecordBatchView> batch_;
  BatchPlace batch_place_;
  std::uint64_t window_position_ = 0;
  std::vector<std::byte> window_;
  std::vector<Chain> chains_;  // found behind place_, ascending
  std::uint64_t searched_ = 0;
  std::uint64_t sums_left_;  // bytes: what the sums of things that only look like a batch may still cost
};

// What can be learnt of a segment by reading it.
struct ScannedIndexes {
  OffsetIndex offsets;
  TimeIndex times;
  TimestampMs max_timestamp = -1;
};

// Reads the first `limit` bytes of a segment that begins with `base_offset`; the offset behind them is
// `offset_end`. Damage becomes damaged ranges, never an error.
absl::StatusOr<ScannedIndexes> ScanIndexes(const File& file, Offset base_offset, std::uint64_t limit,
                                           Offset offset_end, std::uint32_t interval);

// The same if what lies below `from` is known; up to `end`.
absl::StatusOr<ScannedIndexes> CompleteIndexes(ScannedIndexes known, const File& file, BatchPlace from,
                                               BatchPlace end, std::uint32_t interval);

}  // namespace headrace::storage
