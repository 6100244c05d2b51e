#include "client/partitioner.h"

#include <catch2/catch.hpp>

using headrace::AsBytes;
using headrace::Murmur2;
using headrace::PartitionForKey;

TEST_CASE("Partitioner: hashes are those of Kafka's clients") {
  const auto hash = [](std::string_view key) { return static_cast<std::int32_t>(Murmur2(AsBytes(key))); };
  CHECK(hash("21") == -973932308);
  CHECK(hash("foobar") == -790332482);
  CHECK(hash("a-little-bit-long-string") == -985981536);
  CHECK(hash("a-little-bit-longer-string") == -1486304829);
  CHECK(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8") == -58897971);
  CHECK(hash("abc") == 479470107);
}

TEST_CASE("Partitioner: a key's partition is the hash without its sign, modulo the number of partitions") {
  // -973932308 & 0x7fffffff = 1173551340.
  CHECK(PartitionForKey(AsBytes("21"), 7) == 1173551340U % 7);
  CHECK(PartitionForKey(AsBytes("21"), 1) == 0);
  CHECK(PartitionForKey(AsBytes(""), 1'000) < 1'000);
}
