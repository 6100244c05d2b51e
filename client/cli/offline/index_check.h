// Checks a segment's index files against its batches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "protocol/core/record_batch.h"
#include "storage/io/file.h"
#include "storage/offset_index.h"

namespace headrace::cli::offline {

// The offset index of one segment, followed through a walk of its batches. Indexes are disposable: one that
// is missing, or that covers another size than the file has now, is rebuilt by the broker and is no finding.
// Owner: one thread.
class IndexCheck {
 public:
  // Errors: only those of the disk.
  static absl::StatusOr<IndexCheck> Load(storage::FileSystem& files, const std::string& path,
                                         Offset base_offset, std::uint64_t log_size);

  // A sound batch at `position`.
  void Note(std::uint64_t position, const RecordBatchView& batch);
  // What is wrong; empty if nothing is, so far.
  const std::string& problem() const { return problem_; }

 private:
  std::optional<storage::OffsetIndex> index_;
  std::string problem_;
};

// What is wrong with the content of an index file of the given magic ("HROI" or "HRTI"); empty if nothing is,
// or if there is no such file.
absl::StatusOr<std::string> CheckIndexFile(storage::FileSystem& files, const std::string& path,
                                           std::string_view magic, Offset base_offset);

}  // namespace headrace::cli::offline
