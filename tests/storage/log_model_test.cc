// Random lives of a log, beside a model that is a string.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "protocol/core/error_code.h"
#include "storage/log.h"
#include "tests/support/log_builder.h"

namespace headrace::storage {
namespace {

using headrace::testing::TestLog;

// What a log of letters is: the letter of every offset, and three numbers.
struct Model {
  std::string letters;
  Offset start = 0;
  Offset high_watermark = 0;

  Offset end() const { return std::ssize(letters); }
};

class Life {
 public:
  explicit Life(std::uint64_t seed) : random_(seed), log_(400) {
    log_.SetValueSize(1 + Roll(30));
    // A power loss before anything was synced may leave holes, of which nobody was promised anything.
    Append();
    Acknowledge();
  }

  // What was done, a letter a step.
  const std::string& history() const { return history_; }

  void Step() {
    const std::uint64_t side = Roll(16);
    history_ += "TRrdpfkkkkaaaaaa"[side];
    switch (side) {
      case 0:
        return Trim();
      case 1:
        return Retain();
      case 2:
        return Restart();
      case 3:
        return DieAndRecover();
      case 4:
        return LosePower();
      case 5:
        return FullDisk();
      case 6:
      case 7:
      case 8:
      case 9:
        return Acknowledge();
      default:
        return Append();
    }
  }

  void Compare() {
    const LogOffsets now = log_.offsets();
    REQUIRE(now.start == model_.start);
    REQUIRE(now.high_watermark == model_.high_watermark);
    REQUIRE(now.end == model_.end());
    std::string seen = log_.Readable(std::nullopt, 1 + Roll(500));
    std::erase(seen, ' ');
    // A start inside a batch shows the batch's beginning too.
    const auto visible = static_cast<std::size_t>(now.high_watermark - now.start);
    REQUIRE(seen.size() >= visible);
    REQUIRE(seen.substr(seen.size() - visible) ==
            model_.letters.substr(static_cast<std::size_t>(now.start), visible));
    if (now.start < now.high_watermark) CompareOne(now);
  }

 private:
  std::uint64_t Roll(std::uint64_t sides) { return random_() % sides; }

  void CompareOne(const LogOffsets& now) {
    ReadCursor cursor;
    cursor.offset =
        now.start + static_cast<Offset>(Roll(static_cast<std::uint64_t>(now.high_watermark - now.start)));
    const Offset wanted = cursor.offset;
    const absl::StatusOr<FileSlice> slice = log_.log().Read(cursor, 1);
    REQUIRE(slice.ok());
    std::byte base[8];
    REQUIRE(slice->file->ReadAt(slice->position, base).ok());
    REQUIRE(LoadBigEndian<Offset>(base) <= wanted);
    REQUIRE(cursor.offset > wanted);
  }

  std::string Word() {
    std::string word(1 + Roll(4), ' ');
    for (char& letter : word) letter = static_cast<char>('a' + Roll(26));
    return word;
  }

  void Append() {
    std::vector<std::string> words(1 + Roll(5));
    for (std::string& word : words) word = Word();
    log_.clock.Advance(std::chrono::milliseconds(Roll(600)));
    REQUIRE(log_.AppendTogether(words).ok());
    for (const std::string& word : words) model_.letters += word;
  }

  void Acknowledge() {
    REQUIRE(log_.Acknowledge().ok());
    model_.high_watermark = model_.end();
  }

  void Trim() {
    const Offset to = static_cast<Offset>(Roll(static_cast<std::uint64_t>(model_.high_watermark) + 3));
    const absl::Status trimmed = log_.Trim(to);
    REQUIRE(trimmed.ok() == (to <= model_.high_watermark));
    if (trimmed.ok()) model_.start = std::max(model_.start, to);
  }

  void Retain() {
    LogOptions options = log_.options();
    const bool by_time = Roll(2) == 0;
    options.retention_bytes = by_time ? -1 : static_cast<std::int64_t>(200 + Roll(3'000));
    options.retention_ms = by_time ? static_cast<TimestampMs>(Roll(3'000)) : -1;
    if (by_time) log_.clock.Advance(std::chrono::milliseconds(Roll(3'000)));
    log_.SetOptions(options);
    REQUIRE(log_.ApplyRetention().ok());
    // How much goes is for the retention tests; here it must only be from the front, and readable data.
    REQUIRE(log_.offsets().start >= model_.start);
    REQUIRE(log_.offsets().start <= model_.high_watermark);
    model_.start = log_.offsets().start;
  }

  void Restart() {
    REQUIRE(log_.Restart().ok());
    model_.high_watermark = model_.end();
  }

  void DieAndRecover() {
    log_.CrashProcess();
    REQUIRE(log_.Recover().ok());
    model_.high_watermark = model_.end();
  }

  void LosePower() {
    log_.CrashPower(random_());
    REQUIRE(log_.Recover().ok());
    const Offset end = log_.offsets().end;
    REQUIRE(end >= model_.high_watermark);
    REQUIRE(end <= model_.end());
    model_.letters.resize(static_cast<std::size_t>(end));
    model_.high_watermark = end;
    REQUIRE(log_.Orphans().empty());
  }

  void FullDisk() {
    log_.files.SetDecide([](const headrace::testing::FileOperation& operation) {
      const bool write = operation.kind == headrace::testing::FileOperation::Kind::kWrite;
      return write ? headrace::testing::Fault{absl::ResourceExhaustedError("full"), 30}
                   : headrace::testing::Fault{};
    });
    REQUIRE(CodeOf(log_.AppendTogether({Word(), Word(), Word()})) == ErrorCode::kDiskFull);
    log_.files.Heal();
  }

  std::mt19937_64 random_;
  TestLog log_;
  Model model_;
  std::string history_;
};

// A failure prints its seed; HEADRACE_SEED=<seed> begins with that one.
std::uint64_t FirstSeed() {
  const char* given = std::getenv("HEADRACE_SEED");
  return given == nullptr ? std::random_device{}() % 1'000'000 : std::stoull(given);
}

TEST_CASE("Log: a random life agrees with a model") {
  const std::uint64_t first = FirstSeed();
  for (std::uint64_t seed = first; seed < first + 60; ++seed) {
    CAPTURE(seed);
    Life life(seed);
    for (int step = 0; step < 120; ++step) {
      CAPTURE(step, life.history());
      life.Step();
      life.Compare();
    }
  }
}

}  // namespace
}  // namespace headrace::storage
