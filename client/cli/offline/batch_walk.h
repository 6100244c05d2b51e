// Walks the batches of a segment file that may be damaged, and says where it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/core/record_batch.h"
#include "storage/io/file.h"
#include "storage/segment_scan.h"

namespace headrace::cli::offline {

// The base offset in the name of a segment's file, or of one beside it with this suffix.
std::optional<Offset> BaseOffsetOf(std::string_view name, std::string_view suffix = "log");

// A stretch of the file: one batch, or bytes that are none.
struct Stretch {
  enum class Kind {
    kBatch,    // sound, its CRC too, and the next by its offset
    kDamaged,  // between sound batches
    kTorn,     // at the end of the file: an unfinished batch, or anything behind which no batch follows
  };
  Kind kind = Kind::kBatch;
  std::uint64_t position = 0;
  std::uint64_t size = 0;                // bytes
  std::optional<RecordBatchView> batch;  // of kBatch, and of others if the header can be read; until Next
  std::string problem;                   // what is wrong, if anything
};

// The broker's own scanner (storage/segment_scan.h), so that both agree on what is damaged. Owner: one
// thread. The file must not change meanwhile. Holds two batches in memory.
class BatchWalk {
 public:
  // Of a segment that begins with offset `first`; `following` is the base offset of the next one, if there is
  // one.
  BatchWalk(const storage::File& file, std::uint64_t file_size, Offset first,
            std::optional<Offset> following = std::nullopt);

  // The next stretch, or nothing at the end. Errors: only those of reading the file.
  absl::StatusOr<std::optional<Stretch>> Next();

 private:
  absl::StatusOr<Stretch> BadStretch();
  // What is wrong with what stands at `at`.
  absl::StatusOr<std::string> Explain(storage::BatchPlace at);
  absl::StatusOr<bool> Fill(std::uint64_t position, std::uint64_t size);

  const storage::File& file_;
  const std::uint64_t size_;
  const Offset offset_end_;
  const storage::SegmentScanner::Tail tail_;
  storage::SegmentScanner scanner_;
  std::vector<std::byte> bytes_;
};

}  // namespace headrace::cli::offline
