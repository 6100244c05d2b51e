// Walks the batches of a segment file that may be damaged, and says where it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/core/record_batch.h"
#include "storage/io/file.h"

namespace headrace::cli::offline {

// A stretch of the file: one batch, or bytes that are none.
struct Stretch {
  enum class Kind {
    kBatch,    // sound, its CRC too
    kDamaged,  // between sound batches, or a batch whose bytes do not match its CRC
    kTorn,     // at the end of the file: an unfinished batch, or anything behind which no batch follows
  };
  Kind kind = Kind::kBatch;
  std::uint64_t position = 0;
  std::uint64_t size = 0;                // bytes
  std::optional<RecordBatchView> batch;  // of kBatch, and of kDamaged if the header can be read; until Next
  std::string problem;                   // what is wrong, if anything
};

// Owner: one thread. The file must not change meanwhile. Holds one batch in memory.
class BatchWalk {
 public:
  BatchWalk(const storage::File& file, std::uint64_t file_size) : file_(file), size_(file_size) {}

  // The next stretch, or nothing at the end. Errors: only those of reading the file.
  absl::StatusOr<std::optional<Stretch>> Next();

 private:
  absl::StatusOr<Stretch> ReadStretch();
  absl::StatusOr<Stretch> Unreadable(std::uint64_t search_from, std::string problem);
  // The first position at or after `from` where a sound batch begins.
  absl::StatusOr<std::optional<std::uint64_t>> FindBatch(std::uint64_t from);
  absl::StatusOr<bool> IsBatchAt(std::uint64_t position);
  absl::StatusOr<bool> Fill(std::uint64_t position, std::uint64_t size);

  const storage::File& file_;
  const std::uint64_t size_;
  std::uint64_t position_ = 0;
  std::vector<std::byte> bytes_;
};

}  // namespace headrace::cli::offline
