#include "protocol/core/varint.h"

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>

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
      ByteSpan rest = ByteSpan(bytes).first(size);
      std::int64_t read = 0;
      REQUIRE(ReadVarint(rest, read));
      CHECK(read == value);
      CHECK(rest.empty());
      for (std::size_t cut = 0; cut < size; ++cut) {
        rest = ByteSpan(bytes).first(cut);
        CHECK_FALSE(ReadVarint(rest, read));
      }
    }
  }
}

TEST_CASE("Varint: one that does not end within 10 bytes is refused") {
  std::array<std::byte, 16> bytes;
  bytes.fill(std::byte{0x80});
  ByteSpan rest = bytes;
  std::int64_t value = 0;
  CHECK_FALSE(ReadVarint(rest, value));
}

TEST_CASE("Varint: the encoding is Kafka's") {
  std::array<std::byte, kVarintSizeMax> bytes{};
  CHECK(WriteVarint(bytes.data(), -1) == bytes.data() + 1);
  CHECK(bytes[0] == std::byte{0x01});
  CHECK(WriteVarint(bytes.data(), 300) == bytes.data() + 2);
  CHECK(bytes[0] == std::byte{0xd8});
  CHECK(bytes[1] == std::byte{0x04});
}
