// The promise, tested at every point where it could break: a crash at any file operation loses nothing that
// was acknowledged, gives no offset twice and brings nothing back.
#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>

#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/log.h"
#include "tests/support/log_builder.h"

namespace headrace::storage {
namespace {

using headrace::testing::TestLog;

// What the outside world knows of a log: kept beside it, over every crash.
struct Witness {
  std::string acknowledged;  // letters by offset, as consumers were given them
  Offset end = 0;            // offsets below were acknowledged
  Offset start = 0;          // raised before anybody was told
  Offset start_attempted = 0;
};

std::string Letters(const std::string& picture) {
  std::string letters;
  for (const char c : picture) {
    if (c != ' ') letters += c;
  }
  return letters;
}

void Watch(const TestLog& log, Witness& witness) {
  const LogOffsets now = log.offsets();
  witness.acknowledged = log.letters().substr(0, static_cast<std::size_t>(now.high_watermark));
  witness.end = now.high_watermark;
  witness.start = now.start;
}

// A life of a log: append, roll, trim, retention. Ends at the first failure.
absl::Status Live(TestLog& log, Witness& witness) {
  const auto step = [&](absl::Status status) {
    if (status.ok()) Watch(log, witness);
    return status;
  };
  log.producer_id = 9;
  RETURN_IF_ERROR(log.AppendTogether({"a", "b", "c", "d"}));
  RETURN_IF_ERROR(step(log.Acknowledge()));
  RETURN_IF_ERROR(step(log.Draw("e f |")));
  RETURN_IF_ERROR(step(log.AppendTogether({"g", "hi", "j", "k"})));
  RETURN_IF_ERROR(step(log.Acknowledge()));
  witness.start_attempted = 4;
  RETURN_IF_ERROR(step(log.Trim(4)));
  log.clock.Advance(std::chrono::seconds(2));
  log.epoch = 1;
  RETURN_IF_ERROR(step(log.Draw("l m | n o p |")));
  witness.start_attempted = 9;
  LogOptions options = log.options();
  options.retention_bytes = 400;
  log.SetOptions(options);
  RETURN_IF_ERROR(step(log.ApplyRetention().status()));
  RETURN_IF_ERROR(step(log.Draw("q r | s |")));
  // All of it is expired, the segment that is appended to as well.
  options.retention_bytes = -1;
  options.retention_ms = 3'600'000;
  log.SetOptions(options);
  log.clock.Advance(std::chrono::hours(2));
  witness.start_attempted = log.offsets().end;
  RETURN_IF_ERROR(step(log.ApplyRetention().status()));
  // Only a full disk keeps the last segment from being rolled and deleted.
  if (log.offsets().start != log.offsets().end)
    return absl::ResourceExhaustedError("retention left something");
  RETURN_IF_ERROR(step(log.Draw("t | u")));
  return absl::OkStatus();
}

// The log after a crash and recovery, against what was known before.
void CheckKept(const TestLog& log, const Witness& witness) {
  const LogOffsets now = log.offsets();
  CHECK(now.end >= witness.end);
  CHECK(now.high_watermark == now.end);
  CHECK(now.start >= witness.start);
  // Of what was never acknowledged, the beginning may be lost and the rest be there.
  if (witness.end > 0) CHECK(now.start <= std::max(witness.start, witness.start_attempted));
  const std::string seen = Letters(log.Readable());
  std::string found;
  for (const std::string& line : log.findings()) found += line + "\n";
  CAPTURE(now.start, now.end, witness.acknowledged, witness.start, witness.end, seen, log.Shape(), found);
  CHECK(seen == Letters(log.ReadableByOffset()));
  CHECK(seen.size() == static_cast<std::size_t>(now.end - now.start));
  for (Offset offset = now.start; offset < witness.end && offset - now.start < std::ssize(seen); ++offset) {
    CHECK(seen[static_cast<std::size_t>(offset - now.start)] ==
          witness.acknowledged[static_cast<std::size_t>(offset)]);
  }
  CHECK(log.Orphans().empty());
}

// The `turn`th crash of a life: the process dies or, by a bit of the seed, the power fails, and chance
// decides what of the unsynced is left.
void Crash(TestLog& log, std::uint64_t seed, int turn, std::uint64_t at) {
  const bool power = ((seed >> turn) & 1) != 0;
  power ? log.CrashPower(seed * 1'000'003 + at * 8 + static_cast<std::uint64_t>(turn)) : log.CrashProcess();
}

std::uint64_t SegmentSize() {
  return 3 * TestLog().MakeWord("a", 0).size();
}

std::uint64_t OperationsOf(const std::function<void(TestLog&)>& run) {
  TestLog log(SegmentSize());
  log.files.Heal();
  run(log);
  return log.files.operations();
}

TEST_CASE("Log: a crash at any file operation loses nothing acknowledged") {
  const auto seed = GENERATE(range<std::uint64_t>(0, 16));
  const std::uint64_t operations = OperationsOf([](TestLog& log) {
    Witness witness;
    REQUIRE(Live(log, witness).ok());
  });
  REQUIRE(operations > 40);
  for (std::uint64_t at = 1; at <= operations + 1; ++at) {
    CAPTURE(seed, at);
    TestLog log(SegmentSize());
    log.files.Heal();
    log.files.DieAt(at);
    Witness witness;
    const bool lived = Live(log, witness).ok();
    if (at > operations) CHECK(lived);
    Crash(log, seed, 0, at);
    REQUIRE(log.Recover().ok());
    CheckKept(log, witness);
    Watch(log, witness);
    // Life goes on, and a second start finds what the first one left.
    REQUIRE(log.Draw("xy z |").ok());
    Watch(log, witness);
    Crash(log, seed, 1, at);
    REQUIRE(log.Recover().ok());
    CheckKept(log, witness);
    CHECK(log.offsets().end == witness.end);
  }
}

TEST_CASE("Log: a crash at any file operation of recovery itself loses nothing acknowledged") {
  const auto seed = GENERATE(range<std::uint64_t>(0, 16));
  const auto died_at = GENERATE(as<std::uint64_t>{}, 5, 9, 12, 23, 34, 45, 56, 67, 78, 89);
  const auto prepare = [&](TestLog& log, Witness& witness) {
    log.files.Heal();
    log.files.DieAt(died_at);
    Live(log, witness).IgnoreError();
    Crash(log, seed, 0, died_at);
  };
  const std::uint64_t operations = OperationsOf([&](TestLog& log) {
    Witness witness;
    prepare(log, witness);
    REQUIRE(log.Recover().ok());
  });
  for (std::uint64_t at = 1; at <= operations; ++at) {
    CAPTURE(seed, died_at, at);
    TestLog log(SegmentSize());
    Witness witness;
    prepare(log, witness);
    log.files.DieAt(at);
    log.Recover().IgnoreError();
    Crash(log, seed, 1, at);
    REQUIRE(log.Recover().ok());
    CheckKept(log, witness);
    Watch(log, witness);
    REQUIRE(log.Draw("xy z |").ok());
    Watch(log, witness);
    Crash(log, seed, 2, at);
    REQUIRE(log.Recover().ok());
    CheckKept(log, witness);
  }
}

TEST_CASE("Log: an orderly stop that is cut short is a crash like any other") {
  const auto seed = GENERATE(range<std::uint64_t>(0, 6));
  const std::uint64_t before = OperationsOf([](TestLog& log) {
    Witness witness;
    REQUIRE(Live(log, witness).ok());
  });
  const std::uint64_t operations = OperationsOf([](TestLog& log) {
    Witness witness;
    REQUIRE(Live(log, witness).ok());
    REQUIRE(log.Close().ok());
  });
  REQUIRE(operations > before);
  for (std::uint64_t at = before + 1; at <= operations; ++at) {
    CAPTURE(seed, at);
    TestLog log(SegmentSize());
    log.files.Heal();
    log.files.DieAt(at);
    Witness witness;
    REQUIRE(Live(log, witness).ok());
    log.Close().IgnoreError();
    Crash(log, seed, 0, at);
    REQUIRE(log.Recover().ok());
    CheckKept(log, witness);
  }
}

TEST_CASE("Log: one failing file operation is an error, a fence or nothing, and never a loss") {
  const bool full = GENERATE(false, true);
  const absl::Status error = full ? absl::ResourceExhaustedError("no space left on device")
                                  : absl::InternalError("input/output error");
  const std::uint64_t operations = OperationsOf([](TestLog& log) {
    Witness witness;
    REQUIRE(Live(log, witness).ok());
  });
  for (std::uint64_t at = 1; at <= operations; ++at) {
    CAPTURE(full, at);
    TestLog log(SegmentSize());
    log.files.Heal();
    log.files.FailAt(at, error, at % 40);
    Witness witness;
    const absl::Status lived = Live(log, witness);
    CAPTURE(lived.ToString());
    const bool fenced = !log.log().fenced().ok();
    if (CodeOf(lived) == ErrorCode::kDiskFull) {
      CHECK(full);
      CHECK_FALSE(fenced);
      REQUIRE(log.Draw("x |").ok());
      Watch(log, witness);
    } else if (!lived.ok()) {
      CHECK(fenced);
      CHECK(CodeOf(log.Append("x")) == ErrorCode::kStorageError);
    }
    log.CrashPower(at);
    REQUIRE(log.Recover().ok());
    CheckKept(log, witness);
  }
}

}  // namespace
}  // namespace headrace::storage
