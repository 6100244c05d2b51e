// Builds record batches: for the client, for internal topics, and for tests.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "protocol/core/record_batch.h"

namespace headrace {

// A header of a record; the key is UTF-8, the value may be null (nullopt).
struct RecordHeaderView {
  std::string_view key;
  std::optional<ByteSpan> value{};
};

// One record as the builder takes it and the iterator gives it; everything points into memory of another.
struct RecordView {
  Offset offset = 0;
  TimestampMs timestamp = 0;
  std::optional<ByteSpan> key{};
  std::optional<ByteSpan> value{};
  std::span<const RecordHeaderView> headers{};
};

// Appends one encoded record to `body`, as it stands in a batch with this base offset and base timestamp: for
// those who rewrite a batch and must keep every offset. REQUIRES: base_offset <= record.offset.
void AppendRecord(std::vector<std::byte>& body, const RecordView& record, Offset base_offset,
                  TimestampMs base_timestamp);

// Gathers records and makes one batch of them. One owner, one thread at a time; may be reused after Build,
// and keeps its memory for that.
class RecordBatchBuilder {
 public:
  explicit RecordBatchBuilder(Compression compression = Compression::kNone);

  // Adds one record; its offset is ignored (records are numbered in the order of Add).
  void Add(const RecordView& record);

  bool empty() const { return count_ == 0; }
  std::int32_t count() const { return count_; }
  // Size of the finished batch without compression, in bytes.
  std::size_t size() const { return size_; }
  // An upper bound of what Add(record) adds to size().
  static std::size_t RecordSizeMax(const RecordView& record);

  void SetProducer(ProducerId id, std::int16_t epoch, std::int32_t base_sequence);

  // The batch, with base offset 0 and leader epoch -1, CRC in place. The builder is empty afterwards.
  // REQUIRES: !empty().
  absl::StatusOr<std::vector<std::byte>> Build();

 private:
  // Grows the buffer so that `size` bytes may be written behind size_.
  void MakeRoom(std::size_t size);
  void WriteHeader(std::vector<std::byte>& batch, std::uint16_t attributes) const;

  Compression compression_;
  std::vector<std::byte> buffer_;        // header room, encoded records, and room for more
  std::size_t size_ = kBatchHeaderSize;  // how much of the buffer is in use
  std::size_t last_size_ = 0;            // what the batch before took, to be reserved for the next
  std::int32_t count_ = 0;
  TimestampMs base_timestamp_ = 0;
  TimestampMs max_timestamp_ = 0;
  ProducerId producer_id_ = kNoProducerId;
  std::int16_t producer_epoch_ = -1;
  std::int32_t base_sequence_ = -1;
};

}  // namespace headrace
