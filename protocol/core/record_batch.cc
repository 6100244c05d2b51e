#include "protocol/core/record_batch.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "protocol/core/crc32c.h"
#include "protocol/core/error_code.h"

namespace headrace {
namespace {

constexpr std::int8_t kMagic = 2;
constexpr std::size_t kMagicAt = 16;
// Length, attributes, timestamp delta, offset delta, key length, value length, header count: a byte each.
constexpr std::size_t kRecordSizeMin = 7;

absl::Status Corrupt(std::string_view what) {
  return MakeError(ErrorCode::kCorruptMessage, absl::StrCat("record batch: ", std::string(what)));
}

absl::Status Invalid(std::string_view what) {
  return MakeError(ErrorCode::kInvalidRecord, absl::StrCat("record batch: ", std::string(what)));
}

}  // namespace

std::uint64_t RecordBatchView::StatedSize(ByteSpan bytes) {
  const auto length = LoadBigEndian<std::int32_t>(bytes.data() + 8);
  if (length < static_cast<std::int32_t>(kBatchHeaderSize - kBatchLengthEnd)) return 0;
  return static_cast<std::uint64_t>(length) + kBatchLengthEnd;
}

absl::StatusOr<RecordBatchView> RecordBatchView::Parse(ByteSpan bytes) {
  if (bytes.size() < kBatchHeaderSize) {
    return absl::OutOfRangeError(
        absl::StrCat("record batch: ", bytes.size(), " bytes, the header has ", kBatchHeaderSize));
  }
  if (const auto magic = LoadBigEndian<std::int8_t>(bytes.data() + kMagicAt); magic != kMagic) {
    return Corrupt(absl::StrCat("magic is ", static_cast<int>(magic), ", only 2 is served"));
  }
  const std::uint64_t size = StatedSize(bytes);
  if (size == 0) return Corrupt("its length is below that of its header");
  if (size > bytes.size()) {
    return absl::OutOfRangeError(
        absl::StrCat("record batch: it states ", size, " bytes, ", bytes.size(), " are there"));
  }
  const RecordBatchView view(bytes.first(size));
  if (view.base_offset() < 0 || view.last_offset_delta() < 0 || view.record_count() < 0 ||
      view.base_offset() >= std::numeric_limits<Offset>::max() - view.last_offset_delta()) {
    return Corrupt(absl::StrCat("base offset ", view.base_offset(), ", last offset delta ",
                                view.last_offset_delta(), ", record count ", view.record_count()));
  }
  // Compaction may leave fewer records than offsets, never more.
  if (static_cast<std::int64_t>(view.record_count()) >
      static_cast<std::int64_t>(view.last_offset_delta()) + 1) {
    return Corrupt(
        absl::StrCat(view.record_count(), " records for a last offset delta of ", view.last_offset_delta()));
  }
  const auto codec = view.attributes() & kAttributeCodecMask;
  if (codec > static_cast<int>(Compression::kZstd))
    return Corrupt(absl::StrCat("codec ", codec, " is unknown"));
  if (codec == 0 &&
      static_cast<std::uint64_t>(view.record_count()) * kRecordSizeMin > view.records().size()) {
    return Corrupt(absl::StrCat(view.record_count(), " records in ", view.records().size(), " bytes"));
  }
  return view;
}

absl::Status RecordBatchView::CheckCrc() const {
  const std::uint32_t sum = Crc32c(bytes_.subspan(kBatchCrcStart));
  if (sum == crc()) return absl::OkStatus();
  return Corrupt(absl::StrCat("at offset ", base_offset(), " the CRC is ", absl::Hex(sum, absl::kZeroPad8),
                              ", its header says ", absl::Hex(crc(), absl::kZeroPad8)));
}

absl::Status RecordBatchView::CheckProduced() const {
  if (record_count() == 0) return Invalid("it has no records");
  if (last_offset_delta() != record_count() - 1) {
    return Invalid(
        absl::StrCat("last offset delta ", last_offset_delta(), " with ", record_count(), " records"));
  }
  if (is_control()) return Invalid("control batches are the broker's own");
  constexpr std::uint16_t kKnown = kAttributeCodecMask;
  if ((attributes() & ~kKnown) != 0) {
    return Invalid(
        absl::StrCat("attributes ", absl::Hex(attributes()), " are not supported from a producer"));
  }
  if (producer_id() < kNoProducerId) return Invalid(absl::StrCat("producer id ", producer_id()));
  if (producer_id() != kNoProducerId && (base_sequence() < 0 || producer_epoch() < 0)) {
    return Invalid(absl::StrCat("producer ", producer_id(), " with sequence ", base_sequence(), " and epoch ",
                                producer_epoch()));
  }
  return CheckCrc();
}

void StampBatch(MutableByteSpan batch, Offset base_offset, LeaderEpoch leader_epoch) {
  StoreBigEndian(batch.data(), base_offset);
  StoreBigEndian(batch.data() + 12, leader_epoch);
}

void SetCompression(MutableByteSpan batch, Compression compression) {
  const auto attributes = LoadBigEndian<std::uint16_t>(batch.data() + 21);
  StoreBigEndian(batch.data() + 21, static_cast<std::uint16_t>((attributes & ~kAttributeCodecMask) |
                                                               static_cast<unsigned>(compression)));
}

void SetAppendTime(MutableByteSpan batch, TimestampMs append_time) {
  const auto attributes = LoadBigEndian<std::uint16_t>(batch.data() + 21);
  StoreBigEndian(batch.data() + 21, static_cast<std::uint16_t>(attributes | kAttributeLogAppendTime));
  StoreBigEndian(batch.data() + 35, append_time);
}

void SealBatch(MutableByteSpan batch) {
  StoreBigEndian(batch.data() + 8, static_cast<std::int32_t>(batch.size() - kBatchLengthEnd));
  StoreBigEndian(batch.data() + 17, Crc32c(batch.subspan(kBatchCrcStart)));
}

std::int32_t LastSequence(std::int32_t base, std::int32_t count) {
  constexpr std::int64_t kWrap = std::int64_t{1} << 31;
  return static_cast<std::int32_t>((static_cast<std::int64_t>(base) + count - 1) % kWrap);
}

std::int32_t NextSequence(std::int32_t sequence) {
  return sequence == std::numeric_limits<std::int32_t>::max() ? 0 : sequence + 1;
}

}  // namespace headrace
