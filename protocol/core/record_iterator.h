// Walks the records of one batch, decompressing if needed.
#pragma once

#include <optional>
#include <vector>

#include "protocol/core/record_batch_builder.h"

namespace headrace {

// One pass over a batch. Usage:
//   ASSIGN_OR_RETURN(RecordIterator records, RecordIterator::Open(batch, size_max));
//   while (records.Next()) Use(records.record());
//   RETURN_IF_ERROR(records.status());
// The views in record() point into the batch (or into the iterator, if it was compressed) and hold until the
// next call of Next. Refuses what does not parse: lengths outside the record, a count that does not match,
// bytes left over. Owner: one thread. Movable; the record's views survive a move.
class RecordIterator {
 public:
  // REQUIRES: batch's bytes outlive the iterator. Does not check the CRC.
  static absl::StatusOr<RecordIterator> Open(const RecordBatchView& batch, std::size_t decompressed_size_max);

  // Moves to the next record; false at the end or at the first error.
  bool Next();
  const RecordView& record() const { return record_; }
  // OK at a regular end; kCorruptMessage otherwise.
  const absl::Status& status() const { return status_; }

 private:
  RecordIterator() = default;
  bool Fail(std::string_view what);

  std::vector<std::byte> decompressed_;
  ByteSpan rest_;
  Offset base_offset_ = 0;
  std::int32_t last_offset_delta_ = 0;
  TimestampMs base_timestamp_ = 0;
  std::optional<TimestampMs> append_time_;  // of a batch whose timestamps are the log's append time
  std::int32_t left_ = 0;
  std::vector<RecordHeaderView> headers_;
  RecordView record_;
  absl::Status status_;
};

}  // namespace headrace
