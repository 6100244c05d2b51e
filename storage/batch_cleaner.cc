#include "storage/batch_cleaner.h"

#include <algorithm>

#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::size_t kAttributesAt = 21;
constexpr std::size_t kLastOffsetDeltaAt = 23;
constexpr std::size_t kBaseTimestampAt = 27;
constexpr std::size_t kMaxTimestampAt = 35;
constexpr std::size_t kRecordCountAt = 57;
constexpr TimestampMs kNoTimestamp = -1;

std::vector<std::byte> HeaderOf(const RecordBatchView& batch) {
  std::vector<std::byte> bytes(kBatchHeaderSize);
  std::memcpy(bytes.data(), batch.bytes().data(), kBatchHeaderSize);
  return bytes;
}

// What one look at the records finds.
struct Survey {
  std::vector<bool> keep;  // by record
  std::int32_t kept = 0;
  bool deletions = false;  // among those kept
};

bool Keeps(const RecordView& record, bool deletions_expired, const CleanRules& rules) {
  if (!record.key.has_value()) return true;
  if (const std::optional<Offset> latest = rules.latest->Find(*record.key); latest.has_value()) {
    if (*latest > record.offset) return false;
  }
  return record.value.has_value() || !deletions_expired;
}

absl::StatusOr<Survey> Look(const RecordBatchView& batch, bool deletions_expired, const CleanRules& rules) {
  ASSIGN_OR_RETURN(RecordIterator records, RecordIterator::Open(batch, rules.decompressed_size_max));
  Survey survey;
  while (records.Next()) {
    const RecordView& record = records.record();
    const bool keep = Keeps(record, deletions_expired, rules);
    survey.keep.push_back(keep);
    if (!keep) continue;
    ++survey.kept;
    survey.deletions = survey.deletions || (record.key.has_value() && !record.value.has_value());
  }
  RETURN_IF_ERROR(records.status());
  return survey;
}

absl::StatusOr<std::vector<std::byte>> Rewrite(const RecordBatchView& batch, const Survey& survey,
                                               std::optional<TimestampMs> horizon, const CleanRules& rules) {
  ASSIGN_OR_RETURN(RecordIterator records, RecordIterator::Open(batch, rules.decompressed_size_max));
  const TimestampMs base = horizon.value_or(batch.base_timestamp());
  const bool append_time = (batch.attributes() & kAttributeLogAppendTime) != 0;
  TimestampMs max = kNoTimestamp;
  std::vector<std::byte> body;
  for (std::size_t i = 0; records.Next(); ++i) {
    if (!survey.keep[i]) continue;
    max = std::max(max, records.record().timestamp);
    AppendRecord(body, records.record(), batch.base_offset(), base);
  }
  std::vector<std::byte> bytes = HeaderOf(batch);
  if (batch.compression() == Compression::kNone) {
    bytes.insert(bytes.end(), body.begin(), body.end());
  } else {
    RETURN_IF_ERROR(Compress(batch.compression(), body, bytes));
  }
  if (horizon.has_value()) {
    StoreBigEndian(bytes.data() + kAttributesAt,
                   static_cast<std::uint16_t>(batch.attributes() | kAttributeDeleteHorizon));
  }
  StoreBigEndian(bytes.data() + kBaseTimestampAt, base);
  if (!append_time) StoreBigEndian(bytes.data() + kMaxTimestampAt, max);
  StoreBigEndian(bytes.data() + kRecordCountAt, survey.kept);
  SealBatch(bytes);
  return bytes;
}

}  // namespace

absl::StatusOr<CleanedBatch> CleanBatch(const RecordBatchView& batch, const CleanRules& rules) {
  CleanedBatch cleaned;
  if (batch.is_control()) return cleaned;
  const bool has_horizon = (batch.attributes() & kAttributeDeleteHorizon) != 0;
  const bool expired = has_horizon && batch.base_timestamp() <= rules.now && !rules.keep_deletions;
  ASSIGN_OR_RETURN(const Survey survey, Look(batch, expired, rules));
  cleaned.dropped = static_cast<std::uint64_t>(batch.record_count() - survey.kept);
  if (survey.kept == 0) {
    cleaned.kind = CleanedBatch::Kind::kNothing;
    return cleaned;
  }
  std::optional<TimestampMs> fresh;
  if (survey.deletions) {
    if (!has_horizon) fresh = rules.now + std::min(rules.delete_retention_ms, INT64_MAX - rules.now);
    if (!rules.keep_deletions) cleaned.horizon = has_horizon ? batch.base_timestamp() : *fresh;
  }
  if (cleaned.dropped == 0 && !fresh.has_value()) return cleaned;
  cleaned.kind = CleanedBatch::Kind::kChanged;
  ASSIGN_OR_RETURN(cleaned.bytes, Rewrite(batch, survey, fresh, rules));
  return cleaned;
}

std::vector<std::byte> EmptyBatchOf(const RecordBatchView& batch) {
  std::vector<std::byte> bytes = HeaderOf(batch);
  const unsigned kept = batch.attributes() & ~unsigned{kAttributeCodecMask | kAttributeDeleteHorizon};
  StoreBigEndian(bytes.data() + kAttributesAt, static_cast<std::uint16_t>(kept));
  StoreBigEndian(bytes.data() + kBaseTimestampAt, kNoTimestamp);
  StoreBigEndian(bytes.data() + kMaxTimestampAt, kNoTimestamp);
  StoreBigEndian(bytes.data() + kRecordCountAt, std::int32_t{0});
  SealBatch(bytes);
  return bytes;
}

std::vector<std::byte> MakeGapBatch(Offset first, Offset last, LeaderEpoch epoch) {
  std::vector<std::byte> bytes(kBatchHeaderSize);
  StampBatch(bytes, first, epoch);
  bytes[16] = std::byte{2};
  StoreBigEndian(bytes.data() + kLastOffsetDeltaAt, static_cast<std::int32_t>(last - first));
  StoreBigEndian(bytes.data() + kBaseTimestampAt, kNoTimestamp);
  StoreBigEndian(bytes.data() + kMaxTimestampAt, kNoTimestamp);
  StoreBigEndian(bytes.data() + 43, kNoProducerId);
  StoreBigEndian(bytes.data() + 51, std::int16_t{-1});
  StoreBigEndian(bytes.data() + 53, std::int32_t{-1});
  SealBatch(bytes);
  return bytes;
}

bool IsGapBatch(const RecordBatchView& batch) {
  return batch.record_count() == 0 && batch.producer_id() == kNoProducerId && !batch.is_control();
}

}  // namespace headrace::storage
