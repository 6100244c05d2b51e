// Which segments a log may let go, and by what time.
#include "storage/retention.h"

#include <catch2/catch.hpp>

namespace headrace::storage {
namespace {

constexpr TimestampMs kHour = TimestampMs{3600} * 1000;
constexpr TimestampMs kDay = 24 * kHour;
constexpr TimestampMs kBegin = 1'700'000'000'000;

// Segments by size and hours since their last append; the last one is active.
struct Shape {
  std::uint64_t size;
  TimestampMs age_hours;
};
std::vector<SegmentSummary> Log(const std::vector<Shape>& shapes) {
  std::vector<SegmentSummary> segments;
  for (const Shape& shape : shapes) {
    SegmentSummary segment;
    segment.base_offset = static_cast<Offset>(segments.size()) * 10;
    segment.size = shape.size;
    segment.first_append = segment.last_append = kBegin - shape.age_hours * kHour;
    segments.push_back(segment);
  }
  return segments;
}

LogOptions Keep(TimestampMs hours, std::int64_t bytes) {
  LogOptions options;
  options.retention_ms = hours < 0 ? -1 : hours * kHour;
  options.retention_bytes = bytes;
  return options;
}

TEST_CASE("Retention: without limits nothing goes") {
  CHECK(SegmentsToDelete(Log({{100, 9'000}, {100, 8'000}, {100, 0}}), Keep(-1, -1), kBegin) == 0);
  CHECK(SegmentsToDelete({}, Keep(1, 1), kBegin) == 0);
}

TEST_CASE("Retention: by time the segments go whose last append is longer ago") {
  const auto log = Log({{100, 30}, {100, 20}, {100, 10}, {100, 0}});
  CHECK(SegmentsToDelete(log, Keep(31, -1), kBegin) == 0);
  CHECK(SegmentsToDelete(log, Keep(30, -1), kBegin) == 0);  // to the millisecond
  CHECK(SegmentsToDelete(log, Keep(30, -1), kBegin + 1) == 1);
  CHECK(SegmentsToDelete(log, Keep(15, -1), kBegin) == 2);
  CHECK(SegmentsToDelete(log, Keep(5, -1), kBegin) == 3);
}

TEST_CASE("Retention: the active segment always stays") {
  CHECK(SegmentsToDelete(Log({{100, 900}}), Keep(1, 1), kBegin) == 0);
  CHECK(SegmentsToDelete(Log({{100, 900}, {100, 800}}), Keep(0, 0), kBegin) == 1);
}

TEST_CASE("Retention: only the oldest go, though a later one be older by its clock") {
  CHECK(SegmentsToDelete(Log({{100, 1}, {100, 50}, {100, 0}}), Keep(10, -1), kBegin) == 0);
}

TEST_CASE("Retention: by size, what stays is at least what was asked for") {
  const auto log = Log({{100, 0}, {200, 0}, {300, 0}, {50, 0}});  // 650 bytes
  CHECK(SegmentsToDelete(log, Keep(-1, 650), kBegin) == 0);
  CHECK(SegmentsToDelete(log, Keep(-1, 551), kBegin) == 0);
  CHECK(SegmentsToDelete(log, Keep(-1, 550), kBegin) == 1);
  CHECK(SegmentsToDelete(log, Keep(-1, 351), kBegin) == 1);
  CHECK(SegmentsToDelete(log, Keep(-1, 350), kBegin) == 2);
  CHECK(SegmentsToDelete(log, Keep(-1, 0), kBegin) == 3);
}

TEST_CASE("Retention: either limit is enough") {
  const auto log = Log({{100, 30}, {100, 20}, {100, 10}, {100, 0}});
  CHECK(SegmentsToDelete(log, Keep(25, 200), kBegin) == 2);
  CHECK(SegmentsToDelete(log, Keep(15, 300), kBegin) == 2);
}

TEST_CASE("Retention: a last append in the future is no reason to delete") {
  CHECK(SegmentsToDelete(Log({{100, -500}, {100, -600}}), Keep(1, -1), kBegin) == 0);
}

// A broker's two clocks.
struct Clocks {
  TimestampMs Pass(TimestampMs by) {
    wall += by;
    monotonic += by;
    return clock.Now(wall, monotonic, newest_append);
  }
  TimestampMs Jump(TimestampMs by) {
    wall += by;
    return clock.Now(wall, monotonic, newest_append);
  }

  TimestampMs wall = kBegin;
  std::int64_t monotonic = 5'000;
  TimestampMs newest_append = 0;
  RetentionClock clock;
};

TEST_CASE("Retention clock: it goes as the wall clock does") {
  Clocks clocks;
  CHECK(clocks.Pass(0) == kBegin);
  CHECK(clocks.Pass(1'000) == kBegin + 1'000);
  CHECK(clocks.Jump(kHour) == kBegin + 1'000 + kHour);
  CHECK(clocks.Pass(40 * kDay) == kBegin + 1'000 + kHour + 40 * kDay);  // asked seldom is no jump
}

TEST_CASE("Retention clock: a jump of more than a day is believed after ten minutes") {
  Clocks clocks;
  clocks.Pass(0);
  const TimestampMs jump = GENERATE(kDay + 1, 3650 * kDay);
  CHECK(clocks.Jump(jump) == kBegin);
  CHECK(clocks.Pass(RetentionClock::kHoldMs - 1) == kBegin + RetentionClock::kHoldMs - 1);
  CHECK(clocks.Pass(1) == kBegin + RetentionClock::kHoldMs + jump);
  CHECK(clocks.Pass(1) == kBegin + RetentionClock::kHoldMs + jump + 1);
}

TEST_CASE("Retention clock: a jump that is taken back in time never was") {
  Clocks clocks;
  clocks.Pass(0);
  CHECK(clocks.Jump(10 * kDay) == kBegin);
  CHECK(clocks.Pass(60'000) == kBegin + 60'000);
  CHECK(clocks.Jump(-10 * kDay) == kBegin + 60'000);
  CHECK(clocks.Pass(RetentionClock::kHoldMs) == kBegin + 60'000 + RetentionClock::kHoldMs);
  // And the next one is held as long as the first.
  const TimestampMs before = clocks.Pass(0);
  CHECK(clocks.Jump(10 * kDay) == before);
  CHECK(clocks.Pass(RetentionClock::kHoldMs - 1) == before + RetentionClock::kHoldMs - 1);
}

TEST_CASE(
    "Retention clock: after a start, a clock over a day ahead of the log is believed after ten minutes") {
  Clocks clocks;
  clocks.newest_append = kBegin - 10 * kDay;
  CHECK(clocks.Pass(0) == kBegin - 10 * kDay);
  CHECK(clocks.Pass(RetentionClock::kHoldMs - 1) == kBegin - 10 * kDay + RetentionClock::kHoldMs - 1);
  CHECK(clocks.Pass(1) == kBegin + RetentionClock::kHoldMs);
}

TEST_CASE(
    "Retention clock: after a start, a clock less than a day ahead of the log, or behind, is believed") {
  Clocks clocks;
  clocks.newest_append = kBegin + GENERATE(-kDay, -kHour, TimestampMs{0}, kHour);
  CHECK(clocks.Pass(0) == kBegin);
}

TEST_CASE("Retention clock: while the broker runs, an idle log is no jump") {
  Clocks clocks;
  clocks.newest_append = kBegin;
  clocks.Pass(0);
  CHECK(clocks.Pass(2 * kDay) == kBegin + 2 * kDay);
}

TEST_CASE("Retention clock: it never goes back") {
  Clocks clocks;
  clocks.Pass(0);
  CHECK(clocks.Jump(-kHour) == kBegin);
  CHECK(clocks.Pass(60'000) >= kBegin);
  CHECK(clocks.Jump(-3650 * kDay) >= kBegin);
  TimestampMs last = clocks.Pass(0);
  for (int i = 0; i < 100; ++i) {
    const TimestampMs now = clocks.Jump(i % 2 == 0 ? 1'000 : -1'000);
    CHECK(now >= last);
    last = now;
  }
}

}  // namespace
}  // namespace headrace::storage
