#include "tests/support/compacted_log.h"

#include "protocol/core/status_macros.h"

namespace headrace::testing {
namespace {

constexpr std::size_t kDecompressedMax = 1 << 20;

std::optional<ByteSpan> Bytes(const std::optional<std::string>& text) {
  return text.has_value() ? std::optional(AsBytes(*text)) : std::nullopt;
}

std::optional<std::string> Text(const std::optional<ByteSpan>& bytes) {
  return bytes.has_value() ? std::optional(std::string(AsText(*bytes))) : std::nullopt;
}

}  // namespace

CompactedLog::CompactedLog(std::uint64_t segment_size_max) : log_(segment_size_max) {
  storage::LogOptions options = log_.options();
  options.compact = true;
  options.delete_by_retention = false;
  options.min_cleanable_dirty_ratio = 0.01;
  log_.SetOptions(options);
}

absl::Status CompactedLog::Append(const std::vector<Keyed>& records) {
  RecordBatchBuilder builder(codec);
  for (const Keyed& record : records) {
    RecordView view;
    view.timestamp = log_.timestamp;
    view.key = Bytes(record.key);
    view.value = Bytes(record.value);
    builder.Add(view);
    log_.timestamp += log_.timestamp_step;
  }
  if (log_.producer_id != kNoProducerId) {
    builder.SetProducer(log_.producer_id, 0, log_.next_sequence);
    log_.next_sequence += static_cast<std::int32_t>(records.size());
  }
  std::vector<std::byte> batch = *builder.Build();
  StampBatch(batch, log_.offsets().end, log_.epoch);
  const ByteSpan span(batch);
  return log_.log().Append({&span, 1});
}

absl::Status CompactedLog::Fill(const std::vector<Keyed>& records) {
  const Offset first = log_.offsets().end;
  for (const Keyed& record : records) RETURN_IF_ERROR(Append({record}));
  RETURN_IF_ERROR(log_.Acknowledge());
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!records[i].key.has_value()) continue;
    acknowledged_[*records[i].key] = {first + static_cast<Offset>(i), records[i].value};
  }
  return absl::OkStatus();
}

absl::Status CompactedLog::FillTogether(const std::vector<Keyed>& records) {
  RETURN_IF_ERROR(Append(records));
  return log_.Acknowledge();
}

absl::Status CompactedLog::Seal() {
  const storage::LogOptions options = log_.options();
  storage::LogOptions aged = options;
  aged.segment_age_max_ms = -1;
  log_.SetOptions(aged);
  const absl::Status filled = Fill({{"seal", "seal"}});
  log_.SetOptions(options);
  return filled;
}

storage::CompactionResult CompactedLog::Compact(storage::CompactionLimits limits) {
  absl::StatusOr<storage::CompactionResult> result = TryCompact(std::move(limits));
  HEADRACE_CHECK(result.ok());
  return *result;
}

absl::StatusOr<storage::CompactionResult> CompactedLog::TryCompact(storage::CompactionLimits limits) {
  ASSIGN_OR_RETURN(const auto plan, log_.log().PlanCompaction());
  if (plan == nullptr) return storage::CompactionResult();
  storage::Compaction compaction(*plan, std::move(limits));
  for (;;) {
    ASSIGN_OR_RETURN(const auto ready, compaction.Next());
    if (!ready.has_value()) break;
    ASSIGN_OR_RETURN(const bool swapped, log_.log().SwapCompacted(*ready));
    RETURN_IF_ERROR(compaction.Settle(*ready, swapped));
  }
  log_.log().FinishCompaction(compaction.progress());
  return compaction.result();
}

void CompactedLog::Read(storage::ReadCursor cursor, const Visit& visit) const {
  for (;;) {
    const absl::StatusOr<storage::FileSlice> slice = log_.log().Read(cursor, 1);
    HEADRACE_CHECK(slice.ok());
    if (slice->length == 0) return;
    std::vector<std::byte> bytes(slice->length);
    HEADRACE_CHECK(*slice->file->ReadAt(slice->position, bytes) == bytes.size());
    for (ByteSpan rest = bytes; !rest.empty();) {
      const RecordBatchView batch = *RecordBatchView::Parse(rest);
      HEADRACE_CHECK(batch.CheckCrc().ok());
      rest = rest.subspan(batch.size());
      RecordIterator records = *RecordIterator::Open(batch, kDecompressedMax);
      while (records.Next()) visit(batch, records.record());
      HEADRACE_CHECK(records.status().ok());
    }
  }
}

std::map<Offset, Keyed> CompactedLog::RecordsFrom(storage::ReadCursor cursor) const {
  std::map<Offset, Keyed> found;
  Read(std::move(cursor), [&](const RecordBatchView&, const RecordView& record) {
    const Keyed keyed{Text(record.key), Text(record.value)};
    HEADRACE_CHECK(found.empty() || record.offset > found.rbegin()->first);
    found.emplace(record.offset, keyed);
  });
  return found;
}

std::map<Offset, Keyed> CompactedLog::Records() const {
  storage::ReadCursor cursor;
  cursor.offset = log_.offsets().start;
  return RecordsFrom(cursor);
}

std::map<Offset, TimestampMs> CompactedLog::Timestamps() const {
  std::map<Offset, TimestampMs> found;
  Read({},
       [&](const RecordBatchView&, const RecordView& record) { found[record.offset] = record.timestamp; });
  return found;
}

Compression CompactedLog::CodecAt(Offset offset) const {
  Compression found = Compression::kNone;
  Read({}, [&](const RecordBatchView& batch, const RecordView& record) {
    if (record.offset == offset) found = batch.compression();
  });
  return found;
}

std::vector<std::byte> CompactedLog::MakeProduced(ProducerId id, std::int32_t sequence) const {
  RecordBatchBuilder builder;
  builder.Add(RecordView());
  builder.SetProducer(id, 0, sequence);
  return *builder.Build();
}

}  // namespace headrace::testing
