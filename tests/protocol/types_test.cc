#include "protocol/core/types.h"

#include <catch2/catch.hpp>

#include <unordered_set>

using namespace headrace;

TEST_CASE("TopicId: text and back") {
  const TopicId id = TopicId::Random();
  CHECK(id.ToString().size() == 32);
  CHECK(TopicId::Parse(id.ToString()) == id);
  CHECK(TopicId{}.IsNone());
  CHECK_FALSE(id.IsNone());
}

TEST_CASE("TopicId: only 32 hexadecimal digits parse") {
  CHECK_FALSE(TopicId::Parse("").has_value());
  CHECK_FALSE(TopicId::Parse(std::string(31, 'a')).has_value());
  CHECK_FALSE(TopicId::Parse(std::string(33, 'a')).has_value());
  CHECK_FALSE(TopicId::Parse(std::string(31, 'a') + "g").has_value());
  CHECK(TopicId::Parse(std::string(32, 'F')).has_value());
}

TEST_CASE("TopicId: random ones differ, and are version 4") {
  std::unordered_set<TopicId> seen;
  for (int i = 0; i < 1000; ++i) {
    const TopicId id = TopicId::Random();
    CHECK(id.bytes[6] >> 4 == 4);
    CHECK(seen.insert(id).second);
  }
}
