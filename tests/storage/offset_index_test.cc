#include "storage/offset_index.h"

#include <catch2/catch.hpp>

#include <random>

namespace headrace::storage {
namespace {

constexpr Offset kBase = 1'000'000'000'000;

// An entry every 100 bytes, every 10 offsets.
OffsetIndex MakeIndex(int entries) {
  OffsetIndex index(kBase, {kBase, 0});
  for (int i = 1; i <= entries; ++i) index.Note({kBase + 10 * i, static_cast<std::uint64_t>(100 * i)}, 100);
  return index;
}

TEST_CASE("OffsetIndex: an empty one knows where its segment begins") {
  const OffsetIndex index(kBase, {kBase, 0});
  CHECK(index.FloorOffset(kBase + 7) == BatchPlace{kBase, 0});
  CHECK(index.FloorPosition(12'345) == BatchPlace{kBase, 0});
}

TEST_CASE("OffsetIndex: batches closer than the interval get no entry") {
  OffsetIndex index(kBase, {kBase, 0});
  for (std::uint64_t position = 0; position < 1'000; position += 30) {
    index.Note({kBase + static_cast<Offset>(position), position}, 100);
  }
  CHECK(index.entry_count() == 8);
  CHECK(index.FloorPosition(119) == BatchPlace{kBase, 0});
  CHECK(index.FloorPosition(120) == BatchPlace{kBase + 120, 120});
}

TEST_CASE("OffsetIndex: the floor is the last entry at or below") {
  const OffsetIndex index = MakeIndex(50);
  CHECK(index.FloorOffset(kBase + 9) == BatchPlace{kBase, 0});
  CHECK(index.FloorOffset(kBase + 10) == BatchPlace{kBase + 10, 100});
  CHECK(index.FloorOffset(kBase + 255) == BatchPlace{kBase + 250, 2'500});
  CHECK(index.FloorOffset(kBase + 100'000) == BatchPlace{kBase + 500, 5'000});
  CHECK(index.FloorPosition(2'599) == BatchPlace{kBase + 250, 2'500});
}

TEST_CASE("OffsetIndex: cut back, it goes on from the last batch that it knew") {
  OffsetIndex index = MakeIndex(50);
  index.NoteDamage({2'300, 2'400, kBase + 230, kBase + 240});
  index.NoteDamage({2'450, 2'500, kBase + 245, kBase + 250});
  CHECK(index.CutBack(2'500) == BatchPlace{kBase + 240, 2'400});
  CHECK(index.damaged().size() == 1);
  CHECK(index.FloorOffset(kBase + 400) == BatchPlace{kBase + 230, 2'300});
  index.Note({kBase + 240, 2'400}, 100);
  CHECK(index.FloorOffset(kBase + 400) == BatchPlace{kBase + 240, 2'400});
  CHECK(index.CutBack(0) == BatchPlace{kBase, 0});
  CHECK(index.damaged().empty());
}

TEST_CASE("OffsetIndex: the batch behind damage always has an entry") {
  OffsetIndex index(kBase, {kBase, 0});
  index.Note({kBase, 0}, 1'000);
  index.NoteDamage({50, 90, kBase + 5, kBase + 9});
  index.Note({kBase + 9, 90}, 1'000);
  CHECK(index.FloorPosition(90) == BatchPlace{kBase + 9, 90});
}

TEST_CASE("OffsetIndex: damage is found from any place before its end") {
  OffsetIndex index(kBase, {kBase, 0});
  index.NoteDamage({500, 600, kBase + 50, kBase + 60});
  index.NoteDamage({100, 200, kBase + 10, kBase + 20});
  index.NoteDamage({900, 900, kBase + 90, kBase + 95});  // only offsets are missing
  CHECK(index.DamageFrom(0)->position == 100);
  CHECK(index.DamageFrom(199)->position == 100);
  CHECK(index.DamageFrom(200)->position == 500);
  CHECK(index.DamageFrom(600)->position == 900);
  CHECK(index.DamageFrom(900)->next_offset == kBase + 95);
  CHECK_FALSE(index.DamageFrom(901).has_value());
}

TEST_CASE("OffsetIndex: what was written is read") {
  OffsetIndex index = MakeIndex(30);
  index.NoteDamage({100, 200, kBase + 10, kBase + 20});
  const std::vector<std::byte> bytes = index.Serialize(4'000);
  const std::optional<OffsetIndex> parsed = OffsetIndex::Parse(bytes, kBase, 4'000);
  REQUIRE(parsed.has_value());
  CHECK(parsed->entry_count() == 30);
  CHECK(parsed->damaged() == index.damaged());
  for (Offset offset = kBase; offset < kBase + 400; offset += 3) {
    CHECK(parsed->FloorOffset(offset) == index.FloorOffset(offset));
  }
}

TEST_CASE("OffsetIndex: another segment's, another size's, a cut or damaged one is refused") {
  OffsetIndex index = MakeIndex(5);
  index.NoteDamage({100, 200, kBase + 10, kBase + 20});
  const std::vector<std::byte> bytes = index.Serialize(600);
  CHECK_FALSE(OffsetIndex::Parse(bytes, kBase + 1, 600).has_value());
  CHECK_FALSE(OffsetIndex::Parse(bytes, kBase, 601).has_value());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(OffsetIndex::Parse(ByteSpan(bytes).first(size), kBase, 600).has_value());
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::vector<std::byte> flipped = bytes;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    CHECK_FALSE(OffsetIndex::Parse(flipped, kBase, 600).has_value());
  }
}

TEST_CASE("OffsetIndex: a part in memory goes behind the part from disk") {
  OffsetIndex later(kBase, {kBase + 50, 500});
  later.Note({kBase + 60, 600}, 100);
  CHECK(later.FloorOffset(kBase + 55) == BatchPlace{kBase + 50, 500});
  later.Prepend(MakeIndex(4));
  CHECK(later.first() == BatchPlace{kBase, 0});
  CHECK(later.FloorOffset(kBase + 45) == BatchPlace{kBase + 40, 400});
  CHECK(later.FloorOffset(kBase + 55) == BatchPlace{kBase + 50, 500});
  CHECK(later.FloorPosition(599) == BatchPlace{kBase + 50, 500});
  CHECK(later.FloorOffset(kBase + 70) == BatchPlace{kBase + 60, 600});
}

}  // namespace
}  // namespace headrace::storage
