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

constexpr std::int64_t UnZigZag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

// Bytes that WriteVarint writes. The quotient is the number of bits by 7, rounded up, without a division.
constexpr std::size_t VarintSize(std::int64_t value) {
  return (static_cast<std::size_t>(std::bit_width(ZigZag(value) | 1)) * 9 + 64) / 64;
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

// ReadVarint for any length.
const std::byte* ReadLongVarint(const std::byte* at, const std::byte* end, std::int64_t& value);

// Reads a varint from [at, end) and returns the byte after it; nullptr, leaving `value` alone, if it does not
// end before `end` or within 10 bytes. Most of a record's numbers have one or two bytes, read here; and two
// pointers rather than a span, because the loop over a batch's records keeps them in registers.
inline const std::byte* ReadVarint(const std::byte* at, const std::byte* end, std::int64_t& value) {
  if (end - at < 2) return ReadLongVarint(at, end, value);
  const auto low = std::to_integer<std::uint64_t>(at[0]);
  if (low < 0x80) {
    value = UnZigZag(low);
    return at + 1;
  }
  const auto high = std::to_integer<std::uint64_t>(at[1]);
  if (high >= 0x80) return ReadLongVarint(at, end, value);
  value = UnZigZag((low & 0x7f) | high << 7);
  return at + 2;
}

}  // namespace headrace
