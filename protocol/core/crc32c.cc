#include "protocol/core/crc32c.h"

#include <array>

#ifdef HEADRACE_WITH_ISAL
#include <isa-l/crc.h>
#endif

namespace headrace {
namespace {

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

// Slicing-by-8: table k advances a byte that stands k places before the end of an 8-byte group.
constexpr Table MakeTable() {
  Table table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    table[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = table[k - 1][byte];
      table[k][byte] = (before >> 8) ^ table[0][before & 0xff];
    }
  }
  return table;
}

constexpr Table kTable = MakeTable();

}  // namespace

std::uint32_t Crc32cPortable(ByteSpan bytes, std::uint32_t seed) {
  std::uint32_t crc = ~seed;
  const auto at = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  while (bytes.size() >= 8) {
    const std::uint32_t low = crc ^ (at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24);
    crc = kTable[7][low & 0xff] ^ kTable[6][(low >> 8) & 0xff] ^ kTable[5][(low >> 16) & 0xff] ^
          kTable[4][low >> 24] ^ kTable[3][at(4)] ^ kTable[2][at(5)] ^ kTable[1][at(6)] ^ kTable[0][at(7)];
    bytes = bytes.subspan(8);
  }
  for (const std::byte byte : bytes) {
    crc = (crc >> 8) ^ kTable[0][(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
  }
  return ~crc;
}

std::uint32_t Crc32c(ByteSpan bytes, std::uint32_t seed) {
#ifdef HEADRACE_WITH_ISAL
  constexpr std::size_t kChunk = std::size_t{1} << 30;  // the length is an int
  std::uint32_t crc = ~seed;
  while (!bytes.empty()) {
    const ByteSpan chunk = bytes.first(bytes.size() < kChunk ? bytes.size() : kChunk);
    // The argument is not written to, in spite of its type.
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(chunk.data()));
    crc = crc32_iscsi(data, static_cast<int>(chunk.size()), crc);
    bytes = bytes.subspan(chunk.size());
  }
  return ~crc;
#else
  return Crc32cPortable(bytes, seed);
#endif
}

}  // namespace headrace
