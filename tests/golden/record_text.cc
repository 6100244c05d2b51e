#include "tests/golden/record_text.h"

#include "absl/strings/str_cat.h"
#include "protocol/core/crc32c.h"

namespace headrace::testing {
namespace {

std::string BytesText(const std::optional<ByteSpan>& bytes) {
  constexpr std::size_t kBytesMax = 64;
  if (!bytes) return "-";
  if (bytes->empty()) return ".";
  if (bytes->size() > kBytesMax) {
    return absl::StrCat(bytes->size(), ":", absl::Hex(Crc32cPortable(*bytes), absl::kZeroPad8));
  }
  std::string text;
  for (const std::byte byte : *bytes) {
    absl::StrAppend(&text, absl::Hex(std::to_integer<unsigned>(byte), absl::kZeroPad2));
  }
  return text;
}

}  // namespace

std::string HeaderText(const RecordBatchView& batch) {
  return absl::StrCat(batch.base_offset(), " ", batch.leader_epoch(), " ", batch.attributes(), " ") +
         absl::StrCat(batch.base_timestamp(), " ", batch.max_timestamp(), " ") +
         absl::StrCat(batch.producer_id(), " ", batch.producer_epoch(), " ", batch.base_sequence(), " ",
                      batch.record_count(), "\n");
}

std::string RecordText(const RecordView& record) {
  std::string text = absl::StrCat(record.offset, " ", record.timestamp, " ", BytesText(record.key), " ",
                                  BytesText(record.value));
  for (const RecordHeaderView& header : record.headers) {
    absl::StrAppend(&text, " ", BytesText(AsBytes(header.key)), "=", BytesText(header.value));
  }
  return text + "\n";
}

}  // namespace headrace::testing
