// A crash at any file operation of a compaction loses no key's last record, moves no offset and doubles none.
#include <catch2/catch.hpp>

#include <random>

#include "protocol/core/status_macros.h"
#include "storage/segment_swap.h"
#include "tests/support/compacted_log.h"

namespace headrace::storage {
namespace {

using headrace::testing::CompactedLog;
using headrace::testing::Keyed;

// Appends over several segments, compacts, appends, compacts what is compacted already with what is not.
absl::Status Live(CompactedLog& log) {
  log.log().producer_id = 5;
  for (int i = 0; i < 5; ++i) RETURN_IF_ERROR(log.Fill({{"a", std::to_string(i)}, {"b", std::to_string(i)}}));
  RETURN_IF_ERROR(log.Fill({{"c", "1"}, {"b", std::nullopt}}));
  RETURN_IF_ERROR(log.Seal());
  RETURN_IF_ERROR(log.TryCompact().status());
  log.log().producer_id = kNoProducerId;
  RETURN_IF_ERROR(log.Fill({{"a", "5"}, {"d", "1"}, {"a", "6"}, {"e", "1"}}));
  RETURN_IF_ERROR(log.Seal());
  CompactionLimits limits;
  limits.key_map_size_max = 1;  // 48 keys
  RETURN_IF_ERROR(log.TryCompact(limits).status());
  return log.Fill({{"f", "1"}});
}

void CheckKept(const CompactedLog& log, bool started = true) {
  CAPTURE(log.log().Shape(), log.log().findings());
  const std::map<Offset, Keyed> seen = log.Records();  // fails the process on an offset that comes twice
  CHECK(log.log().ReadableByOffset().find('!') == std::string::npos);
  for (const auto& [key, last] : log.acknowledged()) {
    CAPTURE(key, last.first);
    const auto found = seen.find(last.first);
    const bool kept = found != seen.end() && found->second == Keyed{key, last.second};
    // What was appended and not acknowledged may be there, and may have replaced it.
    bool replaced = false;
    for (const auto& [offset, record] : seen)
      replaced = replaced || (offset > last.first && record.key == key);
    CHECK((kept || replaced));
  }
  if (started) CHECK(log.log().Orphans().empty());
  CHECK(log.log().report().damaged_ranges == 0);
}

void Crash(CompactedLog& log, std::uint64_t seed, int turn, std::uint64_t at) {
  const bool power = ((seed >> turn) & 1) != 0;
  power ? log.log().CrashPower(seed * 1'000'003 + at * 8 + static_cast<std::uint64_t>(turn))
        : log.log().CrashProcess();
}

std::uint64_t OperationsOf(const std::function<void(CompactedLog&)>& run) {
  CompactedLog log(220);
  log.log().files.Heal();
  run(log);
  return log.log().files.operations();
}

TEST_CASE("Compaction: a crash at any file operation leaves the old segments or the new one") {
  const auto seed = GENERATE(range<std::uint64_t>(0, 16));
  const std::uint64_t operations = OperationsOf([](CompactedLog& log) { REQUIRE(Live(log).ok()); });
  REQUIRE(operations > 100);
  for (std::uint64_t at = 1; at <= operations + 1; ++at) {
    CAPTURE(seed, at);
    CompactedLog log(220);
    log.log().files.Heal();
    log.log().files.DieAt(at);
    const bool lived = Live(log).ok();
    if (at > operations) CHECK(lived);
    Crash(log, seed, 0, at);
    REQUIRE(log.log().Recover().ok());
    CheckKept(log);
    Crash(log, seed, 1, at);
    REQUIRE(log.log().Recover().ok());
    CheckKept(log);
    // Life goes on, and a second compaction finds what the first one left.
    REQUIRE(log.Fill({{"a", "9"}, {"g", "1"}}).ok());
    REQUIRE(log.Seal().ok());
    log.Compact();
    CheckKept(log);
    Crash(log, seed, 2, at);
    REQUIRE(log.log().Recover().ok());
    CheckKept(log);
  }
}

TEST_CASE(
    "Compaction: a crash at any file operation of the start after a crash finishes the swap all the same") {
  const auto seed = GENERATE(range<std::uint64_t>(0, 4));
  const std::uint64_t operations = OperationsOf([](CompactedLog& log) { REQUIRE(Live(log).ok()); });
  for (std::uint64_t died_at = 30; died_at <= operations; died_at += 1) {
    const auto prepare = [&](CompactedLog& log) {
      log.log().files.Heal();
      log.log().files.DieAt(died_at);
      Live(log).IgnoreError();
      Crash(log, seed, 0, died_at);
    };
    const std::uint64_t recovery = OperationsOf([&](CompactedLog& log) {
      prepare(log);
      REQUIRE(log.log().Recover().ok());
    });
    for (std::uint64_t at = 1; at <= recovery; ++at) {
      CAPTURE(seed, died_at, at);
      CompactedLog log(220);
      prepare(log);
      log.log().files.DieAt(at);
      log.log().Recover().IgnoreError();
      Crash(log, seed, 1, at);
      REQUIRE(log.log().Recover().ok());
      CheckKept(log);
    }
  }
}

TEST_CASE("Compaction: a crash, and then `swap` cannot be read: the segments tell how far it came") {
  const auto seed = GENERATE(range<std::uint64_t>(0, 4));
  const std::uint64_t operations = OperationsOf([](CompactedLog& log) { REQUIRE(Live(log).ok()); });
  int damaged = 0;
  int replaced = 0;
  for (std::uint64_t at = 1; at <= operations; ++at) {
    CAPTURE(seed, at);
    CompactedLog log(220);
    testing::MemoryFileSystem& files = log.log().memory;
    log.log().files.Heal();
    log.log().files.DieAt(at);
    Live(log).IgnoreError();
    Crash(log, seed, 0, at);
    const std::string swap = log.log().PathOf(kSwapFile);
    if (!files.Exists(swap)) continue;
    std::vector<std::byte> content = files.Read(swap);
    if (content.empty()) continue;
    content[(at * 7) % content.size()] ^= std::byte{1};
    files.Write(swap, content);
    ++damaged;
    REQUIRE(log.log().Recover().ok());
    CheckKept(log);
    CHECK_FALSE(files.Exists(swap));
    const auto& findings = log.log().findings();
    const auto told = std::find_if(findings.begin(), findings.end(), [](const std::string& finding) {
      return finding.find("; it was moved to ") != std::string::npos;
    });
    REQUIRE(told != findings.end());
    if (told->find("with 0 segments") == std::string::npos) ++replaced;
    REQUIRE(log.Seal().ok());
    log.Compact();
    Crash(log, seed, 1, at);
    REQUIRE(log.log().Recover().ok());
    CheckKept(log);
  }
  CHECK(replaced > 0);
  CHECK(replaced < damaged);
}

TEST_CASE("Compaction: one failing file operation is an error or a fence, and never a loss") {
  const bool full = GENERATE(false, true);
  const absl::Status error = full ? absl::ResourceExhaustedError("no space left on device")
                                  : absl::InternalError("input/output error");
  const std::uint64_t operations = OperationsOf([](CompactedLog& log) { REQUIRE(Live(log).ok()); });
  for (std::uint64_t at = 1; at <= operations; ++at) {
    CAPTURE(full, at);
    CompactedLog log(220);
    log.log().files.Heal();
    log.log().files.FailAt(at, error, at % 40);
    Live(log).IgnoreError();
    CheckKept(log, false);
    log.log().CrashPower(at);
    REQUIRE(log.log().Recover().ok());
    CheckKept(log);
  }
}

TEST_CASE("Compaction: like a model, at random") {
  const auto seed = GENERATE(range<std::uint64_t>(0, 40));
  std::mt19937_64 random(seed);
  CompactedLog log(200 + random() % 2'000);
  log.codec = seed % 3 == 0 ? Compression::kLz4 : Compression::kNone;
  for (int step = 0; step < 120; ++step) {
    CAPTURE(seed, step);
    const std::uint64_t what = random() % 20;
    if (what < 15) {
      std::vector<Keyed> records;
      for (std::uint64_t i = random() % 5 + 1; i > 0; --i) {
        const bool deletes = random() % 10 == 0;
        records.push_back({"k" + std::to_string(random() % 12),
                           deletes ? std::nullopt : std::optional(std::to_string(random()))});
      }
      REQUIRE(log.Fill(records).ok());
    } else if (what < 17) {
      CompactionLimits limits;
      limits.key_map_size_max = 1;
      log.Compact(limits);
    } else if (what == 17) {
      REQUIRE(log.Seal().ok());
    } else if (what == 18) {
      REQUIRE(log.log().Restart().ok());
    } else {
      Crash(log, seed, step % 16, static_cast<std::uint64_t>(step));
      REQUIRE(log.log().Recover().ok());
    }
    CheckKept(log);
  }
}

}  // namespace
}  // namespace headrace::storage
