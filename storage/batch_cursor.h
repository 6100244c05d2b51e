// Walks the batches of a segment by their headers, without reading records.
#pragma once

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "protocol/core/record_batch.h"
#include "storage/io/file.h"
#include "storage/offset_index.h"

namespace headrace::storage {

// What a batch's header says of it, as far as a walk needs it.
struct StoredBatch {
  std::uint64_t position = 0;  // bytes into the segment
  std::uint64_t size = 0;      // bytes
  Offset base_offset = 0;
  Offset last_offset = 0;
  TimestampMs max_timestamp = 0;

  BatchPlace next() const { return {last_offset + 1, position + size}; }
};

// One walk, on one thread. Reads a few KiB at a time, so that small batches do not cost a call each. Checks
// that a header is a header and stays inside the limit, and no CRC.
class BatchCursor {
 public:
  // Walks `file` from `position`, where a batch begins, to `limit` (bytes), where one ends.
  BatchCursor(const File& file, std::uint64_t position, std::uint64_t limit);

  bool done() const { return position_ >= limit_; }
  // The batch at the cursor, which moves behind it. Errors: kCorruptMessage with file and position if there
  // is no batch header; the file's own errors. REQUIRES: !done().
  absl::StatusOr<StoredBatch> Next();
  // Goes on at `position`, behind the present one.
  void SkipTo(std::uint64_t position) { position_ = position; }

 private:
  absl::StatusOr<const std::byte*> Header();

  static constexpr std::size_t kBufferSize = 4096;
  const File& file_;
  std::uint64_t position_;
  const std::uint64_t limit_;
  std::uint64_t buffer_position_ = 0;
  std::size_t buffered_ = 0;
  std::array<std::byte, kBufferSize> buffer_;
};

}  // namespace headrace::storage
