// Which offsets were written under which leader epoch.
#include "storage/leader_epoch_cache.h"

#include <catch2/catch.hpp>

namespace headrace::storage {
namespace {

using Entry = LeaderEpochCache::Entry;
using Entries = std::vector<Entry>;

// Epoch 1 from offset 10, epoch 2 from 20, epoch 5 from 50.
LeaderEpochCache Filled() {
  LeaderEpochCache cache;
  cache.Note(1, 10);
  cache.Note(2, 20);
  cache.Note(5, 50);
  return cache;
}

TEST_CASE("LeaderEpochCache: an epoch begins with its first batch") {
  LeaderEpochCache cache;
  CHECK(cache.Note(0, 0));
  CHECK_FALSE(cache.Note(0, 10));
  CHECK(cache.Note(3, 20));
  CHECK_FALSE(cache.Note(3, 30));
  CHECK_FALSE(cache.Note(2, 40));  // an epoch never goes back
  CHECK(cache.entries() == Entries{{0, 0}, {3, 20}});
}

TEST_CASE("LeaderEpochCache: an epoch ends where the next one begins, the last one at the log's end") {
  const LeaderEpochCache cache = Filled();
  CHECK(cache.EndOf(1, 60) == Entry{1, 20});
  CHECK(cache.EndOf(2, 60) == Entry{2, 50});
  CHECK(cache.EndOf(5, 60) == Entry{5, 60});
}

TEST_CASE("LeaderEpochCache: an epoch without batches is answered by the one before") {
  const LeaderEpochCache cache = Filled();
  CHECK(cache.EndOf(4, 60) == Entry{2, 50});
  CHECK(cache.EndOf(9, 60) == Entry{5, 60});
  CHECK(cache.EndOf(0, 60) == std::nullopt);
  CHECK(LeaderEpochCache().EndOf(0, 60) == std::nullopt);
}

TEST_CASE("LeaderEpochCache: a trimmed log keeps the epoch its new start lies in") {
  struct Case {
    Offset start;
    Entries left;
  };
  const auto [start, left] = GENERATE(values<Case>({
      {5, {{1, 10}, {2, 20}, {5, 50}}},
      {10, {{1, 10}, {2, 20}, {5, 50}}},
      {15, {{1, 15}, {2, 20}, {5, 50}}},
      {20, {{2, 20}, {5, 50}}},
      {49, {{2, 49}, {5, 50}}},
      {70, {{5, 70}}},
  }));
  LeaderEpochCache cache = Filled();
  cache.TrimFront(start);
  CHECK(cache.entries() == left);
}

TEST_CASE("LeaderEpochCache: a shortened log forgets the epochs that begin behind its end") {
  struct Case {
    Offset end;
    Entries left;
  };
  const auto [end, left] = GENERATE(values<Case>({
      {51, {{1, 10}, {2, 20}, {5, 50}}},
      {50, {{1, 10}, {2, 20}}},
      {20, {{1, 10}}},
      {0, {}},
  }));
  LeaderEpochCache cache = Filled();
  cache.TrimBack(end);
  CHECK(cache.entries() == left);
  if (end == 50) {
    CHECK(cache.Note(5, 50));  // may begin again
  }
}

TEST_CASE("LeaderEpochCache: trimming an empty one is nothing") {
  LeaderEpochCache cache;
  cache.TrimFront(10);
  cache.TrimBack(0);
  CHECK(cache.entries().empty());
}

TEST_CASE("LeaderEpochCache: it is read back as it was written") {
  const auto parsed = LeaderEpochCache::Parse(Filled().Serialize());
  REQUIRE(parsed.ok());
  CHECK(parsed->entries() == Filled().entries());
  const auto empty = LeaderEpochCache::Parse(LeaderEpochCache().Serialize());
  REQUIRE(empty.ok());
  CHECK(empty->entries().empty());
}

TEST_CASE("LeaderEpochCache: a part of an entry, and entries that do not ascend, are refused") {
  const std::vector<std::byte> whole = Filled().Serialize();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto parsed = LeaderEpochCache::Parse(ByteSpan(whole).first(size));
    CAPTURE(size);
    CHECK(parsed.ok() == (size % 12 == 0));
  }
  std::vector<std::byte> twice = whole;
  twice.insert(twice.end(), whole.begin(), whole.end());
  CHECK(absl::IsDataLoss(LeaderEpochCache::Parse(twice).status()));
}

}  // namespace
}  // namespace headrace::storage
