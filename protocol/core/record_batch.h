// The record batch, version 2: the unit of produce, storage and fetch. Bytes on the wire = bytes on disk.
//
// Layout, all integers big-endian (https://kafka.apache.org/documentation/#recordbatch):
//
//   byte  0      8         12                 16     17    21          23
//        +------+---------+------------------+------+-----+-----------+---------------+
//        | base | batch   | partition leader | mag- | crc | attri-    | last offset   |
//        | off. | length  | epoch            | ic=2 | 32C | butes     | delta         |
//        +------+---------+------------------+------+-----+-----------+---------------+
//          27           35           43           51         53           57       61
//        +------------+------------+------------+----------+------------+--------+---------
//        | base       | max        | producer   | producer | base       | record | records
//        | timestamp  | timestamp  | id         | epoch    | sequence   | count  | ...
//        +------------+------------+------------+----------+------------+--------+---------
//
// `batch length` counts the bytes after itself, so a batch is 12 bytes longer than it says. The CRC covers
// byte 21 to the end: base offset and leader epoch lie before it, so the broker stamps both in place.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "protocol/core/bytes.h"
#include "protocol/core/compression.h"
#include "protocol/core/types.h"

namespace headrace {

inline constexpr std::size_t kBatchHeaderSize = 61;
// Bytes up to and with the length field: what must be seen before a batch's size is known.
inline constexpr std::size_t kBatchLengthEnd = 12;
inline constexpr std::size_t kBatchCrcStart = 21;
inline constexpr std::uint16_t kAttributeCodecMask = 0x07;
inline constexpr std::uint16_t kAttributeLogAppendTime = 0x08;
inline constexpr std::uint16_t kAttributeTransactional = 0x10;
inline constexpr std::uint16_t kAttributeControl = 0x20;
inline constexpr std::uint16_t kAttributeDeleteHorizon = 0x40;

// A view of one batch in memory that somebody else owns. Reading a field never leaves the span; Parse has
// checked that the span holds exactly the header and the length it states. Thread: any, while the bytes stay.
class RecordBatchView {
 public:
  // The view of the first batch in `bytes`, which may continue after it. Checks in this order: 61 bytes are
  // there, magic is 2, the length is at least the header's and lies inside `bytes`, last offset delta and
  // record count agree (count > 0, delta == count - 1 for batches fresh from a producer is checked by
  // CheckProduced, not here), codec is known. Does not check the CRC. Errors: kCorruptMessage; OUT_OF_RANGE
  // status code when `bytes` is merely too short to hold the whole batch.
  static absl::StatusOr<RecordBatchView> Parse(ByteSpan bytes);

  // Total size in bytes that the first 12 bytes state, or 0 if that is below the header's size or negative.
  // REQUIRES: bytes.size() >= kBatchLengthEnd.
  static std::uint64_t StatedSize(ByteSpan bytes);

  Offset base_offset() const { return Field<std::int64_t>(0); }
  std::size_t size() const { return bytes_.size(); }
  LeaderEpoch leader_epoch() const { return Field<std::int32_t>(12); }
  std::uint32_t crc() const { return Field<std::uint32_t>(17); }
  std::uint16_t attributes() const { return Field<std::uint16_t>(21); }
  std::int32_t last_offset_delta() const { return Field<std::int32_t>(23); }
  TimestampMs base_timestamp() const { return Field<std::int64_t>(27); }
  TimestampMs max_timestamp() const { return Field<std::int64_t>(35); }
  ProducerId producer_id() const { return Field<std::int64_t>(43); }
  std::int16_t producer_epoch() const { return Field<std::int16_t>(51); }
  std::int32_t base_sequence() const { return Field<std::int32_t>(53); }
  std::int32_t record_count() const { return Field<std::int32_t>(57); }

  Offset last_offset() const { return base_offset() + last_offset_delta(); }
  Compression compression() const { return static_cast<Compression>(attributes() & kAttributeCodecMask); }
  bool is_control() const { return (attributes() & kAttributeControl) != 0; }
  ByteSpan bytes() const { return bytes_; }
  // The record area: still compressed if compression() says so.
  ByteSpan records() const { return bytes_.subspan(kBatchHeaderSize); }

  // OK, or kCorruptMessage with both sums.
  absl::Status CheckCrc() const;
  // What the broker demands of a batch that a producer sent, beyond Parse, and with the CRC: count > 0, last
  // offset delta == count - 1, base offset 0 is not demanded, no control or unknown attribute bits,
  // sequence >= 0 and epoch >= 0 when there is a producer id. Errors: kCorruptMessage, kInvalidRecord.
  absl::Status CheckProduced() const;

 private:
  explicit RecordBatchView(ByteSpan bytes) : bytes_(bytes) {}
  template <std::integral T>
  T Field(std::size_t at) const {
    return LoadBigEndian<T>(bytes_.data() + at);
  }

  ByteSpan bytes_;
};

// Writes offset and epoch into a parsed batch; the CRC stays right because it does not cover them.
// REQUIRES: batch.size() >= kBatchHeaderSize.
void StampBatch(MutableByteSpan batch, Offset base_offset, LeaderEpoch leader_epoch);

// For those who change a batch otherwise: the attributes' codec, or append time in place of the producer's
// timestamps (the base timestamp stays, so that the records' deltas can be told again); then SealBatch, which
// makes the length and the CRC right. REQUIRES, all: batch.size() >= kBatchHeaderSize.
void SetCompression(MutableByteSpan batch, Compression compression);
void SetAppendTime(MutableByteSpan batch, TimestampMs append_time);
void SealBatch(MutableByteSpan batch);

// The last sequence of a batch of `count` records that begins at `base`: sequences wrap from 2^31-1 to 0.
std::int32_t LastSequence(std::int32_t base, std::int32_t count);
// The sequence after `sequence`.
std::int32_t NextSequence(std::int32_t sequence);

}  // namespace headrace
