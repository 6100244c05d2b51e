// A batch of any bytes is refused, or its records lie inside it and add up to what its header says.
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

constexpr std::size_t kDecompressedSizeMax = 1 << 20;

void CheckInside(const std::optional<ByteSpan>& part, ByteSpan whole) {
  if (!part || part->empty()) return;
  HEADRACE_CHECK(part->data() >= whole.data());
  HEADRACE_CHECK(part->data() + part->size() <= whole.data() + whole.size());
}

// Reads every byte that a record points to, so that the sanitizer sees where they lie.
std::size_t Touch(const RecordView& record) {
  std::size_t sum = 0;
  const auto add = [&sum](ByteSpan bytes) {
    for (const std::byte byte : bytes) sum += std::to_integer<std::size_t>(byte);
  };
  add(record.key.value_or(ByteSpan()));
  add(record.value.value_or(ByteSpan()));
  for (const RecordHeaderView& header : record.headers) {
    add(AsBytes(header.key));
    add(header.value.value_or(ByteSpan()));
  }
  return sum;
}

void CheckRecord(const RecordView& record, const RecordBatchView& batch) {
  HEADRACE_CHECK(record.offset >= batch.base_offset() && record.offset <= batch.last_offset());
  [[maybe_unused]] const volatile std::size_t sum = Touch(record);
  if (batch.compression() != Compression::kNone) return;
  CheckInside(record.key, batch.records());
  CheckInside(record.value, batch.records());
}

void Walk(const RecordBatchView& batch) {
  auto records = RecordIterator::Open(batch, kDecompressedSizeMax);
  if (!records.ok()) return;
  std::int32_t count = 0;
  while (records->Next()) {
    CheckRecord(records->record(), batch);
    ++count;
  }
  HEADRACE_CHECK(count <= batch.record_count());
  HEADRACE_CHECK(!records->status().ok() || count == batch.record_count());
  HEADRACE_CHECK(!records->Next());
}

void Fuzz(ByteSpan bytes) {
  const auto batch = RecordBatchView::Parse(bytes);
  if (!batch.ok()) return;
  HEADRACE_CHECK(batch->size() >= kBatchHeaderSize && batch->size() <= bytes.size());
  HEADRACE_CHECK(batch->size() == RecordBatchView::StatedSize(bytes));
  batch->CheckProduced().IgnoreError();
  Walk(*batch);
}

}  // namespace
}  // namespace headrace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  headrace::Fuzz({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
