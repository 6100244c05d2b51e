// What a log knows of its producers: a batch sent again is recognised, a gap is refused.
#include "storage/producer_state.h"

#include <catch2/catch.hpp>
#include <limits>

#include "protocol/core/crc32c.h"
#include "protocol/core/error_code.h"
#include "tests/support/batches.h"

namespace headrace::storage {
namespace {

using headrace::testing::BatchOptions;
using headrace::testing::MakeBatch;

constexpr std::int32_t kLast = std::numeric_limits<std::int32_t>::max();

// A batch of as many records as the word has letters.
struct Sent {
  Sent(std::string_view word, std::int32_t sequence, std::int16_t epoch = 0, ProducerId id = 7,
       Offset offset = 0) {
    BatchOptions options;
    options.base_offset = offset;
    options.producer_id = id;
    options.producer_epoch = epoch;
    options.base_sequence = sequence;
    std::vector<std::string_view> letters;
    for (std::size_t i = 0; i < word.size(); ++i) letters.push_back(word.substr(i, 1));
    bytes = MakeBatch(letters, options);
  }
  RecordBatchView view() const { return *RecordBatchView::Parse(bytes); }

  std::vector<std::byte> bytes;
};

// "new", "duplicate of <base offset>", or the error's name.
std::string Check(const ProducerState& state, const Sent& sent) {
  const auto check = state.Check(sent.view(), sent.view().crc());
  if (!check.ok()) return std::string(NameOf(CodeOf(check.status())));
  if (check->kind == SequenceCheck::Kind::kNew) return "new";
  return "duplicate of " + std::to_string(check->original.base_offset);
}

std::string Append(ProducerState& state, const Sent& sent, TimestampMs now = 1'000) {
  const std::string check = Check(state, sent);
  if (check == "new") state.Update(sent.view(), now, sent.view().crc());
  return check;
}

TEST_CASE("ProducerState: batches without a producer are always new, and not remembered") {
  ProducerState state;
  const Sent batch("abc", 0, 0, kNoProducerId);
  CHECK(Append(state, batch) == "new");
  CHECK(Append(state, batch) == "new");
  CHECK(state.size() == 0);
}

TEST_CASE("ProducerState: a producer that is not known may begin anywhere") {
  ProducerState state;
  CHECK(Append(state, Sent("abc", GENERATE(0, 5, kLast))) == "new");
  CHECK(state.size() == 1);
}

TEST_CASE("ProducerState: sequences go on without a gap") {
  ProducerState state;
  REQUIRE(Append(state, Sent("abc", 0)) == "new");
  CHECK(Check(state, Sent("d", 2)) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
  CHECK(Check(state, Sent("d", 4)) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
  CHECK(Append(state, Sent("de", 3)) == "new");
  CHECK(Append(state, Sent("f", 5)) == "new");
}

TEST_CASE("ProducerState: the error names the producer, the sequence and the one expected") {
  ProducerState state;
  REQUIRE(Append(state, Sent("abc", 0)) == "new");
  const auto check = state.Check(Sent("d", 9).view(), 1);
  CHECK(std::string(MessageOf(check.status())) == "producer 7 sent sequence 9; 3 was expected");
}

TEST_CASE("ProducerState: sequences wrap to 0, between batches and inside one") {
  ProducerState state;
  SECTION("between") {
    REQUIRE(Append(state, Sent("ab", kLast - 1)) == "new");
    CHECK(Check(state, Sent("c", 1)) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
    CHECK(Append(state, Sent("c", 0)) == "new");
  }
  SECTION("inside") {
    const Sent wrapping("abcd", kLast - 1, 0, 7, 90);  // 2^31-2, 2^31-1, 0, 1
    REQUIRE(Append(state, wrapping) == "new");
    CHECK(Check(state, wrapping) == "duplicate of 90");
    CHECK(Append(state, Sent("e", 2)) == "new");
  }
}

TEST_CASE("ProducerState: any of the last five batches is recognised, with its first offsets") {
  ProducerState state;
  std::vector<Sent> sent;
  for (int i = 0; i < 7; ++i) {
    sent.emplace_back(std::string_view("abcdefg").substr(static_cast<std::size_t>(i), 1), i, std::int16_t{0},
                      7, 100 + i);
    REQUIRE(Append(state, sent.back()) == "new");
  }
  for (int i = 2; i < 7; ++i) {
    CHECK(Check(state, sent[static_cast<std::size_t>(i)]) == "duplicate of " + std::to_string(100 + i));
  }
  CHECK(Check(state, sent[1]) == "OUT_OF_ORDER_SEQUENCE_NUMBER");  // too long ago to tell
  CHECK(Append(state, Sent("h", 7)) == "new");                     // duplicates changed nothing
}

TEST_CASE("ProducerState: the original's offsets are all there") {
  ProducerState state;
  const Sent sent("abc", 4, 0, 7, 50);
  REQUIRE(Append(state, sent) == "new");
  const auto check = state.Check(sent.view(), sent.view().crc());
  REQUIRE(check.ok());
  CHECK(check->original.first_sequence == 4);
  CHECK(check->original.last_sequence == 6);
  CHECK(check->original.base_offset == 50);
  CHECK(check->original.last_offset == 52);
  CHECK(check->original.crc == sent.view().crc());
}

TEST_CASE("ProducerState: the same sequences with other bytes are no duplicate") {
  ProducerState state;
  REQUIRE(Append(state, Sent("abc", 0)) == "new");
  CHECK(Check(state, Sent("xyz", 0)) == "DUPLICATE_SEQUENCE_NUMBER");
  // A part of a batch is none either.
  CHECK(Check(state, Sent("ab", 0)) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
  CHECK(Check(state, Sent("abcd", 0)) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
}

TEST_CASE("ProducerState: what counts is the CRC that was sent, not the one that was written") {
  ProducerState state;
  const Sent sent("abc", 0);
  const Sent written("xyz", 0, 0, 7, 20);
  state.Update(written.view(), 1'000, sent.view().crc());
  CHECK(Check(state, sent) == "duplicate of 20");
  CHECK(Check(state, written) == "DUPLICATE_SEQUENCE_NUMBER");
}

TEST_CASE("ProducerState: where it is not known what was sent, the sequences alone make a duplicate") {
  ProducerState state;
  state.Update(Sent("abc", 0).view(), 1'000, 0);
  CHECK(Check(state, Sent("abd", 0)) == "duplicate of 0");
  CHECK(Check(state, Sent("d", 4)) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
}

TEST_CASE("ProducerState: the time of a batch's append is remembered, in a snapshot too") {
  ProducerState state;
  Sent sent("abc", 0);
  SetAppendTime(sent.bytes, 77);
  SealBatch(sent.bytes);
  state.Update(sent.view(), 1'000, 5);
  state.Update(Sent("d", 3).view(), 1'000, 5);
  const auto snapshot = ProducerState::Parse(state.Serialize(4));
  REQUIRE(snapshot.ok());
  CHECK(snapshot->state.Check(sent.view(), 5)->original.log_append_time == 77);
  CHECK(snapshot->state.Check(Sent("d", 3).view(), 5)->original.log_append_time == -1);
}

TEST_CASE("ProducerState: a new epoch begins at 0 and shuts the old one out") {
  ProducerState state;
  const Sent old("abc", 0);
  REQUIRE(Append(state, old) == "new");
  CHECK(Check(state, Sent("d", 3, 1)) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
  CHECK(Append(state, Sent("d", 0, 1)) == "new");
  CHECK(Check(state, Sent("e", 3, 0)) == "INVALID_PRODUCER_EPOCH");
  CHECK(Check(state, old) == "INVALID_PRODUCER_EPOCH");  // not even as a duplicate
  CHECK(Append(state, Sent("e", 1, 1)) == "new");
}

TEST_CASE("ProducerState: a duplicate is told before anything else is looked at") {
  ProducerState state;
  REQUIRE(Append(state, Sent("a", 0, 3)) == "new");
  REQUIRE(Append(state, Sent("b", 1, 3)) == "new");
  CHECK(Check(state, Sent("a", 0, 3)) == "duplicate of 0");  // its sequence is not the next
}

TEST_CASE("ProducerState: producers know nothing of each other") {
  ProducerState state;
  REQUIRE(Append(state, Sent("abc", 0, 0, 1)) == "new");
  CHECK(Append(state, Sent("abc", 0, 0, 2)) == "new");
  CHECK(Append(state, Sent("d", 3, 0, 1)) == "new");
  CHECK(state.size() == 2);
}

TEST_CASE("ProducerState: producers are forgotten by the time of their last append") {
  ProducerState state;
  REQUIRE(Append(state, Sent("a", 0, 0, 1), 1'000) == "new");
  REQUIRE(Append(state, Sent("a", 0, 0, 2), 2'000) == "new");
  REQUIRE(Append(state, Sent("b", 1, 0, 1), 3'000) == "new");
  state.Expire(2'000);
  CHECK(state.size() == 2);
  state.Expire(2'001);
  CHECK(state.size() == 1);
  CHECK(Check(state, Sent("c", 9, 0, 1)) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
  CHECK(Check(state, Sent("c", 9, 0, 2)) == "new");
}

TEST_CASE("ProducerState: of too many producers those whose last append is the oldest are forgotten") {
  constexpr auto kMax = static_cast<ProducerId>(ProducerState::kProducersMax);
  ProducerState state;
  for (ProducerId id = 0; id < kMax; ++id) REQUIRE(Append(state, Sent("a", 0, 0, id), 1'000) == "new");
  REQUIRE(Append(state, Sent("b", 1, 0, 0), 2'000) == "new");  // the first one is not idle
  CHECK(state.size() == ProducerState::kProducersMax);
  REQUIRE(Append(state, Sent("a", 0, 0, kMax), 2'000) == "new");
  CHECK(state.size() == ProducerState::kProducersMax / 2 + 1);
  CHECK(Check(state, Sent("b", 1, 0, 0)) == "duplicate of 0");
  CHECK(Check(state, Sent("a", 0, 0, 1)) == "new");
  CHECK(Check(state, Sent("a", 0, 0, kMax - 1)) == "duplicate of 0");
  CHECK(Check(state, Sent("a", 0, 0, kMax)) == "duplicate of 0");
}

ProducerState FilledState() {
  ProducerState state;
  for (ProducerId id = 1; id <= 3; ++id) {
    for (std::int32_t i = 0; i < 2 * static_cast<std::int32_t>(id); ++i) {
      Append(state, Sent("ab", 2 * i, static_cast<std::int16_t>(id), id, 10 * i), 1'000 * id);
    }
  }
  return state;
}

TEST_CASE("ProducerState: a snapshot brings back all that was known") {
  const auto snapshot = ProducerState::Parse(FilledState().Serialize(77));
  REQUIRE(snapshot.ok());
  CHECK(snapshot->end == 77);
  CHECK(snapshot->state.size() == 3);
  CHECK(Check(snapshot->state, Sent("ab", 2, 1, 1, 10)) == "duplicate of 10");
  CHECK(Check(snapshot->state, Sent("ab", 10, 3, 3, 50)) == "duplicate of 50");
  CHECK(Check(snapshot->state, Sent("ab", 2, 3, 3)) == "duplicate of 10");
  CHECK(Check(snapshot->state, Sent("ab", 0, 3, 3)) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
  CHECK(Check(snapshot->state, Sent("x", 12, 3, 3)) == "new");
  CHECK(Check(snapshot->state, Sent("x", 4, 0, 1)) == "INVALID_PRODUCER_EPOCH");
  ProducerState state = snapshot->state;
  state.Expire(2'001);  // append times, too
  CHECK(state.size() == 1);
}

TEST_CASE("ProducerState: an empty snapshot is one") {
  const auto snapshot = ProducerState::Parse(ProducerState().Serialize(5));
  REQUIRE(snapshot.ok());
  CHECK(snapshot->end == 5);
  CHECK(snapshot->state.size() == 0);
}

TEST_CASE("ProducerState: a whole snapshot of a newer format is refused by its number") {
  std::vector<std::byte> bytes = FilledState().Serialize(77);
  StoreBigEndian(bytes.data() + 8, std::uint32_t{3});
  StoreBigEndian(bytes.data() + 4, Crc32c(ByteSpan(bytes).subspan(8)));
  const auto snapshot = ProducerState::Parse(bytes);
  CHECK(std::string(MessageOf(snapshot.status())) == "producer snapshot: format 3 is not known");
}

TEST_CASE("ProducerState: a snapshot cut at any byte, longer, or with any bit flipped is refused") {
  const std::vector<std::byte> whole = FilledState().Serialize(77);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(absl::IsDataLoss(ProducerState::Parse(ByteSpan(whole).first(size)).status()));
  }
  std::vector<std::byte> changed = whole;
  changed.push_back(std::byte{0});
  CHECK(absl::IsDataLoss(ProducerState::Parse(changed).status()));
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    changed = whole;
    changed[bit / 8] ^= std::byte{1} << (bit % 8);
    CAPTURE(bit);
    CHECK(absl::IsDataLoss(ProducerState::Parse(changed).status()));
  }
}

}  // namespace
}  // namespace headrace::storage
