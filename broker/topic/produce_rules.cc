#include "broker/topic/produce_rules.h"

#include "absl/strings/str_cat.h"
#include "protocol/core/crc32c.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace::topic {
namespace {

using Bytes = std::vector<std::byte>;

// A producer that states no timestamp says -1.
constexpr TimestampMs kNoTimestamp = -1;
constexpr std::size_t kMaxTimestampPosition = 35;
// Of the only format there is; the CRC covers neither.
constexpr std::size_t kMagicPosition = 16;
constexpr std::byte kMagic{2};

absl::Status CheckTimestamps(const ProduceRules& rules, TimestampMs now, const RecordBatchView& batch) {
  if (rules.log_append_time) return absl::OkStatus();
  const auto refuse = [now](TimestampMs timestamp, std::string_view limit, TimestampMs limit_ms) {
    return MakeError(
        ErrorCode::kInvalidTimestamp,
        absl::StrCat("timestamp ", timestamp, " with the broker's clock at ", now, "; the limit is ",
                     limit_ms, " ms, set by the topic's ", std::string(limit)));
  };
  // Arranged so that no timestamp, however hostile, overflows.
  const TimestampMs first = batch.base_timestamp();
  if (first != kNoTimestamp && first < now - rules.timestamp_before_max_ms) {
    return refuse(first, "message.timestamp.before.max.ms", rules.timestamp_before_max_ms);
  }
  const TimestampMs largest = batch.max_timestamp();
  if (largest > 0 && largest - rules.timestamp_after_max_ms > now) {
    return refuse(largest, "message.timestamp.after.max.ms", rules.timestamp_after_max_ms);
  }
  return absl::OkStatus();
}

// Whether bytes that do not parse were damaged on the way, so that sending them again may help, or are what
// the producer made.
ErrorCode CodeOfMalformed(ByteSpan bytes) {
  const bool whole = bytes.size() >= kBatchHeaderSize && bytes[kMagicPosition] == kMagic &&
                     RecordBatchView::StatedSize(bytes) == bytes.size();
  if (!whole || Crc32c(bytes.subspan(kBatchCrcStart)) != LoadBigEndian<std::uint32_t>(bytes.data() + 17)) {
    return ErrorCode::kCorruptMessage;
  }
  const auto codec = LoadBigEndian<std::uint16_t>(bytes.data() + kBatchCrcStart) & kAttributeCodecMask;
  return codec > static_cast<int>(Compression::kZstd) ? ErrorCode::kUnsupportedCompressionType
                                                      : ErrorCode::kInvalidRecord;
}

// The batch without compression; its length and CRC are not made right.
absl::StatusOr<Bytes> Decompressed(const RecordBatchView& batch) {
  const auto records = Decompress(batch.compression(), batch.records(), kProducedSizeMax);
  if (!records.ok()) {
    // The CRC was right, so these are the bytes the producer made: sending them again would not help.
    const ErrorCode code = CodeOf(records.status());
    return MakeError(code == ErrorCode::kCorruptMessage ? ErrorCode::kInvalidRecord : code,
                     MessageOf(records.status()));
  }
  Bytes plain(kBatchHeaderSize + records->size());
  std::copy_n(batch.bytes().begin(), kBatchHeaderSize, plain.begin());
  std::copy(records->begin(), records->end(), plain.begin() + kBatchHeaderSize);
  SetCompression(plain, Compression::kNone);
  return plain;
}

// The largest timestamp of the records of `batch`, which is not compressed.
absl::StatusOr<TimestampMs> CheckRecords(const RecordBatchView& batch, bool keys_required) {
  TimestampMs largest = kNoTimestamp;
  ASSIGN_OR_RETURN(RecordIterator records, RecordIterator::Open(batch, kProducedSizeMax));
  for (Offset offset = batch.base_offset(); records.Next(); ++offset) {
    if (records.record().offset != offset) {
      return MakeError(ErrorCode::kInvalidRecord,
                       absl::StrCat("record ", offset - batch.base_offset(), " of the batch states number ",
                                    records.record().offset - batch.base_offset()));
    }
    if (keys_required && !records.record().key) {
      return MakeError(ErrorCode::kInvalidRecord,
                       absl::StrCat("record ", offset - batch.base_offset(),
                                    " of the batch has no key; the topic is compacted (cleanup.policy), "
                                    "so every record needs one"));
    }
    largest = std::max(largest, records.record().timestamp);
  }
  if (records.status().ok()) return largest;
  return MakeError(ErrorCode::kInvalidRecord, MessageOf(records.status()));
}

bool CompressesAnew(const ProduceRules& rules, const RecordBatchView& batch) {
  return rules.compression.has_value() && *rules.compression != batch.compression();
}

bool LooksAtRecords(const ProduceRules& rules, const RecordBatchView& batch) {
  return rules.keys_required || CompressesAnew(rules, batch) ||
         (LacksMaxTimestamp(batch) && !rules.log_append_time);
}

// Makes the largest timestamp of `bytes` right. Empty, or the batch that is compressed anew; the length and
// the CRC of neither are right then.
absl::StatusOr<Bytes> PrepareRecords(const ProduceRules& rules, MutableByteSpan bytes) {
  ASSIGN_OR_RETURN(const RecordBatchView batch, RecordBatchView::Parse(bytes));
  Bytes plain;
  if (batch.compression() != Compression::kNone) {
    ASSIGN_OR_RETURN(plain, Decompressed(batch));
    StoreBigEndian(plain.data() + 8, static_cast<std::int32_t>(plain.size() - kBatchLengthEnd));
  }
  const auto view = plain.empty() ? batch : RecordBatchView::Parse(plain);
  if (!view.ok()) return MakeError(ErrorCode::kInvalidRecord, MessageOf(view.status()));
  ASSIGN_OR_RETURN(const TimestampMs largest, CheckRecords(*view, rules.keys_required));
  StoreBigEndian(bytes.data() + kMaxTimestampPosition, largest);
  if (!CompressesAnew(rules, batch)) return Bytes();
  if (!plain.empty()) StoreBigEndian(plain.data() + kMaxTimestampPosition, largest);
  if (*rules.compression == Compression::kNone) return plain;
  Bytes compressed(view->bytes().begin(), view->bytes().begin() + kBatchHeaderSize);
  SetCompression(compressed, *rules.compression);
  RETURN_IF_ERROR(Compress(*rules.compression, view->records(), compressed));
  return compressed;
}

}  // namespace

bool ProduceRules::as_sent() const {
  return !keys_required && !log_append_time && !compression.has_value() &&
         timestamp_before_max_ms == TopicConfig::kNoTimeLimit &&
         timestamp_after_max_ms == TopicConfig::kNoTimeLimit;
}

ProduceRules RulesOf(const TopicConfig& config) {
  ProduceRules rules;
  rules.batch_size_max = config.batch_size_max;
  rules.segment_size_max = config.log.segment_size_max;
  rules.keys_required = config.log.compact;
  rules.log_append_time = config.log_append_time;
  rules.compression = config.compression;
  rules.timestamp_before_max_ms = config.timestamp_before_max_ms;
  rules.timestamp_after_max_ms = config.timestamp_after_max_ms;
  return rules;
}

absl::Status CheckSize(const ProduceRules& rules, std::size_t size) {
  if (size > rules.batch_size_max) {
    return MakeError(ErrorCode::kMessageTooLarge,
                     absl::StrCat("batch of ", size, " bytes; the limit is ", rules.batch_size_max,
                                  ", set by the topic's max.message.bytes"));
  }
  if (size > rules.segment_size_max) {
    return MakeError(ErrorCode::kRecordListTooLarge,
                     absl::StrCat("batch of ", size, " bytes; a segment has ", rules.segment_size_max,
                                  ", set by the topic's segment.bytes"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RecordBatchView> CheckBatch(ByteSpan bytes) {
  if (bytes.empty()) return MakeError(ErrorCode::kInvalidRecord, "no record batch was sent");
  const absl::StatusOr<RecordBatchView> batch = RecordBatchView::Parse(bytes);
  if (!batch.ok()) return MakeError(CodeOfMalformed(bytes), MessageOf(batch.status()));
  if (batch->size() != bytes.size()) {
    return MakeError(ErrorCode::kInvalidRecord,
                     absl::StrCat("one batch of ", batch->size(), " bytes was sent as ", bytes.size(),
                                  "; one batch for each partition"));
  }
  if ((batch->attributes() & (kAttributeLogAppendTime | kAttributeTransactional)) != 0) {
    RETURN_IF_ERROR(batch->CheckCrc());  // a bit that flipped on the way is no mistake of the producer's
    if ((batch->attributes() & kAttributeLogAppendTime) != 0) {
      return MakeError(ErrorCode::kInvalidTimestamp,
                       "record batch: its timestamp type is LogAppendTime, which only the broker sets");
    }
    return MakeError(ErrorCode::kInvalidTxnState,
                     "record batch: it is transactional, and this broker has no transactions");
  }
  const absl::Status produced = batch->CheckProduced();
  if (!produced.ok()) {
    RETURN_IF_ERROR(batch->CheckCrc());  // likewise
    return produced;
  }
  return batch;
}

bool LacksMaxTimestamp(const RecordBatchView& batch) {
  return batch.max_timestamp() < batch.base_timestamp();
}

bool IsCostly(const ProduceRules& rules, const RecordBatchView& batch) {
  return CompressesAnew(rules, batch) ||
         (LooksAtRecords(rules, batch) && batch.compression() != Compression::kNone);
}

absl::StatusOr<std::vector<std::byte>> Prepare(const ProduceRules& rules, TimestampMs now,
                                               MutableByteSpan batch) {
  ASSIGN_OR_RETURN(const RecordBatchView view, RecordBatchView::Parse(batch));
  const TimestampMs stated = view.max_timestamp();
  Bytes anew;
  if (LooksAtRecords(rules, view)) {
    ASSIGN_OR_RETURN(anew, PrepareRecords(rules, batch));
    RETURN_IF_ERROR(CheckSize(rules, anew.size()));
  }
  RETURN_IF_ERROR(CheckTimestamps(rules, now, view));
  if (anew.empty() && !rules.log_append_time && view.max_timestamp() == stated) return anew;
  const MutableByteSpan result = anew.empty() ? batch : MutableByteSpan(anew);
  if (rules.log_append_time) SetAppendTime(result, now);
  SealBatch(result);
  return anew;
}

}  // namespace headrace::topic
