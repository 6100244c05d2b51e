#include "protocol/core/varint.h"

namespace headrace {

const std::byte* ReadLongVarint(const std::byte* at, const std::byte* end, std::int64_t& value) {
  std::uint64_t result = 0;
  for (std::size_t shift = 0; at != end && shift < 7 * kVarintSizeMax; shift += 7) {
    const auto byte = std::to_integer<std::uint64_t>(*at++);
    result |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      value = UnZigZag(result);
      return at;
    }
  }
  return nullptr;
}

}  // namespace headrace
