// What is found after a crash, and what becomes of it.
#include <catch2/catch.hpp>

#include <algorithm>

#include "protocol/core/error_code.h"
#include "storage/log.h"
#include "tests/support/log_builder.h"

namespace headrace::storage {
namespace {

using headrace::testing::TestLog;

enum class Stop { kSameBoot, kOtherBoot, kNoCheckpoint };

std::uint64_t BatchSize() {
  return TestLog().MakeWord("a", 0).size();
}

void Crash(TestLog& log, Stop stop) {
  // The tests below damage files themselves: nothing that was written is lost by the crash.
  for (const std::string& path : log.memory.Files()) log.memory.Write(path, log.Bytes(path));
  stop == Stop::kOtherBoot ? log.CrashPower(1) : log.CrashProcess();
  if (stop == Stop::kNoCheckpoint) REQUIRE(log.memory.Remove(log.PathOf("checkpoint")).ok());
}

// Batches as a record's value may hold them: none, one with an offset far ahead, some of an earlier part of a
// log that goes on for longer than what follows, one that would fit.
std::string Inside(int kind) {
  TestLog other;
  std::string bytes;
  if (kind == 3) bytes = AsText(other.MakeWord("Z", 4));
  if (kind == 1) bytes = AsText(other.MakeWord("Z", 1'000));
  for (Offset offset = 3; kind == 2 && offset < 9; ++offset) bytes += AsText(other.MakeWord("Z", offset));
  return bytes;
}

std::vector<std::string> Quarantined(const TestLog& log) {
  std::vector<std::string> paths = log.memory.Files();
  std::erase_if(paths, [](const std::string& path) { return !path.starts_with(TestLog::kQuarantine); });
  return paths;
}

// Recovers, appends, crashes and recovers again: `picture` must be there each time, with "x" behind it.
void CheckRecovered(TestLog& log, const std::string& picture) {
  REQUIRE(log.Recover().ok());
  CHECK(log.Readable() == picture);
  CHECK(log.ReadableByOffset() == picture);
  const Offset end = log.offsets().end;
  REQUIRE(log.Draw("x |").ok());
  CHECK(log.offsets().end == end + 1);
  log.CrashPower(3);
  REQUIRE(log.Recover().ok());
  CHECK(log.Readable() == picture + " x");
  CHECK(log.ReadableByOffset() == picture + " x");
  CHECK(log.report().bytes_cut == 0);
  CHECK(log.Orphans().empty());
}

TEST_CASE("Log recovery: a tail torn at any byte is cut, kept in quarantine, and written over") {
  const Stop stop = GENERATE(Stop::kSameBoot, Stop::kOtherBoot, Stop::kNoCheckpoint);
  // What stands behind the tear: nothing, zeros, or old content of the disk.
  const int behind = GENERATE(0, 1, 2);
  const std::size_t whole = TestLog().MakeWord("ab", 0).size() + BatchSize();
  for (std::size_t kept = 0; kept < BatchSize(); ++kept) {
    CAPTURE(static_cast<int>(stop), behind, kept);
    // A batch without headers ends in a zero: with that from the padding it is whole.
    if (behind != 0 && kept + 1 == BatchSize()) continue;
    TestLog log;
    REQUIRE(log.Draw("ab c |").ok());
    REQUIRE(log.Draw("d").ok());
    Crash(log, stop);
    std::vector<std::byte> bytes = log.Bytes(log.SegmentFile(0));
    bytes.resize(whole + kept);
    if (behind == 1) bytes.resize(whole + BatchSize() + 100);
    if (behind == 2) bytes.insert(bytes.end(), bytes.begin() + 70, bytes.begin() + 170);
    const bool torn = bytes.size() > whole;
    const std::vector<std::byte> tail(bytes.begin() + static_cast<std::ptrdiff_t>(whole), bytes.end());
    log.memory.Write(log.SegmentFile(0), bytes);
    REQUIRE(log.Recover().ok());
    CHECK(log.Readable() == "ab c");
    CHECK(log.report().bytes_cut == tail.size());
    CHECK(log.findings().size() == (torn ? 1 : 0));
    REQUIRE(Quarantined(log).size() == (torn ? 1 : 0));
    if (torn) CHECK(log.Bytes(Quarantined(log).front()) == tail);
    CheckRecovered(log, "ab c");
  }
}

TEST_CASE("Log recovery: of a torn batch no batch that its record holds is served") {
  const Stop stop = GENERATE(Stop::kSameBoot, Stop::kOtherBoot, Stop::kNoCheckpoint);
  const int kind = GENERATE(1, 2, 3);
  TestLog sizes;
  const std::size_t whole = sizes.MakeWord("ab", 0).size() + BatchSize();
  sizes.inside = Inside(kind);
  const std::size_t torn = sizes.MakeWord("d", 0).size();
  for (std::size_t kept = 0; kept < torn; ++kept) {
    CAPTURE(static_cast<int>(stop), kind, kept);
    TestLog log;
    REQUIRE(log.Draw("ab c |").ok());
    log.inside = Inside(kind);
    REQUIRE(log.Draw("d").ok());
    log.inside.clear();
    Crash(log, stop);
    std::vector<std::byte> bytes = log.Bytes(log.SegmentFile(0));
    bytes.resize(whole + kept);
    log.memory.Write(log.SegmentFile(0), bytes);
    REQUIRE(log.Recover().ok());
    CHECK(log.report().bytes_cut == kept);
    CheckRecovered(log, "ab c");
  }
}

TEST_CASE("Log recovery: on the same boot a whole last batch with a wrong sum hides nothing in its record") {
  TestLog log;
  REQUIRE(log.Draw("ab c |").ok());
  log.inside = Inside(2);
  REQUIRE(log.Draw("d").ok());
  Crash(log, Stop::kSameBoot);
  std::vector<std::byte> bytes = log.Bytes(log.SegmentFile(0));
  bytes.back() ^= std::byte{1};
  log.memory.Write(log.SegmentFile(0), bytes);
  REQUIRE(log.Recover().ok());
  CHECK(log.report().bytes_cut == 0);
  CHECK(log.Readable() == "ab c !");
  CHECK(log.offsets().end == 4);
}

TEST_CASE("Log recovery: on the same boot a whole batch with a wrong sum is corruption, not a tail") {
  TestLog log;
  REQUIRE(log.Draw("ab c | de").ok());
  Crash(log, Stop::kSameBoot);
  std::vector<std::byte> bytes = log.Bytes(log.SegmentFile(0));
  bytes.back() ^= std::byte{1};
  log.memory.Write(log.SegmentFile(0), bytes);
  REQUIRE(log.Recover().ok());
  CHECK(log.report().bytes_cut == 0);
  CHECK(log.report().damaged_ranges == 1);
  CHECK(log.Readable() == "ab c !");
  CHECK(log.offsets().end == 5);
  REQUIRE(log.Draw("f |").ok());
  CHECK(log.Readable() == "ab c ! f");
  log.CrashProcess();
  REQUIRE(log.Recover().ok());
  CHECK(log.Readable() == "ab c ! f");
}

TEST_CASE("Log recovery: after a power loss the log ends at the first bad batch behind the checkpoint") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a |").ok());
  REQUIRE(log.Draw("b c d e f").ok());
  Crash(log, Stop::kOtherBoot);
  std::vector<std::byte> bytes = log.Bytes(log.SegmentFile(2));
  bytes[BatchSize() + 65] ^= std::byte{1};  // in "d"
  log.memory.Write(log.SegmentFile(2), bytes);
  REQUIRE(log.Recover().ok());
  CHECK(log.Readable() == "a b c");
  CHECK(log.offsets().end == 3);
  CHECK(Quarantined(log).size() == 2);
  CheckRecovered(log, "a b c");
}

TEST_CASE("Log recovery: damage in the middle keeps its neighbours, in all segments") {
  TestLog log;
  log.inside = Inside(GENERATE(0, 1, 2, 3));
  const std::size_t batch_size = log.MakeWord("a", 0).size();
  LogOptions options = log.options();
  options.segment_size_max = 3 * batch_size;
  log.SetOptions(options);
  REQUIRE(log.Draw("a b c d e f g |").ok());
  Crash(log, Stop::kNoCheckpoint);
  for (const Offset segment : {0, 3}) {
    std::vector<std::byte> bytes = log.Bytes(log.SegmentFile(segment));
    bytes[batch_size + 65] ^= std::byte{1};
    log.memory.Write(log.SegmentFile(segment), bytes);
  }
  REQUIRE(log.Recover().ok());
  CHECK(log.Readable() == "a ! c d ! f g");
  CHECK(log.report().damaged_ranges == 2);
  CHECK(log.report().bytes_cut == 0);
  SECTION("a reader in it is told where to go on") {
    ReadCursor cursor;
    cursor.offset = 1;
    const absl::Status error = log.log().Read(cursor, 1000).status();
    CHECK(CodeOf(error) == ErrorCode::kCorruptMessage);
    CHECK(MessageOf(error).find("offset 1") != std::string_view::npos);
    CHECK(MessageOf(error).find("00000000000000000000.log") != std::string_view::npos);
    CHECK(MessageOf(error).find("readable again from offset 2") != std::string_view::npos);
  }
  SECTION("no slice includes it") {
    CHECK(log.Readable(std::nullopt, 1 << 20) == "a ! c d ! f g");
  }
  SECTION("it is known after an orderly restart") {
    REQUIRE(log.Restart().ok());
    CHECK(log.Readable() == "a ! c d ! f g");
  }
  SECTION("and again after a crash") {
    CheckRecovered(log, "a ! c d ! f g");
  }
}

TEST_CASE("Log recovery: one flipped bit anywhere, without a checkpoint, costs no other valid batch") {
  const std::string inside = Inside(GENERATE(0, 1, 2, 3));
  TestLog healthy;
  healthy.inside = inside;
  const std::size_t batch_size = healthy.MakeWord("a", 0).size();
  const auto draw = [&](TestLog& log) {
    log.inside = inside;
    LogOptions options = log.options();
    options.segment_size_max = 3 * batch_size;
    log.SetOptions(options);
    REQUIRE(log.Draw("a b c d e f g |").ok());
  };
  draw(healthy);
  const std::string whole = "abcdefg";
  // Batches inside are whole, so of those bytes a few do.
  const std::size_t step = inside.empty() ? 1 : 3;
  for (const Offset segment : {0, 3, 6}) {
    const std::vector<std::byte> original = healthy.Bytes(healthy.SegmentFile(segment));
    for (std::size_t bit = 0; bit < original.size() * 8; bit += step) {
      TestLog log;
      draw(log);
      Crash(log, Stop::kNoCheckpoint);
      std::vector<std::byte> bytes = original;
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      log.memory.Write(log.SegmentFile(segment), bytes);
      REQUIRE(log.Recover().ok());
      const std::size_t hit = static_cast<std::size_t>(segment) + bit / 8 / batch_size;
      std::string readable = log.Readable();
      CAPTURE(segment, bit, readable);
      std::erase(readable, ' ');
      std::erase(readable, '!');
      std::string others = whole;
      others.erase(hit, 1);
      // The leader epoch is under no sum: such a batch stays valid.
      CHECK((readable == others || readable == whole));
      CHECK(log.ReadableByOffset() == log.Readable());
    }
  }
}

TEST_CASE("Log recovery: lost bytes anywhere, without a checkpoint, cost the batches they were of") {
  TestLog healthy;
  healthy.inside = Inside(GENERATE(0, 1, 2, 3));
  REQUIRE(healthy.Draw("a b c d e f g |").ok());
  const std::vector<std::byte> original = healthy.Bytes(healthy.SegmentFile(0));
  const std::size_t batch_size = original.size() / 7;
  for (std::size_t from = 0; from + 100 < 6 * batch_size; ++from) {
    TestLog log;
    log.inside = healthy.inside;
    REQUIRE(log.Draw("a b c d e f g |").ok());
    Crash(log, Stop::kNoCheckpoint);
    std::vector<std::byte> bytes = original;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(from), 100, std::byte{0xff});
    log.memory.Write(log.SegmentFile(0), bytes);
    REQUIRE(log.Recover().ok());
    std::string readable = log.Readable();
    CAPTURE(from, readable);
    std::erase(readable, ' ');
    std::erase(readable, '!');
    const std::size_t first = from / batch_size;
    std::string others = "abcdefg";
    others.erase(first, (from + 99) / batch_size - first + 1);
    CHECK(readable == others);
  }
}

TEST_CASE("Log recovery: disposable files may be lost or damaged in any way") {
  const std::vector<std::string> names = {"checkpoint",
                                          "producers",
                                          "leader_epochs",
                                          "00000000000000000000.index",
                                          "00000000000000000000.timeindex",
                                          "00000000000000000003.index",
                                          "00000000000000000003.timeindex"};
  const bool orderly = GENERATE(true, false);
  for (const std::string& name : names) {
    for (int damage = 0; damage < 6; ++damage) {
      TestLog log(3 * BatchSize());
      log.producer_id = 5;
      REQUIRE(log.Draw("ab c d | e f g |").ok());
      log.clock.Advance(std::chrono::seconds(5));
      log.epoch = 3;
      REQUIRE(log.Draw("h |").ok());
      if (orderly) REQUIRE(log.Close().ok());
      if (!orderly) Crash(log, Stop::kSameBoot);
      const std::string path = log.PathOf(name);
      CAPTURE(orderly, name, damage);
      std::vector<std::byte> bytes = log.Bytes(path);
      if (!orderly && bytes.empty()) continue;
      REQUIRE_FALSE(bytes.empty());
      if (damage == 0) REQUIRE(log.memory.Remove(path).ok());
      if (damage == 1) bytes.clear();
      if (damage == 2) bytes.pop_back();
      if (damage == 3) bytes.push_back(std::byte{7});
      if (damage == 4) bytes[bytes.size() / 2] ^= std::byte{16};
      if (damage == 5) std::fill(bytes.begin(), bytes.end(), std::byte{0});
      if (damage != 0) log.memory.Write(path, bytes);
      const absl::Status opened = orderly ? log.OpenClean() : log.Recover();
      REQUIRE(opened.ok());
      CHECK(log.Readable() == "ab c d e f g h");
      CHECK(log.ReadableByOffset() == "ab c d e f g h");
      CHECK((*log.log().FindTimestamp(1'040, 1 << 20))->offset == 5);
      const std::vector<std::byte> next = log.MakeWord("i", 8);
      CHECK(log.log().producers().Check(*RecordBatchView::Parse(next), 1)->kind == SequenceCheck::Kind::kNew);
      REQUIRE(log.Draw("i |").ok());
      CHECK(log.Readable() == "ab c d e f g h i");
      CHECK(log.Orphans().empty());
    }
  }
}

TEST_CASE("Log recovery: only what lies behind the checkpoint is read") {
  TestLog log;
  REQUIRE(log.Draw("a b c d |").ok());
  log.clock.Advance(std::chrono::seconds(2));
  REQUIRE(log.Draw("e f |").ok());
  REQUIRE(log.Draw("g").ok());
  log.CrashProcess();
  REQUIRE(log.Recover().ok());
  CHECK(log.report().bytes_scanned == BatchSize());
  CHECK(log.Readable() == "a b c d e f g");
  CHECK(log.ReadableByOffset() == "a b c d e f g");
}

// Whether looking up every offset changes no file, as making an index would.
bool IndexIsAtHand(TestLog& log) {
  log.files.Heal();
  for (Offset offset = 0; offset < log.offsets().end; ++offset) {
    ReadCursor cursor;
    cursor.offset = offset;
    if (!log.log().Read(cursor, 1).ok()) return false;
  }
  return log.files.operations() == 0;
}

TEST_CASE("Log recovery: no reader has to make the index of what the process had written before") {
  TestLog log;
  const std::string alphabet = "abcdefghijklmnopqrstuvwxyz";
  for (int i = 0; i < 104; ++i) {
    REQUIRE(log.Draw(std::string(1, alphabet[static_cast<std::size_t>(i % 26)]) + " |").ok());
    log.clock.Advance(std::chrono::milliseconds(1'100));  // a checkpoint each
  }
  const auto stop = GENERATE(Stop::kSameBoot, Stop::kOtherBoot);
  Crash(log, stop);
  const auto lost = GENERATE(as<std::string>{}, "", "index", "timeindex");
  if (!lost.empty()) REQUIRE(log.memory.Remove(log.SegmentFile(0, lost)).ok());
  REQUIRE(log.Recover().ok());
  const std::uint64_t before = log.report().bytes_indexed + log.report().bytes_scanned;
  if (lost.empty()) CHECK(before <= 10 * BatchSize());
  if (!lost.empty()) CHECK(before == 104 * BatchSize());
  CHECK(IndexIsAtHand(log));
  CHECK((*log.log().FindTimestamp(1'500, 1 << 20))->offset == 50);
  CHECK(log.report().damaged_ranges == 0);
}

TEST_CASE("Log recovery: an index of a file that was longer is not believed once it has grown again") {
  TestLog log;
  REQUIRE(log.Draw("a b c d e f g h i j |").ok());
  log.clock.Advance(std::chrono::seconds(2));
  REQUIRE(log.Draw("k |").ok());
  REQUIRE(log.memory.Exists(log.SegmentFile(0, "index")));
  const std::vector<std::byte> index = log.Bytes(log.SegmentFile(0, "index"));
  Crash(log, Stop::kNoCheckpoint);
  std::vector<std::byte> bytes = log.Bytes(log.SegmentFile(0));
  bytes.resize(2 * BatchSize());
  log.memory.Write(log.SegmentFile(0), bytes);
  REQUIRE(log.Recover().ok());
  CHECK(log.Bytes(log.SegmentFile(0, "index")) != index);
  // Batches of another size, so that entries of the old index would be wrong.
  for (int i = 0; i < 8; ++i) REQUIRE(log.Draw("xyz |").ok());
  log.clock.Advance(std::chrono::seconds(2));
  log.CrashProcess();
  REQUIRE(log.Recover().ok());
  CHECK(log.Readable() == "a b xyz xyz xyz xyz xyz xyz xyz xyz");
  CHECK(log.ReadableByOffset() == log.Readable());
  CHECK(log.report().damaged_ranges == 0);
}

TEST_CASE("Log recovery: names that are not the log's are reported and left alone") {
  TestLog log;
  REQUIRE(log.Draw("a |").ok());
  log.CrashProcess();
  log.memory.Write(log.PathOf("notes.txt"), {std::byte{1}});
  log.memory.Write(log.PathOf("start_offset.new"), {std::byte{1}});
  log.memory.Write(log.PathOf("00000000000000000009.index"), {std::byte{1}});
  REQUIRE(log.Recover().ok());
  CHECK(log.findings().size() == 1);
  CHECK(log.memory.Exists(log.PathOf("notes.txt")));
  CHECK_FALSE(log.memory.Exists(log.PathOf("start_offset.new")));
  CHECK_FALSE(log.memory.Exists(log.PathOf("00000000000000000009.index")));
}

TEST_CASE("Log recovery: a missing segment in the middle is a hole with a way around it") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c d e |").ok());
  Crash(log, Stop::kNoCheckpoint);
  REQUIRE(log.memory.Remove(log.SegmentFile(2)).ok());
  REQUIRE(log.Recover().ok());
  CHECK(log.Readable() == "a b ! e");
  CheckRecovered(log, "a b ! e");
}

TEST_CASE("Log recovery: a file shorter than its checkpoint loses no offset to a second use") {
  TestLog log;
  REQUIRE(log.Draw("a b c |").ok());
  Crash(log, Stop::kSameBoot);
  std::vector<std::byte> bytes = log.Bytes(log.SegmentFile(0));
  bytes.resize(BatchSize());
  log.memory.Write(log.SegmentFile(0), bytes);
  REQUIRE(log.Recover().ok());
  CHECK(log.offsets().end == 3);
  CHECK(log.Readable() == "a !");
  REQUIRE(log.Draw("d |").ok());
  CHECK(log.Readable() == "a ! d");
}

TEST_CASE("Log recovery: a damaged start offset is kept aside and the log begins with its first segment") {
  TestLog log(2 * BatchSize());
  REQUIRE(log.Draw("a b c d e |").ok());
  REQUIRE(log.Trim(3).ok());
  Crash(log, Stop::kSameBoot);
  log.memory.Write(log.PathOf("start_offset"), {std::byte{1}});
  REQUIRE(log.Recover().ok());
  CHECK(log.offsets().start == 2);
  CHECK(Quarantined(log).size() == 1);
}

}  // namespace
}  // namespace headrace::storage
