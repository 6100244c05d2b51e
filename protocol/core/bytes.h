// Byte spans and big-endian access to them. Everything here is bounds-checked by the caller or by the
// class; nothing allocates and nothing throws.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace headrace {

using ByteSpan = std::span<const std::byte>;
using MutableByteSpan = std::span<std::byte>;

inline ByteSpan AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <std::integral T>
constexpr T SwapToBigEndian(T value) {
  if constexpr (sizeof(T) == 1 || std::endian::native == std::endian::big)
    return value;
  else if constexpr (sizeof(T) == 2)
    return static_cast<T>(__builtin_bswap16(static_cast<std::uint16_t>(value)));
  else if constexpr (sizeof(T) == 4)
    return static_cast<T>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
  else
    return static_cast<T>(__builtin_bswap64(static_cast<std::uint64_t>(value)));
}

// REQUIRES: `at` points at sizeof(T) readable bytes.
template <std::integral T>
T LoadBigEndian(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return SwapToBigEndian(value);
}

// REQUIRES: `at` points at sizeof(T) writable bytes.
template <std::integral T>
void StoreBigEndian(std::byte* at, T value) {
  value = SwapToBigEndian(value);
  std::memcpy(at, &value, sizeof value);
}

}  // namespace headrace
