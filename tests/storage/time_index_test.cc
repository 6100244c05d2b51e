#include "storage/time_index.h"

#include <catch2/catch.hpp>

namespace headrace::storage {
namespace {

constexpr Offset kBase = 500;

BatchPlace Place(int i) {
  return {kBase + 10 * i, static_cast<std::uint64_t>(100 * i)};
}

TEST_CASE("TimeIndex: a search begins behind everything that is older") {
  TimeIndex index(kBase);
  index.Note(-1, Place(0), 100);
  index.Note(1'000, Place(1), 100);
  index.Note(2'000, Place(2), 100);
  CHECK(index.Floor(500) == Place(0));
  CHECK(index.Floor(1'000) == Place(0));
  CHECK(index.Floor(1'001) == Place(1));
  CHECK(index.Floor(9'999) == Place(2));
  CHECK_FALSE(index.Floor(-1).has_value());
}

TEST_CASE("TimeIndex: only a new maximum, far enough behind the last entry, is noted") {
  TimeIndex index(kBase);
  index.Note(1'000, Place(1), 100);
  index.Note(1'000, Place(2), 100);           // no new maximum
  index.Note(1'500, {kBase + 21, 199}, 100);  // too close
  index.Note(1'600, Place(3), 100);
  CHECK(index.entry_count() == 2);
}

TEST_CASE("TimeIndex: what was written is read, with the times of the appends") {
  TimeIndex index(kBase);
  for (int i = 0; i < 20; ++i) index.Note(1'000 + i, Place(i), 100);
  const SegmentTimes times{111, 222, 1'030};
  const std::vector<std::byte> bytes = index.Serialize(2'000, times);
  const std::optional<TimeIndex::Parsed> parsed = TimeIndex::Parse(bytes, kBase, 2'000);
  REQUIRE(parsed.has_value());
  CHECK(parsed->times == times);
  for (TimestampMs at = 990; at < 1'030; ++at) CHECK(parsed->index.Floor(at) == index.Floor(at));
}

TEST_CASE("TimeIndex: another segment's, another size's, a cut or damaged one is refused") {
  TimeIndex index(kBase);
  for (int i = 0; i < 3; ++i) index.Note(1'000 + i, Place(i), 100);
  const std::vector<std::byte> bytes = index.Serialize(400, {1, 2, 3});
  CHECK_FALSE(TimeIndex::Parse(bytes, kBase + 1, 400).has_value());
  CHECK_FALSE(TimeIndex::Parse(bytes, kBase, 401).has_value());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(TimeIndex::Parse(ByteSpan(bytes).first(size), kBase, 400).has_value());
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::vector<std::byte> flipped = bytes;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    CHECK_FALSE(TimeIndex::Parse(flipped, kBase, 400).has_value());
  }
}

}  // namespace
}  // namespace headrace::storage
