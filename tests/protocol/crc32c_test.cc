#include "protocol/core/crc32c.h"

#include <catch2/catch.hpp>

#include <random>
#include <vector>

using namespace headrace;

TEST_CASE("Crc32c: known vectors") {
  CHECK(Crc32c(AsBytes("123456789")) == 0xE3069283);
  CHECK(Crc32c({}) == 0);
  // RFC 3720 appendix B.4
  CHECK(Crc32c(std::vector<std::byte>(32, std::byte{0})) == 0x8A9136AA);
  CHECK(Crc32c(std::vector<std::byte>(32, std::byte{0xff})) == 0x62A8AB43);
  std::vector<std::byte> ascending(32);
  for (std::size_t i = 0; i < 32; ++i) ascending[i] = static_cast<std::byte>(i);
  CHECK(Crc32c(ascending) == 0x46DD794E);
}

TEST_CASE("Crc32c: the portable form agrees for every length and any split") {
  std::mt19937_64 random(1);
  std::vector<std::byte> bytes(4096);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  bool same = true;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const ByteSpan span = ByteSpan(bytes).first(size);
    const std::uint32_t whole = Crc32c(span);
    const std::size_t split = size == 0 ? 0 : random() % size;
    same = same && whole == Crc32cPortable(span) &&
           whole == Crc32c(span.subspan(split), Crc32c(span.first(split))) &&
           whole == Crc32cPortable(span.subspan(split), Crc32cPortable(span.first(split)));
  }
  CHECK(same);
}
