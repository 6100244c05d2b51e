#include "protocol/core/record_batch.h"

#include <catch2/catch.hpp>

#include <limits>
#include <random>

#include "protocol/core/crc32c.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "tests/support/batches.h"

using namespace headrace;
using headrace::testing::MakeBatch;

namespace {

// A field changed in a copy, and the sum made right again, so that only the field can be at fault.
template <std::integral T>
std::vector<std::byte> With(std::vector<std::byte> batch, std::size_t at, T value) {
  StoreBigEndian(batch.data() + at, value);
  const auto view = RecordBatchView::Parse(batch);
  if (view.ok()) StoreBigEndian(batch.data() + 17, Crc32c(ByteSpan(batch).subspan(kBatchCrcStart)));
  return batch;
}

ErrorCode ProducedCode(const std::vector<std::byte>& batch) {
  const auto view = RecordBatchView::Parse(batch);
  return CodeOf(view.ok() ? view->CheckProduced() : view.status());
}

}  // namespace

TEST_CASE("RecordBatch: the fields of a built batch") {
  const auto bytes = MakeBatch({"a", "b", "c"}, {.base_offset = 40,
                                                 .leader_epoch = 7,
                                                 .timestamp = 500,
                                                 .producer_id = 9,
                                                 .producer_epoch = 2,
                                                 .base_sequence = 11});
  const auto batch = RecordBatchView::Parse(bytes);
  REQUIRE(batch.ok());
  CHECK(batch->base_offset() == 40);
  CHECK(batch->last_offset() == 42);
  CHECK(batch->leader_epoch() == 7);
  CHECK(batch->record_count() == 3);
  CHECK(batch->base_timestamp() == 500);
  CHECK(batch->max_timestamp() == 502);
  CHECK(batch->producer_id() == 9);
  CHECK(batch->producer_epoch() == 2);
  CHECK(batch->base_sequence() == 11);
  CHECK(batch->size() == bytes.size());
  CHECK(batch->CheckCrc().ok());
  CHECK(batch->CheckProduced().ok());
}

TEST_CASE("RecordBatch: stamping leaves the sum right") {
  auto bytes = MakeBatch({"a"});
  StampBatch(bytes, 1'000'000'007, 42);
  const auto batch = RecordBatchView::Parse(bytes);
  REQUIRE(batch.ok());
  CHECK(batch->base_offset() == 1'000'000'007);
  CHECK(batch->leader_epoch() == 42);
  CHECK(batch->CheckCrc().ok());
}

TEST_CASE("RecordBatch: append time and codec change nothing else, and sealing makes the sum right") {
  auto bytes = MakeBatch({"hello", "world"});
  const auto before = bytes;
  SetAppendTime(bytes, 5'000);
  SetCompression(bytes, Compression::kZstd);
  CHECK_FALSE(RecordBatchView::Parse(bytes)->CheckCrc().ok());
  SealBatch(bytes);
  const auto batch = RecordBatchView::Parse(bytes);
  REQUIRE(batch.ok());
  CHECK(batch->CheckCrc().ok());
  CHECK(batch->max_timestamp() == 5'000);
  CHECK(batch->base_timestamp() == 1'000);
  CHECK(batch->compression() == Compression::kZstd);
  CHECK(batch->attributes() == (kAttributeLogAppendTime | 4));
  SetCompression(bytes, Compression::kNone);
  CHECK(RecordBatchView::Parse(bytes)->attributes() == kAttributeLogAppendTime);
  // The length follows the bytes.
  bytes.resize(bytes.size() + 10);
  SealBatch(bytes);
  CHECK(RecordBatchView::Parse(bytes)->size() == before.size() + 10);
}

TEST_CASE("RecordBatch: cut at every byte it is too short, never wrong") {
  const auto bytes = MakeBatch({"hello", "world"});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    // A copy of exactly that size, so that a sanitizer sees any read behind it.
    const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    const auto batch = RecordBatchView::Parse(cut);
    CHECK(absl::IsOutOfRange(batch.status()));
  }
}

TEST_CASE("RecordBatch: the first of several is taken") {
  auto bytes = MakeBatch({"a"});
  const std::size_t size = bytes.size();
  const auto second = MakeBatch({"b"});
  bytes.insert(bytes.end(), second.begin(), second.end());
  CHECK(RecordBatchView::Parse(bytes)->size() == size);
}

TEST_CASE("RecordBatch: every flipped bit after the CRC is found") {
  const auto good = MakeBatch({"some value"});
  for (std::size_t bit = kBatchCrcStart * 8; bit < good.size() * 8; ++bit) {
    auto bytes = good;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    const auto batch = RecordBatchView::Parse(bytes);
    CAPTURE(bit);
    CHECK((!batch.ok() || CodeOf(batch->CheckCrc()) == ErrorCode::kCorruptMessage));
  }
}

TEST_CASE("RecordBatch: headers that lie are refused") {
  const auto good = MakeBatch({"a", "b"});
  CHECK(CodeOf(RecordBatchView::Parse(With(good, 16, std::int8_t{1})).status()) ==
        ErrorCode::kCorruptMessage);
  for (const std::int32_t length : {-1, 0, 48, INT32_MIN}) {
    CHECK(CodeOf(RecordBatchView::Parse(With(good, 8, length)).status()) == ErrorCode::kCorruptMessage);
  }
  CHECK_FALSE(RecordBatchView::Parse(With(good, 8, INT32_MAX)).ok());
  CHECK_FALSE(RecordBatchView::Parse(With(good, 23, std::int32_t{-1})).ok());
  CHECK_FALSE(RecordBatchView::Parse(With(good, 57, std::int32_t{-1})).ok());
  CHECK_FALSE(RecordBatchView::Parse(With(good, 57, std::int32_t{3})).ok());
  CHECK_FALSE(RecordBatchView::Parse(With(good, 0, std::int64_t{-1})).ok());
  CHECK_FALSE(RecordBatchView::Parse(With(good, 0, std::numeric_limits<std::int64_t>::max())).ok());
  CHECK_FALSE(RecordBatchView::Parse(With(good, 21, std::uint16_t{5})).ok());
}

TEST_CASE("RecordBatch: what a producer may not send") {
  const auto good = MakeBatch({"a", "b"}, {.producer_id = 1});
  CHECK(ProducedCode(good) == ErrorCode::kNone);
  CHECK(ProducedCode(With(good, 23, std::int32_t{5})) == ErrorCode::kInvalidRecord);  // delta != count - 1
  CHECK(ProducedCode(With(good, 57, std::int32_t{0})) == ErrorCode::kInvalidRecord);  // no records
  CHECK(ProducedCode(With(good, 21, std::uint16_t{0x20})) == ErrorCode::kInvalidRecord);  // control
  CHECK(ProducedCode(With(good, 21, std::uint16_t{0x80})) == ErrorCode::kInvalidRecord);  // unknown attribute
  CHECK(ProducedCode(With(good, 53, std::int32_t{-1})) == ErrorCode::kInvalidRecord);     // sequence
  CHECK(ProducedCode(With(good, 51, std::int16_t{-1})) == ErrorCode::kInvalidRecord);     // epoch
  CHECK(ProducedCode(With(good, 43, std::int64_t{-2})) == ErrorCode::kInvalidRecord);     // producer id
  auto damaged = good;
  damaged.back() ^= std::byte{1};
  CHECK(ProducedCode(damaged) == ErrorCode::kCorruptMessage);
}

TEST_CASE("RecordBatch: sequences wrap") {
  constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
  CHECK(LastSequence(0, 1) == 0);
  CHECK(LastSequence(5, 10) == 14);
  CHECK(LastSequence(kMax, 1) == kMax);
  CHECK(LastSequence(kMax, 2) == 0);
  CHECK(LastSequence(kMax - 1, 4) == 1);
  CHECK(NextSequence(kMax) == 0);
  CHECK(NextSequence(0) == 1);
}

TEST_CASE("RecordBatch: 20,000 random mutations yield no record outside the batch") {
  std::mt19937_64 random(7);
  const auto good = MakeBatch({"alpha", "beta", "gamma", "delta"}, {.producer_id = 3});
  std::uint64_t records = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = good;
    const std::size_t changes = 1 + random() % 4;
    for (std::size_t i = 0; i < changes; ++i)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    const auto batch = RecordBatchView::Parse(bytes);
    if (!batch.ok()) continue;
    auto iterator = RecordIterator::Open(*batch, 1 << 16);
    if (!iterator.ok()) continue;
    while (iterator->Next()) {
      ++records;
      const auto& value = iterator->record().value;
      if (!value || value->empty() || batch->compression() != Compression::kNone) continue;
      REQUIRE(value->data() >= bytes.data());
      REQUIRE(value->data() + value->size() <= bytes.data() + bytes.size());
    }
  }
  CHECK(records > 1000);
}
