#include "protocol/kafka/decoder.h"

#include "absl/strings/str_cat.h"

namespace headrace::kafka {
namespace {
constexpr int kVarintBitsMax = 35;  // five bytes of 7 bits
}  // namespace

std::uint64_t Decoder::UnsignedVarint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < kVarintBitsMax; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(Integer<std::int8_t>());
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  Fail("a number has more than five bytes");
  return 0;
}

std::optional<std::string> Decoder::String() {
  const std::optional<std::uint64_t> size = Size<std::int16_t>();
  if (!size) return std::nullopt;
  if (*size > kStringSizeMax) Fail("a string has more than 32767 bytes");
  if (!status_.ok()) return std::string();
  Spend(*size);
  return std::string(AsText(Take(*size)));
}

MutableByteSpan Decoder::SizedBytes() {
  const std::optional<std::uint64_t> size = Size<std::int32_t>();
  return Take(size.value_or(0));
}

void Decoder::ReadId(TopicId& id) {
  const MutableByteSpan taken = Take(id.bytes.size());
  if (!taken.empty()) std::memcpy(id.bytes.data(), taken.data(), taken.size());
}

MutableByteSpan Decoder::Take(std::uint64_t size) {
  if (!status_.ok()) return {};
  if (size > bytes_.size() - position_) {
    Fail(absl::StrCat(size, " bytes are announced and ", bytes_.size() - position_, " are there"));
    return {};
  }
  const MutableByteSpan taken = bytes_.subspan(position_, size);
  position_ += size;
  return taken;
}

void Decoder::Spend(std::uint64_t size) {
  decoded_size_ += size;
  if (decoded_size_ > kDecodedSizeMax) {
    Fail(absl::StrCat("it would take more than ", kDecodedSizeMax, " bytes of memory"));
  }
}

void Decoder::Fail(std::string_view what) {
  if (!status_.ok()) return;
  status_ = MakeError(ErrorCode::kInvalidRequest,
                      absl::StrCat("malformed at byte ", position_, ": ", std::string(what)));
}

}  // namespace headrace::kafka
