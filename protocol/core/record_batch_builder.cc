#include "protocol/core/record_batch_builder.h"

#include <algorithm>

#include "protocol/core/status_macros.h"
#include "protocol/core/varint.h"

namespace headrace {
namespace {

std::size_t BytesSize(const std::optional<ByteSpan>& bytes) {
  if (!bytes) return VarintSize(-1);
  return VarintSize(static_cast<std::int64_t>(bytes->size())) + bytes->size();
}

std::byte* WriteBytes(std::byte* at, const std::optional<ByteSpan>& bytes) {
  if (!bytes) return WriteVarint(at, -1);
  at = WriteVarint(at, static_cast<std::int64_t>(bytes->size()));
  return std::copy(bytes->begin(), bytes->end(), at);
}

// At least this much is made room for at a time: clearing memory in pieces that stay in the first cache costs
// a fraction of clearing each record's few bytes.
constexpr std::size_t kGrowth = 4096;

std::size_t HeadersSize(std::span<const RecordHeaderView> headers) {
  if (headers.empty()) return 1;
  std::size_t size = VarintSize(static_cast<std::int64_t>(headers.size()));
  for (const RecordHeaderView& header : headers)
    size += BytesSize(AsBytes(header.key)) + BytesSize(header.value);
  return size;
}

std::byte* WriteHeaders(std::byte* at, std::span<const RecordHeaderView> headers) {
  at = WriteVarint(at, static_cast<std::int64_t>(headers.size()));
  for (const RecordHeaderView& header : headers) {
    at = WriteBytes(at, AsBytes(header.key));
    at = WriteBytes(at, header.value);
  }
  return at;
}

// Unsigned, because timestamps of any distance must wrap, as they do when read, rather than be undefined.
std::int64_t TimestampDelta(TimestampMs timestamp, TimestampMs base) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(timestamp) - static_cast<std::uint64_t>(base));
}

// The deltas of one record, and the size of what follows its length.
struct RecordShape {
  std::int64_t timestamp_delta;
  std::int64_t offset_delta;
  std::size_t body;

  RecordShape(const RecordView& record, std::int64_t timestamp, std::int64_t offset)
      : timestamp_delta(timestamp),
        offset_delta(offset),
        body(1 + VarintSize(timestamp) + VarintSize(offset) + BytesSize(record.key) +
             BytesSize(record.value) + HeadersSize(record.headers)) {}
  std::size_t size() const { return VarintSize(static_cast<std::int64_t>(body)) + body; }
};

std::byte* WriteRecord(std::byte* at, const RecordView& record, const RecordShape& shape) {
  at = WriteVarint(at, static_cast<std::int64_t>(shape.body));
  *at++ = std::byte{0};  // attributes: none are defined
  at = WriteVarint(at, shape.timestamp_delta);
  at = WriteVarint(at, shape.offset_delta);
  at = WriteBytes(at, record.key);
  at = WriteBytes(at, record.value);
  return WriteHeaders(at, record.headers);
}

}  // namespace

void AppendRecord(std::vector<std::byte>& body, const RecordView& record, Offset base_offset,
                  TimestampMs base_timestamp) {
  const RecordShape shape(record, TimestampDelta(record.timestamp, base_timestamp),
                          record.offset - base_offset);
  const std::size_t at = body.size();
  body.resize(at + shape.size());
  WriteRecord(body.data() + at, record, shape);
}

RecordBatchBuilder::RecordBatchBuilder(Compression compression) : compression_(compression) {}

std::size_t RecordBatchBuilder::RecordSizeMax(const RecordView& record) {
  // Length and offset delta take up to 5 bytes each, the timestamp delta 10, attributes 1.
  return 21 + BytesSize(record.key) + BytesSize(record.value) + HeadersSize(record.headers);
}

void RecordBatchBuilder::Add(const RecordView& record) {
  if (count_ == 0) base_timestamp_ = max_timestamp_ = record.timestamp;
  max_timestamp_ = std::max(max_timestamp_, record.timestamp);
  const RecordShape shape(record, TimestampDelta(record.timestamp, base_timestamp_), count_);
  MakeRoom(shape.size());
  const std::byte* at = WriteRecord(buffer_.data() + size_, record, shape);
  size_ = static_cast<std::size_t>(at - buffer_.data());
  ++count_;
}

void RecordBatchBuilder::MakeRoom(std::size_t size) {
  if (size_ + size <= buffer_.size()) return;
  if (buffer_.empty()) buffer_.reserve(last_size_);
  buffer_.resize(size_ + std::max(size, kGrowth));
}

void RecordBatchBuilder::SetProducer(ProducerId id, std::int16_t epoch, std::int32_t base_sequence) {
  producer_id_ = id;
  producer_epoch_ = epoch;
  base_sequence_ = base_sequence;
}

void RecordBatchBuilder::WriteHeader(std::vector<std::byte>& batch, std::uint16_t attributes) const {
  std::byte* at = batch.data();
  StampBatch(batch, 0, kNoLeaderEpoch);
  at[16] = std::byte{2};
  StoreBigEndian(at + 21, attributes);
  StoreBigEndian(at + 23, count_ - 1);
  StoreBigEndian(at + 27, base_timestamp_);
  StoreBigEndian(at + 35, max_timestamp_);
  StoreBigEndian(at + 43, producer_id_);
  StoreBigEndian(at + 51, producer_epoch_);
  StoreBigEndian(at + 53, base_sequence_);
  StoreBigEndian(at + 57, count_);
  SealBatch(batch);
}

absl::StatusOr<std::vector<std::byte>> RecordBatchBuilder::Build() {
  HEADRACE_CHECK(count_ > 0);
  std::vector<std::byte> batch;
  buffer_.resize(size_);
  last_size_ = size_ + kGrowth;
  if (compression_ == Compression::kNone) {
    batch.swap(buffer_);
  } else {
    batch.resize(kBatchHeaderSize);
    RETURN_IF_ERROR(Compress(compression_, ByteSpan(buffer_).subspan(kBatchHeaderSize), batch));
    buffer_.clear();
  }
  WriteHeader(batch, static_cast<std::uint16_t>(compression_));
  count_ = 0;
  size_ = kBatchHeaderSize;
  return batch;
}

}  // namespace headrace
