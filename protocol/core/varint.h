// Zig-zag variable-length integers, as record batches use them: 7 bits a byte, least significant first, the
// top bit set on all bytes but the last (https://protobuf.dev/programming-guides/encoding, "signed
// integers").
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/core/bytes.h"

namespace headrace {

inline constexpr std::size_t kVarintSizeMax = 10;

constexpr std::uint64_t ZigZag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

constexpr std::size_t VarintSize(std::int64_t value) {
  const auto bits = static_cast<std::size_t>(std::bit_width(ZigZag(value) | 1));
  return (bits + 6) / 7;
}

// Writes `value` at `at` and returns the byte after it. REQUIRES: VarintSize(value) writable bytes.
inline std::byte* WriteVarint(std::byte* at, std::int64_t value) {
  std::uint64_t rest = ZigZag(value);
  while (rest >= 0x80) {
    *at++ = static_cast<std::byte>(rest | 0x80);
    rest >>= 7;
  }
  *at++ = static_cast<std::byte>(rest);
  return at;
}

// Reads a varint from the front of `bytes` and moves `bytes` behind it; false, leaving `bytes` anywhere, if
// it does not end within `bytes` or within 10 bytes.
inline bool ReadVarint(ByteSpan& bytes, std::int64_t& value) {
  std::uint64_t result = 0;
  const std::size_t limit = bytes.size() < kVarintSizeMax ? bytes.size() : kVarintSizeMax;
  for (std::size_t i = 0; i < limit; ++i) {
    const auto byte = std::to_integer<std::uint64_t>(bytes[i]);
    result |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      bytes = bytes.subspan(i + 1);
      value = static_cast<std::int64_t>(result >> 1) ^ -static_cast<std::int64_t>(result & 1);
      return true;
    }
  }
  return false;
}

}  // namespace headrace
