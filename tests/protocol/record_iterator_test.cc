#include "protocol/core/record_iterator.h"

#include <catch2/catch.hpp>

#include <utility>

#include "protocol/core/crc32c.h"
#include "protocol/core/error_code.h"
#include "tests/support/batches.h"

using namespace headrace;
using headrace::testing::MakeBatch;
using headrace::testing::ValuesOf;

namespace {

constexpr std::size_t kSizeMax = 1 << 20;
const Compression kCodec = Compression::kNone;

std::vector<std::byte> BuildRich(Compression codec) {
  RecordBatchBuilder builder(codec);
  const std::vector<RecordHeaderView> headers = {
      {"trace", AsBytes("abc")}, {"null", std::nullopt}, {"", AsBytes("")}};
  RecordView record;
  record.timestamp = 1'000;
  record.key = AsBytes("key");
  record.value = AsBytes("value");
  record.headers = headers;
  builder.Add(record);
  record = {};
  record.timestamp = 900;  // before the first: a negative delta
  builder.Add(record);
  record.value = ByteSpan();  // empty is not null
  builder.Add(record);
  return *builder.Build();
}

// Walks a batch of one record, whose bytes after its length are `body`.
absl::Status WalkOne(const std::string& body) {
  auto bytes = MakeBatch({"a record that is long enough"});
  bytes.resize(kBatchHeaderSize);
  bytes.push_back(static_cast<std::byte>(2 * body.size()));
  for (const char c : body) bytes.push_back(static_cast<std::byte>(c));
  StoreBigEndian(bytes.data() + 8, static_cast<std::int32_t>(bytes.size() - kBatchLengthEnd));
  const auto batch = RecordBatchView::Parse(bytes);
  if (!batch.ok()) return MakeError(ErrorCode::kCorruptMessage, MessageOf(batch.status()));
  auto records = RecordIterator::Open(*batch, kSizeMax);
  REQUIRE(records.ok());
  while (records->Next()) {
  }
  return records->status();
}

}  // namespace

TEST_CASE("RecordIterator: what was built comes back, with every codec") {
  for (int codec = 0; codec <= 4; ++codec) {
    CAPTURE(codec);
    auto bytes = BuildRich(static_cast<Compression>(codec));
    StampBatch(bytes, 77, 1);
    const auto batch = RecordBatchView::Parse(bytes);
    REQUIRE(batch.ok());
    CHECK(batch->max_timestamp() == 1'000);
    auto records = RecordIterator::Open(*batch, kSizeMax);
    REQUIRE(records.ok());
    REQUIRE(records->Next());
    CHECK(records->record().offset == 77);
    CHECK(records->record().timestamp == 1'000);
    CHECK(AsText(*records->record().key) == "key");
    CHECK(AsText(*records->record().value) == "value");
    REQUIRE(records->record().headers.size() == 3);
    CHECK(records->record().headers[0].key == "trace");
    CHECK(AsText(*records->record().headers[0].value) == "abc");
    CHECK_FALSE(records->record().headers[1].value.has_value());
    CHECK(records->record().headers[2].value.has_value());
    REQUIRE(records->Next());
    CHECK(records->record().offset == 78);
    CHECK(records->record().timestamp == 900);
    CHECK_FALSE(records->record().key.has_value());
    CHECK_FALSE(records->record().value.has_value());
    REQUIRE(records->Next());
    CHECK(records->record().value.has_value());
    CHECK(records->record().value->empty());
    CHECK_FALSE(records->Next());
    CHECK(records->status().ok());
  }
}

TEST_CASE("RecordIterator: it may be moved between records") {
  const auto bytes = BuildRich(Compression::kZstd);
  auto first = RecordIterator::Open(*RecordBatchView::Parse(bytes), kSizeMax);
  REQUIRE(first->Next());
  RecordIterator second = *std::move(first);
  CHECK(AsText(*second.record().value) == "value");
  CHECK(second.record().headers[0].key == "trace");
  CHECK(second.Next());
}

TEST_CASE("RecordIterator: the record area cut at every byte is refused") {
  const auto good = BuildRich(kCodec);
  for (std::size_t size = kBatchHeaderSize; size < good.size(); ++size) {
    std::vector<std::byte> bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    StoreBigEndian(bytes.data() + 8, static_cast<std::int32_t>(size - kBatchLengthEnd));
    const auto batch = RecordBatchView::Parse(bytes);
    if (!batch.ok()) continue;  // too small for its records by the header alone
    auto records = RecordIterator::Open(*batch, kSizeMax);
    REQUIRE(records.ok());
    while (records->Next()) {
    }
    CAPTURE(size);
    CHECK(CodeOf(records->status()) == ErrorCode::kCorruptMessage);
  }
}

TEST_CASE("RecordIterator: bytes left over, and counts that do not match, are refused") {
  auto bytes = MakeBatch({"a", "b"});
  StoreBigEndian(bytes.data() + 57, std::int32_t{1});
  auto records = RecordIterator::Open(*RecordBatchView::Parse(bytes), kSizeMax);
  CHECK(records->Next());
  CHECK_FALSE(records->Next());
  CHECK(CodeOf(records->status()) == ErrorCode::kCorruptMessage);
}

TEST_CASE("RecordIterator: a record that lies about itself is refused") {
  // attributes, timestamp delta, offset delta, key length, value length, header count, as zig-zag varints
  const std::string good("\0\0\0\1\1\0", 6);
  REQUIRE(WalkOne(good).ok());
  const std::pair<std::string, const char*> bodies[] = {
      {"", "empty"},
      {std::string("\0\0\0\1\1\0\0", 7), "a byte left over"},
      {std::string("\0\0\0\1\1", 5), "no header count"},
      {std::string("\0\0\1\1\1\0", 6), "offset delta -1"},
      {std::string("\0\0\2\1\1\0", 6), "offset delta 1, the batch's last is 0"},
      {std::string("\0\0\0\3\1\0", 6), "key length -2"},
      {std::string("\0\0\0\1\3\0", 6), "value length -2"},
      {std::string("\0\0\0\x7e\1\0", 6), "key of 63 bytes"},
      {std::string("\0\0\0\1\x7e\0", 6), "value of 63 bytes"},
      {std::string("\0\0\0\1\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1\0", 15), "value of 2^63-1 bytes"},
      {std::string("\0\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0", 15), "value of -2^63 bytes"},
      {std::string("\0\0\0\1\1\1", 6), "-1 headers"},
      {std::string("\0\0\0\1\1\x7e", 6), "63 headers"},
      {std::string("\0\0\0\1\1\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1", 15), "2^63-1 headers"},
      {std::string("\0\0\0\1\1\2\1\1", 8), "a header without a key"},
      {std::string("\0\0\0\1\1\2\x10\1", 8), "a header's key of 8 bytes"},
      {std::string("\0\0\0\1\1\2\0\x10", 8), "a header's value of 8 bytes"},
  };
  for (const auto& [body, what] : bodies) {
    CAPTURE(what);
    CHECK(CodeOf(WalkOne(body)) == ErrorCode::kCorruptMessage);
  }
}

TEST_CASE("RecordIterator: a negative record length is refused") {
  auto bytes = MakeBatch({"a"});
  bytes[kBatchHeaderSize] = std::byte{1};
  auto records = RecordIterator::Open(*RecordBatchView::Parse(bytes), kSizeMax);
  CHECK_FALSE(records->Next());
  CHECK(CodeOf(records->status()) == ErrorCode::kCorruptMessage);
}

TEST_CASE("RecordIterator: the decompressed size is limited") {
  const auto bytes = MakeBatch({std::string(5'000, 'a')}, {.compression = Compression::kZstd});
  CHECK(RecordIterator::Open(*RecordBatchView::Parse(bytes), 6'000).ok());
  CHECK(CodeOf(RecordIterator::Open(*RecordBatchView::Parse(bytes), 4'999).status()) ==
        ErrorCode::kMessageTooLarge);
}

TEST_CASE("RecordIterator: the log's append time stands for every record") {
  auto bytes = MakeBatch({"a", "b"}, {.timestamp = 5});
  StoreBigEndian(bytes.data() + 21, kAttributeLogAppendTime);
  StoreBigEndian(bytes.data() + 35, std::int64_t{9'999});
  auto records = RecordIterator::Open(*RecordBatchView::Parse(bytes), kSizeMax);
  while (records->Next()) CHECK(records->record().timestamp == 9'999);
  CHECK(records->status().ok());
}

TEST_CASE("RecordBatchBuilder: timestamps of any distance come back") {
  const TimestampMs timestamps[] = {INT64_MIN, INT64_MAX, 0, -1, INT64_MIN + 1};
  RecordBatchBuilder builder;
  for (const TimestampMs timestamp : timestamps) builder.Add({.timestamp = timestamp});
  const auto bytes = *builder.Build();
  CHECK(RecordBatchView::Parse(bytes)->max_timestamp() == INT64_MAX);
  auto records = RecordIterator::Open(*RecordBatchView::Parse(bytes), kSizeMax);
  for (const TimestampMs timestamp : timestamps) {
    REQUIRE(records->Next());
    CHECK(records->record().timestamp == timestamp);
  }
}

TEST_CASE("RecordBatchBuilder: reusable, and its bounds hold") {
  RecordBatchBuilder builder;
  for (int round = 0; round < 3; ++round) {
    RecordView record;
    record.value = AsBytes("same");
    const std::size_t before = builder.empty() ? kBatchHeaderSize : builder.size();
    builder.Add(record);
    const std::size_t size = builder.size();
    CHECK(builder.size() - before <= RecordBatchBuilder::RecordSizeMax(record));
    CHECK(builder.count() == 1);
    const auto batch = *builder.Build();
    CHECK(batch.size() == size);
    CHECK(ValuesOf(batch) == std::vector<std::string>{"same"});
    CHECK(builder.empty());
  }
}
