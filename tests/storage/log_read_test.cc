// Reading: cursors, offsets, timestamps, and readers beside a writer that deletes under them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "storage/log.h"
#include "tests/support/batches.h"
#include "tests/support/log_builder.h"

namespace headrace::storage {
namespace {

using headrace::testing::TestLog;

constexpr std::size_t kDecompressedMax = 1 << 20;

std::uint64_t BatchSize() {
  return TestLog().MakeWord("a", 0).size();
}

// Many small batches in several segments, of which some are sealed and some of whose indexes are on disk.
void Fill(TestLog& log, int batches) {
  for (int i = 0; i < batches; ++i) {
    REQUIRE(
        log.Append(std::string(static_cast<std::size_t>(1 + i % 3), static_cast<char>('a' + i % 26))).ok());
  }
  REQUIRE(log.Acknowledge().ok());
}

TEST_CASE("Log read: a slice holds whole batches, at most what was asked for, and at least one") {
  TestLog log;
  REQUIRE(log.Draw("a b c d e |").ok());
  ReadCursor cursor;
  CHECK(log.log().Read(cursor, 1)->length == BatchSize());
  CHECK(cursor.offset == 1);
  CHECK(log.log().Read(cursor, 2 * BatchSize() + BatchSize() / 2)->length == 2 * BatchSize());
  CHECK(cursor.offset == 3);
  CHECK(log.log().Read(cursor, 1 << 20)->length == 2 * BatchSize());
  const absl::StatusOr<FileSlice> behind = log.log().Read(cursor, 1 << 20);
  CHECK(behind->length == 0);
  CHECK(behind->file == nullptr);
  CHECK(cursor.offset == 5);
}

TEST_CASE("Log read: a slice stays within one segment, and the cursor goes on in the next") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c d e |").ok());
  ReadCursor cursor;
  CHECK(log.log().Read(cursor, 1 << 20)->length == 2 * BatchSize());
  CHECK(log.log().Read(cursor, 1 << 20)->length == 2 * BatchSize());
  CHECK(log.log().Read(cursor, 1 << 20)->length == BatchSize());
  CHECK(log.log().Read(cursor, 1 << 20)->length == 0);
}

TEST_CASE("Log read: a cursor at the end goes on when more is published, also in a new segment") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b |").ok());
  ReadCursor cursor;
  REQUIRE(log.log().Read(cursor, 1 << 20)->length == 2 * BatchSize());
  REQUIRE(log.log().Read(cursor, 1 << 20)->length == 0);
  REQUIRE(log.Draw("c").ok());
  CHECK(log.log().Read(cursor, 1 << 20)->length == 0);
  REQUIRE(log.Acknowledge().ok());
  CHECK(log.log().Read(cursor, 1 << 20)->length == BatchSize());
  CHECK(cursor.offset == 3);
}

TEST_CASE("Log read: an offset inside a batch gives the slice from the batch's beginning") {
  TestLog log;
  REQUIRE(log.Draw("a bcd e |").ok());
  ReadCursor cursor;
  cursor.offset = 2;
  const absl::StatusOr<FileSlice> slice = log.log().Read(cursor, 1);
  REQUIRE(slice.ok());
  CHECK(slice->position == BatchSize());
  CHECK(cursor.offset == 4);
}

TEST_CASE("Log read: outside of what is readable the error names what is") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c d | e").ok());
  REQUIRE(log.Trim(2).ok());
  const Offset offset = GENERATE(Offset{-1}, Offset{1}, Offset{5});
  ReadCursor cursor;
  cursor.offset = offset;
  const absl::Status error = log.log().Read(cursor, 100).status();
  CHECK(CodeOf(error) == ErrorCode::kOffsetOutOfRange);
  CHECK(MessageOf(error).find("2 to 4") != std::string_view::npos);
}

TEST_CASE("Log read: a cursor that the start has passed is out of range") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c d e f |").ok());
  ReadCursor cursor;
  REQUIRE(log.log().Read(cursor, 1).ok());
  SECTION("its segment is gone") {
    REQUIRE(log.Trim(4).ok());
  }
  SECTION("its segment is there, but begins later now") {
    cursor = ReadCursor{};
    cursor.offset = 2;
    REQUIRE(log.log().Read(cursor, 1).ok());
    cursor.offset = 2;
    cursor.position = 0;
    REQUIRE(log.Trim(3).ok());
  }
  CHECK(CodeOf(log.log().Read(cursor, 1).status()) == ErrorCode::kOffsetOutOfRange);
}

TEST_CASE("Log read: a slice keeps its bytes when its segment is deleted") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c d |").ok());
  ReadCursor cursor;
  const absl::StatusOr<FileSlice> slice = log.log().Read(cursor, 1 << 20);
  REQUIRE(log.Trim(4).ok());
  CHECK_FALSE(log.memory.Exists(log.SegmentFile(0)));
  std::vector<std::byte> bytes(slice->length);
  CHECK(*slice->file->ReadAt(slice->position, bytes) == bytes.size());
  CHECK(headrace::testing::ValuesOf(bytes) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("Log read: a cursor, and a lookup for every batch, see the same") {
  TestLog log(20 * BatchSize());
  Fill(log, 200);
  const std::string whole = log.Readable(std::nullopt, 1 << 20);
  const auto check = [&] {
    CHECK(log.Readable() == whole);
    CHECK(log.Readable(std::nullopt, 5 * BatchSize()) == whole);
    CHECK(log.ReadableByOffset() == whole);
  };
  check();
  REQUIRE(log.Restart().ok());
  check();
  log.CrashProcess();
  REQUIRE(log.Recover().ok());
  check();
}

TEST_CASE("Log read: a record found by its time is the first that is not older") {
  TestLog log(20 * BatchSize());
  std::mt19937_64 random(4711);
  std::vector<TimestampMs> times;  // by offset
  for (int i = 0; i < 150; ++i) {
    // Mostly forward, now and then back: producers' clocks are what they are.
    log.timestamp = static_cast<TimestampMs>(1'000 + 10 * i) - static_cast<TimestampMs>(random() % 60);
    const TimestampMs first = log.timestamp;
    const std::size_t count = 1 + random() % 3;
    REQUIRE(log.Append(std::string(count, 'x')).ok());
    for (std::size_t k = 0; k < count; ++k) times.push_back(first + static_cast<TimestampMs>(k));
  }
  REQUIRE(log.Acknowledge().ok());
  const Offset start = GENERATE(0, 101);
  REQUIRE(log.Trim(start).ok());
  const int state = GENERATE(0, 1, 2);
  if (state == 1) REQUIRE(log.Restart().ok());
  if (state == 2) {
    log.CrashProcess();
    REQUIRE(log.Recover().ok());
  }
  for (TimestampMs wanted = 900; wanted < 2'700; wanted += 7) {
    std::optional<Offset> expected;
    for (Offset offset = start; offset < std::ssize(times) && !expected.has_value(); ++offset) {
      if (times[static_cast<std::size_t>(offset)] >= wanted) expected = offset;
    }
    const absl::StatusOr<std::optional<TimestampHit>> hit = log.log().FindTimestamp(wanted, kDecompressedMax);
    REQUIRE(hit.ok());
    CAPTURE(wanted, start, state);
    REQUIRE(hit->has_value() == expected.has_value());
    if (expected.has_value()) {
      CHECK((*hit)->offset == *expected);
      CHECK((*hit)->timestamp == times[static_cast<std::size_t>(*expected)]);
    }
  }
  const auto largest = std::max_element(times.begin() + start, times.end());
  const absl::StatusOr<std::optional<TimestampHit>> newest = log.log().FindMaxTimestamp(kDecompressedMax);
  REQUIRE((newest.ok() && newest->has_value()));
  CHECK((*newest)->timestamp == *largest);
  CHECK((*newest)->offset == largest - times.begin());
}

TEST_CASE("Log read: the largest timestamp is that of a record that is readable") {
  TestLog log;
  log.timestamp_step = -10;
  REQUIRE(log.Draw("ab c d |").ok());
  log.timestamp = 5'000;
  REQUIRE(log.Append("e").ok());
  const auto offset = [&] {
    const auto hit = log.log().FindMaxTimestamp(kDecompressedMax);
    REQUIRE(hit.ok());
    return hit->has_value() ? (*hit)->offset : -1;
  };
  CHECK(offset() == 1);  // "e" is above the high watermark
  REQUIRE(log.Trim(2).ok());
  CHECK(offset() == 2);
  REQUIRE(log.Acknowledge().ok());
  CHECK(offset() == 4);
  REQUIRE(log.Trim(5).ok());
  CHECK(offset() == -1);
}

TEST_CASE("Log read: a record not yet readable is not found by its time") {
  TestLog log;
  REQUIRE(log.Draw("a | b").ok());
  CHECK((*log.log().FindTimestamp(1'000, kDecompressedMax))->offset == 0);
  CHECK_FALSE(log.log().FindTimestamp(1'005, kDecompressedMax)->has_value());
}

// Reads from wherever the log begins, over and over, until told to stop; counts what should never be.
class Reader {
 public:
  Reader(const Log& log, std::uint64_t seed) : log_(log), random_(seed) {}

  void Run(const std::atomic<bool>& stop) {
    ReadCursor cursor;
    while (!stop.load()) {
      const Offset before = cursor.offset;
      const LogOffsets now = log_.offsets();
      if (now.start > now.high_watermark || now.high_watermark > now.end) ++wrong_;
      const absl::StatusOr<FileSlice> slice = log_.Read(cursor, 1 + random_() % 2'000);
      if (CodeOf(slice.status()) == ErrorCode::kOffsetOutOfRange) {
        if (before >= log_.offsets().start) ++wrong_;
        cursor = ReadCursor{};
        cursor.offset = log_.offsets().start;
      } else if (!slice.ok()) {
        ++wrong_;
      } else if (slice->length > 0) {
        Check(*slice, before, cursor.offset);
      }
      if (random_() % 50 == 0 && !Looked()) ++wrong_;
    }
  }

  std::uint64_t wrong() const { return wrong_; }
  std::uint64_t batches() const { return batches_.load(); }

 private:
  void Check(const FileSlice& slice, Offset from, Offset to) {
    std::vector<std::byte> bytes(slice.length);
    const absl::StatusOr<std::size_t> read = slice.file->ReadAt(slice.position, bytes);
    if (!read.ok() || *read != bytes.size()) ++wrong_;
    Offset next = -1;
    for (ByteSpan rest = bytes; !rest.empty(); ++batches_) {
      const absl::StatusOr<RecordBatchView> batch = RecordBatchView::Parse(rest);
      if (!batch.ok() || !batch->CheckCrc().ok()) return void(++wrong_);
      if (next == -1 ? batch->base_offset() > from : batch->base_offset() != next) ++wrong_;
      next = batch->last_offset() + 1;
      rest = rest.subspan(batch->size());
    }
    if (next != to) ++wrong_;
  }

  bool Looked() {
    const auto hit =
        log_.FindTimestamp(static_cast<TimestampMs>(1'000 + random_() % 5'000), kDecompressedMax);
    return hit.ok();
  }

  const Log& log_;
  std::mt19937_64 random_;
  std::uint64_t wrong_ = 0;
  std::atomic<std::uint64_t> batches_{0};
};

TEST_CASE("Log read: readers beside append, roll, trim and retention see whole batches in order") {
  TestLog log(10 * BatchSize());
  LogOptions options = log.options();
  options.retention_bytes = static_cast<std::int64_t>(40 * BatchSize());
  log.SetOptions(options);
  REQUIRE(log.Draw("a |").ok());
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<Reader>> readers;
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    readers.push_back(std::make_unique<Reader>(log.log(), seed));
    threads.emplace_back([reader = readers.back().get(), &stop] { reader->Run(stop); });
  }
  bool written = true;
  const auto all_have_read = [&] {
    return std::all_of(readers.begin(), readers.end(),
                       [](const auto& reader) { return reader->batches() > 1'000; });
  };
  for (int i = 0; written && (i < 3'000 || !all_have_read()); ++i) {
    written = log.Append(std::string(static_cast<std::size_t>(1 + i % 3), 'x')).ok();
    if (i % 3 == 0) written = written && log.Acknowledge().ok();
    if (i % 50 == 0) written = written && log.ApplyRetention().ok();
    if (i % 70 == 0) {
      written = written && log.Trim(std::max<Offset>(0, log.offsets().high_watermark - 60)).ok();
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(written);
  for (const auto& reader : readers) {
    CHECK(reader->wrong() == 0);
    CHECK(reader->batches() > 0);
  }
  CHECK(log.Orphans().empty());
}

}  // namespace
}  // namespace headrace::storage
