// The log as its owner sees it: what is written, what is acknowledged, what is deleted.
#include "storage/log.h"

#include <catch2/catch.hpp>

#include "protocol/core/error_code.h"
#include "storage/log_state.h"
#include "tests/support/log_builder.h"

namespace headrace::storage {
namespace {

using headrace::testing::Fault;
using headrace::testing::FileOperation;
using headrace::testing::TestLog;

// Bytes of a batch of one record, so that segment sizes can be stated in batches.
std::uint64_t BatchSize() {
  return TestLog().MakeWord("a", 0).size();
}

TEST_CASE("Log: a new log is empty and makes no directory") {
  TestLog log;
  CHECK(log.offsets().start == 0);
  CHECK(log.offsets().end == 0);
  CHECK(log.Readable().empty());
  CHECK(log.log().segment_count() == 0);
  CHECK(log.memory.Files().empty());
}

TEST_CASE("Log: readers see what is acknowledged, and not what is only written") {
  TestLog log;
  REQUIRE(log.Draw("ab c | d ef").ok());
  CHECK(log.Readable() == "ab c");
  CHECK(log.offsets().high_watermark == 3);
  CHECK(log.offsets().end == 6);
  REQUIRE(log.Draw("|").ok());
  CHECK(log.Readable() == "ab c d ef");
}

TEST_CASE("Log: a written log publishes without a sync") {
  TestLog log;
  REQUIRE(log.Draw("ab c").ok());
  const SyncPoint point = log.log().WrittenPoint();
  CHECK(point.files.empty());
  log.log().Publish(point);
  CHECK(log.Readable() == "ab c");
}

TEST_CASE("Log: what was written after a point was taken is not published with it") {
  TestLog log;
  REQUIRE(log.Draw("a").ok());
  const SyncPoint point = log.log().UnsyncedPoint();
  REQUIRE(log.Draw("b").ok());
  log.log().MarkSynced(point);
  log.log().Publish(point);
  CHECK(log.Readable() == "a");
  CHECK(log.log().UnsyncedPoint().files.size() == 1);
}

TEST_CASE("Log: a segment is rolled before it would grow past its size") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c d e |").ok());
  CHECK(log.log().segment_count() == 3);
  CHECK(log.Readable() == "a b c d e");
}

TEST_CASE("Log: batches appended together may fall into several segments") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.AppendTogether({"a", "b", "c", "d", "e"}).ok());
  REQUIRE(log.Acknowledge().ok());
  CHECK(log.log().segment_count() == 3);
  CHECK(log.Readable() == "a b c d e");
}

TEST_CASE("Log: a batch larger than a segment has one of its own") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a bcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz c |").ok());
  CHECK(log.log().segment_count() == 3);
  CHECK(log.offsets().end == 53);
}

TEST_CASE("Log: a segment is rolled when its first append is too old") {
  TestLog log;
  LogOptions options = log.options();
  options.segment_age_max_ms = 1'000;
  log.SetOptions(options);
  REQUIRE(log.Draw("a b").ok());
  log.clock.Advance(std::chrono::milliseconds(1'001));
  REQUIRE(log.Draw("c |").ok());
  CHECK(log.log().segment_count() == 2);
  CHECK(log.Readable() == "a b c");
}

TEST_CASE("Log: a rolled segment stays in the sync point until it is synced") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c").ok());
  const SyncPoint point = log.log().UnsyncedPoint();
  // Both segments, and a new log's first checkpoint.
  CHECK(point.files.size() == 3);
  // The log's directory, its topic's and the one of all topics: each has a new name.
  CHECK(point.directories.size() == 3);
  log.log().MarkSynced(point);
  CHECK(log.log().UnsyncedPoint().files.empty());
  CHECK(log.log().UnsyncedPoint().directories.empty());
}

TEST_CASE("Log: trim raises the start and deletes the segments below it") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c d e |").ok());
  REQUIRE(log.Trim(3).ok());
  CHECK(log.offsets().start == 3);
  CHECK(log.Readable() == "d e");
  CHECK(log.log().segment_count() == 2);
  CHECK(log.Orphans().empty());
  SECTION("and back it never goes") {
    REQUIRE(log.Trim(1).ok());
    CHECK(log.offsets().start == 3);
  }
  SECTION("not past the high watermark") {
    CHECK(CodeOf(log.Trim(6)) == ErrorCode::kOffsetOutOfRange);
  }
  SECTION("also over a crash") {
    log.CrashProcess();
    REQUIRE(log.Recover().ok());
    CHECK(log.offsets().start == 3);
    CHECK(log.Readable() == "d e");
  }
  SECTION("up to the end") {
    REQUIRE(log.Trim(5).ok());
    CHECK(log.Readable().empty());
    REQUIRE(log.Draw("f |").ok());
    CHECK(log.Readable() == "f");
    CHECK(log.offsets().end == 6);
  }
}

TEST_CASE("Log: retention by size keeps at least what was asked for") {
  TestLog log(2 * BatchSize());
  LogOptions options = log.options();
  options.retention_bytes = static_cast<std::int64_t>(3 * BatchSize());
  log.SetOptions(options);
  REQUIRE(log.Draw("a b c d e f g |").ok());
  CHECK(*log.ApplyRetention() == 2);
  CHECK(log.Readable() == "e f g");
  CHECK(log.offsets().start == 4);
  CHECK(*log.ApplyRetention() == 0);
}

TEST_CASE("Log: a wall clock set years ahead, running or stopped, deletes nothing for ten minutes") {
  TestLog log;
  const auto years = std::chrono::hours(24 * 3650);
  REQUIRE(log.Draw("a b c |").ok());
  if (GENERATE(false, true)) {
    log.clock.JumpWall(years);
    REQUIRE(log.Restart().ok());
  } else {
    CHECK(*log.ApplyRetention() == 0);
    log.clock.JumpWall(years);
  }
  CHECK(*log.ApplyRetention() == 0);
  log.clock.Advance(std::chrono::minutes(9));
  CHECK(*log.ApplyRetention() == 0);
  log.clock.JumpWall(-years);
  log.clock.Advance(std::chrono::minutes(9));
  CHECK(*log.ApplyRetention() == 0);
  CHECK(log.Readable() == "a b c");
}

TEST_CASE("Log: retention by time deletes the last segment's messages too, and keeps the offsets") {
  TestLog log;
  LogOptions options = log.options();
  options.retention_ms = 60'000;
  log.SetOptions(options);
  REQUIRE(log.Draw("a b c |").ok());
  log.clock.Advance(std::chrono::milliseconds(50'000));
  CHECK(*log.ApplyRetention() == 0);
  log.clock.Advance(std::chrono::milliseconds(10'001));
  CHECK(*log.ApplyRetention() == 1);
  CHECK(log.offsets().start == 3);
  CHECK(log.offsets().end == 3);
  log.CrashPower(7);
  REQUIRE(log.Recover().ok());
  CHECK(log.offsets().start == 3);
  CHECK(log.offsets().end == 3);
  REQUIRE(log.Draw("d |").ok());
  CHECK(log.Readable() == "d");
}

TEST_CASE("Log: an orderly restart touches no file until somebody reads") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c d e |").ok());
  REQUIRE(log.Close().ok());
  std::size_t opened = 0;
  log.files.SetDecide([&](const headrace::testing::FileOperation&) {
    ++opened;
    return headrace::testing::Fault{};
  });
  REQUIRE(log.Restart().ok());
  const std::size_t by_close = opened;
  CHECK(log.offsets().end == 5);
  CHECK(log.log().segment_count() == 3);
  CHECK(opened == by_close);
  CHECK(log.Readable() == "a b c d e");
  CHECK(log.ReadableByOffset() == "a b c d e");
  REQUIRE(log.Draw("f g |").ok());
  CHECK(log.Readable() == "a b c d e f g");
  CHECK(log.ReadableByOffset() == "a b c d e f g");
}

TEST_CASE("Log: what an orderly stop left and what is there must agree") {
  TestLog log;
  REQUIRE(log.Draw("a b c |").ok());
  REQUIRE(log.Restart().ok());
  std::vector<std::byte> bytes = log.Bytes(log.SegmentFile(0));
  SECTION("a shorter file fences the log at the first read") {
    bytes.pop_back();
    log.memory.Write(log.SegmentFile(0), bytes);
    ReadCursor cursor;
    CHECK(CodeOf(log.log().Read(cursor, 100).status()) == ErrorCode::kStorageError);
  }
  SECTION("a missing one at the first append") {
    REQUIRE(log.memory.Remove(log.SegmentFile(0)).ok());
    CHECK(CodeOf(log.Append("d")) == ErrorCode::kStorageError);
  }
  CHECK(CodeOf(log.Append("d")) == ErrorCode::kStorageError);
  CHECK(CodeOf(log.log().fenced()) == ErrorCode::kStorageError);
}

TEST_CASE("Log: a full disk refuses the append, keeps nothing of it, and passes") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a |").ok());
  log.files.Heal();
  const auto failing = GENERATE(as<std::uint64_t>{}, 1, 2, 3, 4, 5);
  log.files.FailAt(failing, absl::ResourceExhaustedError("no space left on device"), 17);
  const absl::Status refused = log.AppendTogether({"b", "c", "d", "e"});
  CAPTURE(failing, refused.ToString());
  CHECK(CodeOf(refused) == ErrorCode::kDiskFull);
  CHECK(log.offsets().end == 1);
  REQUIRE(log.log().fenced().ok());
  REQUIRE(log.AppendTogether({"b", "c", "d", "e"}).ok());
  REQUIRE(log.Acknowledge().ok());
  CHECK(log.Readable() == "a b c d e");
  CHECK(log.Orphans().empty());
}

TEST_CASE("Log: any other failed write fences the log for good, with the first error") {
  TestLog log;
  REQUIRE(log.Draw("a |").ok());
  log.files.FailAt(log.files.operations() + 1, absl::InternalError("input/output error"), 5);
  CHECK(CodeOf(log.Append("b")) == ErrorCode::kStorageError);
  log.files.Heal();
  const absl::Status second = log.Append("b");
  CHECK(CodeOf(second) == ErrorCode::kStorageError);
  CHECK(MessageOf(second).find("input/output error") != std::string_view::npos);
  CHECK(CodeOf(log.Trim(1)) == ErrorCode::kStorageError);
  CHECK(CodeOf(log.ApplyRetention().status()) == ErrorCode::kStorageError);
  CHECK(CodeOf(log.log().Close().status()) == ErrorCode::kStorageError);
  CHECK(log.Readable() == "a");
}

TEST_CASE("Log: if what a full disk left cannot be cut back, the log is fenced") {
  TestLog log;
  REQUIRE(log.Draw("a |").ok());
  log.files.SetDecide([](const headrace::testing::FileOperation& operation) {
    using Kind = headrace::testing::FileOperation::Kind;
    if (operation.kind == Kind::kWrite)
      return headrace::testing::Fault{absl::ResourceExhaustedError("full"), 5};
    if (operation.kind == Kind::kTruncate)
      return headrace::testing::Fault{absl::InternalError("cannot cut"), 0};
    return headrace::testing::Fault{};
  });
  CHECK(CodeOf(log.Append("b")) == ErrorCode::kStorageError);
  CHECK(CodeOf(log.log().fenced()) == ErrorCode::kStorageError);
}

TEST_CASE("Log: an idle one takes less than 1 KB") {
  // With one segment, its control block, and the directory's path.
  CHECK(sizeof(Log) + sizeof(Log::State) + sizeof(Segment) + 2 * sizeof(void*) + 200 < 1'000);
}

TEST_CASE("Log: producers are remembered over an orderly stop and over a crash") {
  TestLog log(2 * BatchSize());
  log.producer_id = 77;
  REQUIRE(log.Draw("a b | c d e").ok());
  if (GENERATE(true, false)) {
    REQUIRE(log.Restart().ok());
  } else {
    log.CrashProcess();
    REQUIRE(log.Recover().ok());
  }
  CHECK(log.log().producers().size() == 1);
  const std::vector<std::byte> fresh = log.MakeWord("f", 5);
  CHECK(log.log().producers().Check(*RecordBatchView::Parse(fresh), 1)->kind == SequenceCheck::Kind::kNew);
  log.next_sequence = 7;
  const std::vector<std::byte> gap = log.MakeWord("h", 5);
  CHECK(CodeOf(log.log().producers().Check(*RecordBatchView::Parse(gap), 1).status()) ==
        ErrorCode::kOutOfOrderSequence);
}

TEST_CASE("Log: a full disk keeps no log from an orderly stop, nor the next start from what was in it") {
  TestLog log;
  log.producer_id = 77;
  REQUIRE(log.Draw("a b |").ok());
  REQUIRE(log.Restart().ok());
  ++log.epoch;
  REQUIRE(log.Draw("c d |").ok());
  log.files.FillAfter(0);
  REQUIRE(log.Close().ok());
  REQUIRE(log.OpenClean().ok());
  CHECK(log.Readable() == "a b c d");
  CHECK(log.log().producers().size() == 1);
  log.next_sequence = 7;
  const std::vector<std::byte> gap = log.MakeWord("h", 4);
  CHECK_FALSE(log.log().producers().Check(*RecordBatchView::Parse(gap), 1).ok());
  CHECK(log.log().Epochs()->entries().size() == 2);
}

TEST_CASE("Log: retention goes on when an expired last segment cannot be rolled for want of space") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c d e |").ok());
  LogOptions options = log.options();
  options.retention_ms = 1'000;
  log.SetOptions(options);
  REQUIRE(*log.ApplyRetention() == 0);  // the clock of retention begins
  log.clock.Advance(std::chrono::seconds(2));
  log.files.SetDecide([](const FileOperation& operation) {
    const bool hit = operation.kind == FileOperation::Kind::kCreate && operation.path.ends_with(".log");
    return hit ? Fault{absl::ResourceExhaustedError("no inodes")} : Fault{};
  });
  CHECK(*log.ApplyRetention() == 2);
  log.files.Heal();
  CHECK(*log.ApplyRetention() == 1);
}

TEST_CASE(
    "Log: after a crash a producer's batch is told by its CRC, unless the log has other bytes than sent") {
  const bool compressed_anew = GENERATE(false, true);
  TestLog log(2 * BatchSize());
  LogOptions options = log.options();
  options.compressed_anew = compressed_anew;
  log.SetOptions(options);
  log.producer_id = 77;
  REQUIRE(log.Draw("a").ok());
  log.CrashProcess();
  REQUIRE(log.Recover().ok());
  log.next_sequence = 0;
  const std::vector<std::byte> other = log.MakeWord("x", 0);
  const auto view = RecordBatchView::Parse(other);
  const absl::StatusOr<SequenceCheck> check = log.log().producers().Check(*view, view->crc());
  if (compressed_anew) {
    REQUIRE(check.ok());
    CHECK(check->kind == SequenceCheck::Kind::kDuplicate);
  } else {
    CHECK(CodeOf(check.status()) == ErrorCode::kDuplicateSequence);
  }
}

}  // namespace
}  // namespace headrace::storage
