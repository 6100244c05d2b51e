#include "protocol/kafka/encoder.h"

namespace headrace::kafka {

void Encoder::UnsignedVarint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
  bytes_ += static_cast<char>(value);
}

void Encoder::String(std::string_view value) {
  // Only our own texts could be longer: error messages, which are cut rather than refused.
  value = value.substr(0, kStringSizeMax);
  Size<std::int16_t>(value.size());
  bytes_ += value;
}

void Encoder::WriteRecords(const Records& records) {
  Size<std::int32_t>(records.bytes.size() + records.external);
  bytes_ += AsText(records.bytes);
  if (records.external > 0) gaps_.push_back({bytes_.size(), records.external});
}

}  // namespace headrace::kafka
