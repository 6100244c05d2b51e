#include "protocol/core/varint.h"

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <vector>

using namespace headrace;

TEST_CASE("Varint: zig-zag and back at every width") {
  for (int bit = 0; bit < 64; ++bit) {
    for (const std::int64_t value : {static_cast<std::int64_t>(std::uint64_t{1} << bit),
                                     static_cast<std::int64_t>((std::uint64_t{1} << bit) - 1),
                                     -static_cast<std::int64_t>((std::uint64_t{1} << bit) - 1), INT64_MIN}) {
      CAPTURE(value);
      std::array<std::byte, kVarintSizeMax> bytes{};
      const std::byte* end = WriteVarint(bytes.data(), value);
      const auto size = static_cast<std::size_t>(end - bytes.data());
      CHECK(size == VarintSize(value));
      std::int64_t read = 0;
      CHECK(ReadVarint(bytes.data(), end, read) == end);
      CHECK(read == value);
      for (std::size_t cut = 0; cut < size; ++cut) {
        // A copy of exactly that size, so that a sanitizer sees any read behind it.
        const std::vector<std::byte> start(bytes.data(), bytes.data() + cut);
        CHECK(ReadVarint(start.data(), start.data() + cut, read) == nullptr);
      }
    }
  }
}

TEST_CASE("Varint: one that does not end within 10 bytes is refused") {
  std::array<std::byte, 16> bytes;
  bytes.fill(std::byte{0x80});
  std::int64_t value = 7;
  CHECK(ReadVarint(bytes.data(), bytes.data() + bytes.size(), value) == nullptr);
  bytes[10] = std::byte{0};
  CHECK(ReadVarint(bytes.data(), bytes.data() + bytes.size(), value) == nullptr);
  CHECK(value == 7);
  bytes[9] = std::byte{0};
  CHECK(ReadVarint(bytes.data(), bytes.data() + bytes.size(), value) == bytes.data() + 10);
  CHECK(value == 0);
}

TEST_CASE("Varint: the encoding is Kafka's") {
  std::array<std::byte, kVarintSizeMax> bytes{};
  CHECK(WriteVarint(bytes.data(), -1) == bytes.data() + 1);
  CHECK(bytes[0] == std::byte{0x01});
  CHECK(WriteVarint(bytes.data(), 300) == bytes.data() + 2);
  CHECK(bytes[0] == std::byte{0xd8});
  CHECK(bytes[1] == std::byte{0x04});
}
