#include "tests/support/batches.h"

#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace::testing {

std::vector<std::byte> MakeBatch(const std::vector<std::string_view>& values, const BatchOptions& options) {
  RecordBatchBuilder builder(options.compression);
  TimestampMs timestamp = options.timestamp;
  for (const std::string_view value : values) {
    RecordView record;
    record.timestamp = timestamp++;
    record.value = AsBytes(value);
    builder.Add(record);
  }
  if (options.producer_id != kNoProducerId) {
    builder.SetProducer(options.producer_id, options.producer_epoch, options.base_sequence);
  }
  auto batch = builder.Build();
  HEADRACE_CHECK(batch.ok());
  StampBatch(*batch, options.base_offset, options.leader_epoch);
  return *std::move(batch);
}

std::vector<std::string> ValuesOf(ByteSpan batches) {
  std::vector<std::string> values;
  while (!batches.empty()) {
    const auto batch = RecordBatchView::Parse(batches);
    HEADRACE_CHECK(batch.ok() && batch->CheckCrc().ok());
    auto records = RecordIterator::Open(*batch, std::size_t{64} << 20);
    HEADRACE_CHECK(records.ok());
    while (records->Next()) values.emplace_back(AsText(records->record().value.value_or(ByteSpan())));
    HEADRACE_CHECK(records->status().ok());
    batches = batches.subspan(batch->size());
  }
  return values;
}

}  // namespace headrace::testing
