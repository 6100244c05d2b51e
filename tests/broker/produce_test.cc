// What a topic's configuration makes of the batches that are produced to it.
#include <catch2/catch.hpp>

#include "broker/topic/partition.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "tests/support/await_flusher.h"
#include "tests/support/test_topics.h"

using namespace headrace;
using namespace headrace::topic;
using Catch::Contains;
using headrace::testing::AwaitFlusher;
using headrace::testing::BatchOptions;
using headrace::testing::MakeBatch;
using headrace::testing::TestTopics;
using headrace::testing::ValuesOf;

namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

std::vector<std::byte> MakeKeyed(const std::vector<std::optional<std::string>>& keys, Compression codec) {
  RecordBatchBuilder builder(codec);
  for (const auto& key : keys) {
    RecordView record;
    record.timestamp = 1'000;
    if (key) record.key = AsBytes(*key);
    record.value = AsBytes("value");
    builder.Add(record);
  }
  return *builder.Build();
}

std::vector<std::byte> WithAttributes(std::vector<std::byte> batch, std::uint16_t bits) {
  const auto attributes = LoadBigEndian<std::uint16_t>(batch.data() + 21);
  StoreBigEndian(batch.data() + 21, static_cast<std::uint16_t>(attributes | bits));
  SealBatch(batch);
  return batch;
}

// As some clients send it: the header's largest timestamp is not filled in.
std::vector<std::byte> WithoutMaxTimestamp(std::vector<std::byte> batch) {
  StoreBigEndian(batch.data() + 35, TimestampMs{-1});
  SealBatch(batch);
  return batch;
}

RecordBatchView First(const std::vector<std::byte>& batches) {
  const auto batch = RecordBatchView::Parse(batches);
  REQUIRE(batch.ok());
  return *batch;
}

std::vector<TimestampMs> TimestampsOf(const RecordBatchView& batch) {
  std::vector<TimestampMs> timestamps;
  auto records = RecordIterator::Open(batch, kMebibyte);
  REQUIRE(records.ok());
  while (records->Next()) timestamps.push_back(records->record().timestamp);
  REQUIRE(records->status().ok());
  return timestamps;
}

void CheckRefused(const absl::StatusOr<AppendOutcome>& outcome, ErrorCode code, const std::string& text) {
  REQUIRE_FALSE(outcome.ok());
  CHECK(NameOf(CodeOf(outcome.status())) == NameOf(code));
  CHECK_THAT(std::string(MessageOf(outcome.status())), Contains(text));
  CHECK_THAT(std::string(MessageOf(outcome.status())), Catch::StartsWith("t-0: "));
}

}  // namespace

TEST_CASE("Produce: by default a batch is appended as it was sent") {
  TestTopics topics;
  const auto partition = topics.Create({{"durability", "written"}});
  BatchOptions options;
  options.compression = Compression::kZstd;
  REQUIRE(TestTopics::Produce(*partition, MakeBatch({"first"})).ok());  // makes the log's files
  AwaitFlusher(topics.flusher);
  REQUIRE(partition->Trim(1).ok());
  std::vector<std::byte> batch = MakeBatch({"a", "b"}, options);
  auto outcome = TestTopics::Send(*partition, batch);
  // On the caller's thread: no hop.
  REQUIRE(outcome.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
  const auto result = outcome.get();
  REQUIRE(result.ok());
  CHECK(result->base_offset == 1);
  CHECK(result->record_count == 2);
  CHECK(result->log_append_time == -1);
  CHECK(result->log_start_offset == 1);
  StampBatch(batch, 1, 0);
  CHECK(TestTopics::Readable(*partition) == batch);
}

TEST_CASE("Produce: LogAppendTime is the broker's clock, for every record") {
  for (const std::string durability : {"written", "durable"}) {
    CAPTURE(durability);
    TestTopics topics;
    const auto partition =
        topics.Create({{"durability", durability}, {"message.timestamp.type", "LogAppendTime"}});
    const TimestampMs first = topics.clock.WallNow();
    const auto outcome = TestTopics::Produce(*partition, MakeBatch({"a", "b"}));
    REQUIRE(outcome.ok());
    CHECK(outcome->log_append_time == first);
    topics.clock.Advance(std::chrono::milliseconds(50));
    REQUIRE(TestTopics::Produce(*partition, MakeBatch({"c"})).ok());

    const std::vector<std::byte> log = TestTopics::Readable(*partition);
    CHECK(ValuesOf(log) == std::vector<std::string>{"a", "b", "c"});  // checks the CRCs too
    CHECK(First(log).base_timestamp() == 1'000);
    CHECK(First(log).max_timestamp() == first);
    CHECK(TimestampsOf(First(log)) == std::vector<TimestampMs>{first, first});
    // And by that time they are found.
    const auto hit = partition->log().FindTimestamp(first + 1, kMebibyte);
    REQUIRE((hit.ok() && hit->has_value()));
    CHECK((*hit)->offset == 2);
    CHECK((*hit)->timestamp == first + 50);
    const auto begin = partition->log().FindTimestamp(2'000, kMebibyte);
    REQUIRE((begin.ok() && begin->has_value()));
    CHECK((*begin)->offset == 0);
  }
}

TEST_CASE("Produce: compression.type compresses anew whatever was sent otherwise") {
  const std::vector<std::pair<std::string, Compression>> types = {{"uncompressed", Compression::kNone},
                                                                  {"gzip", Compression::kGzip},
                                                                  {"snappy", Compression::kSnappy},
                                                                  {"lz4", Compression::kLz4},
                                                                  {"zstd", Compression::kZstd}};
  TestTopics topics;
  for (const auto& [type, codec] : types) {
    const auto partition = topics.Create({{"compression.type", type}}, "to-" + type);
    std::vector<std::string> expected;
    std::vector<std::byte> sent;
    Offset offset = 0;
    for (const auto& [from, compression] : types) {
      CAPTURE(type, from);
      BatchOptions options;
      options.compression = compression;
      options.producer_id = 7;
      options.producer_epoch = 3;
      options.base_sequence = static_cast<std::int32_t>(offset);
      const std::string value(1'000, from.front());
      const std::vector<std::byte> batch = MakeBatch({value, "x"}, options);
      if (codec == compression) {
        sent = batch;
        StampBatch(sent, offset, 0);
      }
      const auto outcome = TestTopics::Produce(*partition, batch);
      REQUIRE(outcome.ok());
      CHECK(outcome->base_offset == offset);
      offset += 2;
      expected.insert(expected.end(), {value, "x"});
    }
    CAPTURE(type);
    const std::vector<std::byte> log = TestTopics::Readable(*partition);
    CHECK(ValuesOf(log) == expected);
    // The batch that came compressed so already is the same, byte by byte.
    CHECK(std::search(log.begin(), log.end(), sent.begin(), sent.end()) != log.end());
    for (ByteSpan rest = log; !rest.empty();) {
      const auto batch = RecordBatchView::Parse(rest);
      REQUIRE(batch.ok());
      CHECK(batch->compression() == codec);
      CHECK(batch->producer_id() == 7);
      CHECK(batch->producer_epoch() == 3);
      CHECK(batch->base_sequence() == batch->base_offset());
      CHECK(batch->base_timestamp() == 1'000);
      CHECK(batch->max_timestamp() == 1'001);
      rest = rest.subspan(batch->size());
    }
  }
}

TEST_CASE("Produce: append time and compression go together") {
  TestTopics topics;
  const auto partition =
      topics.Create({{"message.timestamp.type", "LogAppendTime"}, {"compression.type", "lz4"}});
  REQUIRE(TestTopics::Produce(*partition, MakeBatch({"a"})).ok());
  const std::vector<std::byte> log = TestTopics::Readable(*partition);
  CHECK(ValuesOf(log) == std::vector<std::string>{"a"});
  CHECK(First(log).compression() == Compression::kLz4);
  CHECK(TimestampsOf(First(log)) == std::vector<TimestampMs>{topics.clock.WallNow()});
}

TEST_CASE("Produce: a compacted topic wants a key in every record") {
  TestTopics topics;
  const auto partition = topics.Create({{"cleanup.policy", "compact"}});
  for (const Compression codec : {Compression::kNone, Compression::kGzip}) {
    CAPTURE(NameOf(codec));
    const auto batch = MakeKeyed({"k", std::nullopt, "k"}, codec);
    CheckRefused(TestTopics::Produce(*partition, batch), ErrorCode::kInvalidRecord,
                 "record 1 of the batch has no key");
    const auto empty_key = MakeKeyed({"k", "", "k"}, codec);
    const auto outcome = TestTopics::Produce(*partition, empty_key);
    REQUIRE(outcome.ok());
    CHECK(outcome->log_append_time == -1);
  }
  CHECK(partition->offsets().high_watermark == 6);
  // Compressed as they were sent.
  CHECK(First(TestTopics::Readable(*partition)).compression() == Compression::kNone);
}

TEST_CASE("Produce: a batch above a limit names it") {
  TestTopics topics;
  const auto partition = topics.Create({{"max.message.bytes", "100000"}, {"segment.bytes", "65536"}});
  const std::string large(100'001, 'x');
  const std::string medium(65'536, 'x');
  CheckRefused(TestTopics::Produce(*partition, MakeBatch({large})), ErrorCode::kMessageTooLarge,
               "the limit is 100000, set by the topic's max.message.bytes");
  CheckRefused(TestTopics::Produce(*partition, MakeBatch({medium})), ErrorCode::kRecordListTooLarge,
               "a segment has 65536, set by the topic's segment.bytes");
  CHECK(TestTopics::Produce(*partition, MakeBatch({std::string(60'000, 'x')})).ok());
}

TEST_CASE("Produce: the limits hold for what a batch is made into") {
  TestTopics topics;
  const auto partition = topics.Create({{"max.message.bytes", "2000"}, {"compression.type", "uncompressed"}});
  BatchOptions options;
  options.compression = Compression::kZstd;
  CheckRefused(TestTopics::Produce(*partition, MakeBatch({std::string(3'000, 'x')}, options)),
               ErrorCode::kMessageTooLarge, "the limit is 2000");
  CHECK(partition->offsets().end == 0);
}

TEST_CASE("Produce: a batch that decompresses to more than 64 MiB is refused") {
  TestTopics topics;
  const auto recompressed = topics.Create({{"compression.type", "gzip"}});
  BatchOptions options;
  options.compression = Compression::kZstd;
  const std::vector<std::byte> bomb = MakeBatch({std::string(kProducedSizeMax, 'x')}, options);
  REQUIRE(bomb.size() < kMebibyte);
  CheckRefused(TestTopics::Produce(*recompressed, bomb), ErrorCode::kMessageTooLarge,
               "more than 67108864 bytes when decompressed");
  CHECK(recompressed->offsets().end == 0);
  // A topic that does not decompress takes it: its readers have limits of their own.
  const auto as_sent = topics.Create({}, "as-sent");
  CHECK(TestTopics::Produce(*as_sent, bomb).ok());
}

TEST_CASE("Produce: what is compressed and does not parse is the producer's mistake") {
  TestTopics topics;
  const auto partition = topics.Create({{"compression.type", "uncompressed"}});
  BatchOptions options;
  options.compression = Compression::kGzip;
  std::vector<std::byte> damaged = MakeBatch({"a", "b"}, options);
  damaged[kBatchHeaderSize + 12] ^= std::byte{0xff};
  SealBatch(damaged);
  CheckRefused(TestTopics::Produce(*partition, damaged), ErrorCode::kInvalidRecord, "gzip: ");

  // More records than are there.
  std::vector<std::byte> short_of_one = MakeBatch({"a", "b"}, options);
  StoreBigEndian(short_of_one.data() + 23, std::int32_t{2});
  StoreBigEndian(short_of_one.data() + 57, std::int32_t{3});
  SealBatch(short_of_one);
  CheckRefused(TestTopics::Produce(*partition, short_of_one), ErrorCode::kInvalidRecord, "");
  CHECK(partition->offsets().end == 0);
}

TEST_CASE("Produce: records are numbered without gaps where the broker looks at them") {
  TestTopics topics;
  const auto partition = topics.Create({{"cleanup.policy", "compact"}});
  std::vector<std::byte> batch = MakeKeyed({"k", "k"}, Compression::kNone);
  // Both records are as long: the second one's offset delta lies as far from the end as the first one's.
  const std::size_t record_size = (batch.size() - kBatchHeaderSize) / 2;
  batch[kBatchHeaderSize + record_size + 3] = std::byte{0};
  SealBatch(batch);
  CheckRefused(TestTopics::Produce(*partition, batch), ErrorCode::kInvalidRecord,
               "record 1 of the batch states number 0");
}

TEST_CASE("Produce: bits that are the broker's are refused") {
  TestTopics topics;
  for (const std::string type : {"CreateTime", "LogAppendTime"}) {
    const auto partition = topics.Create({{"message.timestamp.type", type}}, "t");
    const std::vector<std::byte> batch = MakeBatch({"a"});
    CheckRefused(TestTopics::Produce(*partition, WithAttributes(batch, kAttributeLogAppendTime)),
                 ErrorCode::kInvalidTimestamp, "LogAppendTime");
    CheckRefused(TestTopics::Produce(*partition, WithAttributes(batch, kAttributeTransactional)),
                 ErrorCode::kInvalidTxnState, "transactional");
    CheckRefused(TestTopics::Produce(*partition, WithAttributes(batch, kAttributeControl)),
                 ErrorCode::kInvalidRecord, "control");
    // A bit that flipped on the way is another matter: sending again helps.
    std::vector<std::byte> flipped = batch;
    flipped[22] ^= std::byte{kAttributeLogAppendTime};
    CheckRefused(TestTopics::Produce(*partition, flipped), ErrorCode::kCorruptMessage, "CRC");
    CheckRefused(TestTopics::Produce(*partition, std::vector<std::byte>(batch.begin(), batch.end() - 1)),
                 ErrorCode::kCorruptMessage, "");
    std::vector<std::byte> two = batch;
    two.insert(two.end(), batch.begin(), batch.end());
    CheckRefused(TestTopics::Produce(*partition, two), ErrorCode::kInvalidRecord, "one batch for each");
    REQUIRE(topics.registry->Delete(topics.registry->Find("t")->id).ok());
  }
}

TEST_CASE("Produce: timestamps too far from the broker's clock are refused") {
  TestTopics topics;
  const auto partition = topics.Create(
      {{"message.timestamp.before.max.ms", "10000"}, {"message.timestamp.after.max.ms", "5000"}});
  const auto produce = [&](TimestampMs timestamp) {
    BatchOptions options;
    options.timestamp = timestamp;
    return TestTopics::Produce(*partition, MakeBatch({"a"}, options));
  };
  const TimestampMs now = topics.clock.WallNow();
  CHECK(produce(now - 10'000).ok());
  CHECK(produce(now + 5'000).ok());
  CHECK(produce(-1).ok());  // none stated
  CheckRefused(produce(now - 10'001), ErrorCode::kInvalidTimestamp, "message.timestamp.before.max.ms");
  CheckRefused(produce(now + 5'001), ErrorCode::kInvalidTimestamp, "message.timestamp.after.max.ms");
  CheckRefused(produce(std::numeric_limits<TimestampMs>::min()), ErrorCode::kInvalidTimestamp, "before");
  CheckRefused(produce(std::numeric_limits<TimestampMs>::max() - 1), ErrorCode::kInvalidTimestamp, "after");
  topics.Alter({{"message.timestamp.type", "LogAppendTime"}});
  CHECK(produce(now - 10'001).ok());
}

TEST_CASE(
    "Produce: a largest timestamp that is below the first is made right, so that its records are found") {
  const Compression codec = GENERATE(Compression::kNone, Compression::kZstd);
  const auto rule = GENERATE(std::pair<std::string, std::string>{"compression.type", "producer"},
                             std::pair<std::string, std::string>{"compression.type", "lz4"});
  CAPTURE(NameOf(codec), rule.second);
  TestTopics topics;
  const auto partition = topics.Create({rule});
  BatchOptions options;
  options.compression = codec;
  options.producer_id = 1;
  const std::vector<std::byte> batch = WithoutMaxTimestamp(MakeBatch({"a", "b", "c"}, options));
  REQUIRE(TestTopics::Produce(*partition, batch).ok());
  CHECK(TestTopics::Produce(*partition, batch)->duplicate);
  const std::vector<std::byte> log = TestTopics::Readable(*partition);
  CHECK(ValuesOf(log) == std::vector<std::string>{"a", "b", "c"});  // checks the CRC too
  CHECK(First(log).max_timestamp() == 1'002);
  const auto hit = partition->log().FindTimestamp(1'001, kMebibyte);
  REQUIRE((hit.ok() && hit->has_value()));
  CHECK((*hit)->offset == 1);
  const auto newest = partition->log().FindMaxTimestamp(kMebibyte);
  REQUIRE((newest.ok() && newest->has_value()));
  CHECK((*newest)->offset == 2);
}

TEST_CASE("Produce: a largest timestamp that was made right keeps to the limits") {
  TestTopics topics;
  const auto partition = topics.Create({{"message.timestamp.after.max.ms", "5000"}});
  BatchOptions options;
  options.timestamp = topics.clock.WallNow() + 4'999;
  CHECK(TestTopics::Produce(*partition, WithoutMaxTimestamp(MakeBatch({"a", "b"}, options))).ok());
  CheckRefused(TestTopics::Produce(*partition, WithoutMaxTimestamp(MakeBatch({"a", "b", "c"}, options))),
               ErrorCode::kInvalidTimestamp, "message.timestamp.after.max.ms");
}

TEST_CASE("Produce: the broker's own topics take nothing from clients") {
  TestTopics topics;
  CreateTopicOptions options;
  options.name = "__own";
  options.internal = true;
  const auto topic = topics.registry->Create(options);
  REQUIRE(topic.ok());
  const auto outcome = TestTopics::Produce(*(*topic)->partitions.front(), MakeBatch({"a"}));
  CHECK(CodeOf(outcome.status()) == ErrorCode::kInvalidTopic);
}

TEST_CASE("Produce: a batch sent again is recognised though the broker rewrote the first") {
  TestTopics topics;
  const auto partition = topics.Create({{"message.timestamp.type", "LogAppendTime"}});
  BatchOptions options;
  options.producer_id = 1;
  const std::vector<std::byte> batch = MakeBatch({"a", "b"}, options);
  const auto first = TestTopics::Produce(*partition, batch);
  REQUIRE(first.ok());
  CHECK(first->log_append_time > 0);
  topics.clock.Advance(std::chrono::milliseconds(5));
  const auto again = TestTopics::Produce(*partition, batch);
  REQUIRE(again.ok());
  CHECK(again->duplicate);
  CHECK(again->base_offset == 0);
  CHECK(again->log_append_time == first->log_append_time);
  // Also when the configuration has changed in between.
  topics.Alter({{"message.timestamp.type", ""}});
  const auto later = TestTopics::Produce(*partition, batch);
  REQUIRE(later.ok());
  CHECK(later->duplicate);
  CHECK(partition->offsets().end == 2);
}

TEST_CASE("Produce: a sequence used twice is refused though the broker rewrote the first") {
  const std::string durability = GENERATE("written", "durable");
  const auto rule = GENERATE(std::pair<std::string, std::string>{"message.timestamp.type", "LogAppendTime"},
                             std::pair<std::string, std::string>{"compression.type", "zstd"});
  TestTopics topics;
  const auto partition = topics.Create({{"durability", durability}, rule});
  BatchOptions options;
  options.producer_id = 1;
  const std::vector<std::byte> batch = MakeBatch({"a", "b"}, options);
  REQUIRE(TestTopics::Produce(*partition, batch).ok());
  CheckRefused(TestTopics::Produce(*partition, MakeBatch({"x", "y"}, options)), ErrorCode::kDuplicateSequence,
               "used sequences 0 to 1 twice");
  const auto again = TestTopics::Produce(*partition, batch);
  REQUIRE(again.ok());
  CHECK(again->duplicate);
  CHECK(partition->offsets().end == 2);
}
