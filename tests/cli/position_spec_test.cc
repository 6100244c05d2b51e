#include "client/cli/position_spec.h"

#include <catch2/catch.hpp>

namespace headrace::cli {
namespace {

using Kind = PositionSpec::Kind;
constexpr std::int64_t kNow = 1'700'000'000'000;

PositionSpec Parse(std::string_view text) {
  const auto spec = ParsePosition(text, kNow);
  INFO(text);
  REQUIRE(spec.ok());
  return *spec;
}

TEST_CASE("Position: words, offsets and counts") {
  CHECK(Parse("beginning") == PositionSpec{Kind::kBeginning, 0});
  CHECK(Parse("end") == PositionSpec{Kind::kEnd, 0});
  CHECK(Parse("0") == PositionSpec{Kind::kOffset, 0});
  CHECK(Parse("9223372036854775807") == PositionSpec{Kind::kOffset, 9223372036854775807});
  CHECK(Parse("-10") == PositionSpec{Kind::kBeforeEnd, 10});
}

TEST_CASE("Position: a long bare number is an offset, never guessed to be a time") {
  CHECK(Parse("1700000000000") == PositionSpec{Kind::kOffset, 1'700'000'000'000});
  CHECK(Parse("1700000000000ms") == PositionSpec{Kind::kTimestamp, 1'700'000'000'000});
}

TEST_CASE("Position: times") {
  CHECK(Parse("1970-01-01T00:00:00Z") == PositionSpec{Kind::kTimestamp, 0});
  CHECK(Parse("2023-11-14T22:13:20Z") == PositionSpec{Kind::kTimestamp, kNow});
  CHECK(Parse("2023-11-14T22:13:20.1239Z") == PositionSpec{Kind::kTimestamp, kNow + 123});
  CHECK(Parse("2023-11-15T00:13:20+02:00") == PositionSpec{Kind::kTimestamp, kNow});
  CHECK(Parse("2023-11-14 17:13:20-05:00") == PositionSpec{Kind::kTimestamp, kNow});
  CHECK(Parse("2024-02-29") == PositionSpec{Kind::kTimestamp, 1'709'164'800'000});
}

TEST_CASE("Position: times ago") {
  CHECK(Parse("2h-ago") == PositionSpec{Kind::kTimestamp, kNow - 2 * 3600 * 1000});
  CHECK(Parse("90s-ago") == PositionSpec{Kind::kTimestamp, kNow - 90 * 1000});
  CHECK(Parse("1w-ago") == PositionSpec{Kind::kTimestamp, kNow - 7LL * 86'400'000});
  CHECK(Parse("0ms-ago") == PositionSpec{Kind::kTimestamp, kNow});
}

TEST_CASE("Position: what is none is refused with the reason") {
  const auto [text, reason] = GENERATE(table<const char*, const char*>({
      {"", "is no position"},
      {"now", "is no position"},
      {"12x", "is no position"},
      {"9223372036854775808", "is no position"},
      {"2023-11-14T22:13:20", "needs a time zone"},
      {"2023-11-14T25:00:00Z", "time of day"},
      {"2023-02-30T00:00:00Z", "is not a time"},
      {"2023-11-14T22:13:20Zx", "goes on"},
      {"2023-11-14T22:13:20.Z", "time of day"},
      {"2y-ago", "length of time"},
      {"h-ago", "length of time"},
      {"-ago", "length of time"},
      {"99999999999w-ago", "too long"},
      {"4000w-ago", "before 1970"},
  }));
  CAPTURE(text);
  const auto spec = ParsePosition(text, kNow);
  REQUIRE_FALSE(spec.ok());
  CHECK_THAT(std::string(spec.status().message()), Catch::Contains(reason));
}

TEST_CASE("Position: a formatted time parses to itself") {
  CHECK(FormatTime(kNow + 7) == "2023-11-14T22:13:20.007Z");
  for (const std::int64_t time :
       {std::int64_t{0}, kNow, kNow + 999, std::int64_t{253'402'300'799'999}, std::int64_t{-1}}) {
    CHECK(*ParseTime(FormatTime(time)) == time);
  }
}

}  // namespace
}  // namespace headrace::cli
