#include "headrace/consumer.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "headrace/producer.h"
#include "tests/support/fake_broker.h"

namespace headrace {
namespace {

using std::chrono::milliseconds;
using test::FakeBroker;

constexpr milliseconds kLong{20'000};
using Values = std::vector<std::string>;

ClientOptions To(const FakeBroker& broker) {
  ClientOptions options(broker.address());
  options.backoff_min = milliseconds(1);
  options.backoff_max = milliseconds(10);
  return options;
}

Consumer Connect(const FakeBroker& broker, const ConsumerOptions& options = {}) {
  Result<Consumer> consumer = Consumer::Connect(To(broker), "orders", options);
  if (!consumer) FAIL(consumer.error().message);
  return std::move(*consumer);
}

ConsumerOptions ToTheEnd() {
  ConsumerOptions options;
  options.stop_at_end = true;
  return options;
}

Values ReadToEnd(Consumer& consumer) {
  Values values;
  for (const Record& record : consumer) values.emplace_back(record.value.value());
  if (consumer.error()) FAIL(consumer.error()->message);
  return values;
}

// The next `count` values, one by one.
Values Read(Consumer& consumer, std::size_t count) {
  Values values;
  while (values.size() < count) {
    const Result<const Record*> record = consumer.Next(kLong);
    if (!record) FAIL(record.error().message);
    REQUIRE(*record != nullptr);
    values.emplace_back((*record)->value.value());
  }
  return values;
}

Error FailureOf(Consumer& consumer) {
  while (true) {
    const Result<Records> records = consumer.Poll(kLong);
    if (!records) return records.error();
    if (records->empty()) FAIL("no failure came");
  }
}

TEST_CASE("Consumer: reads from the beginning to the end it found, whatever the codec") {
  const Compression codec = GENERATE(Compression::kNone, Compression::kZstd, Compression::kLz4);
  FakeBroker broker;
  broker.Append(0, {"a", "b"}, codec);
  broker.Append(0, {"c"}, codec);
  Consumer consumer = Connect(broker, ToTheEnd());
  broker.Append(0, {"later"}, codec);
  CHECK(ReadToEnd(consumer) == Values{"a", "b", "c"});
  CHECK(consumer.position(0) == 3);
  const Result<Records> more = consumer.Poll(kLong);
  REQUIRE(more);
  CHECK(more->ended);
}

TEST_CASE("Consumer: an empty topic ends at once, and waits if not told to end") {
  FakeBroker broker(3);
  Consumer ending = Connect(broker, ToTheEnd());
  CHECK(ReadToEnd(ending).empty());
  Consumer waiting = Connect(broker);
  const Result<Records> none = waiting.Poll(milliseconds(10));
  REQUIRE(none);
  CHECK(none->empty());
  CHECK_FALSE(none->ended);
  CHECK(waiting.caught_up());
}

TEST_CASE("Consumer: begins inside a batch with the record asked for") {
  FakeBroker broker;
  broker.Append(0, {"a", "b", "c", "d"});
  ConsumerOptions options = ToTheEnd();
  options.start = Start::At(2);
  Consumer consumer = Connect(broker, options);
  CHECK(ReadToEnd(consumer) == Values{"c", "d"});
}

TEST_CASE("Consumer: from the end it sees what comes after") {
  FakeBroker broker;
  broker.Append(0, {"old"});
  ConsumerOptions options;
  options.start = Start::End();
  Consumer consumer = Connect(broker, options);
  broker.Append(0, {"new"});
  const Result<const Record*> record = consumer.Next(kLong);
  REQUIRE(record);
  REQUIRE(*record != nullptr);
  CHECK((*record)->value == "new");
  CHECK((*record)->offset == 1);
  CHECK_FALSE((*record)->key.has_value());
  CHECK((*record)->headers.empty());
}

TEST_CASE("Consumer: keys, nulls, headers and timestamps are those that were sent") {
  FakeBroker broker;
  ProducerOptions one_batch;
  one_batch.linger = kLong;  // until Close
  Result<Producer> producer = Producer::Connect(To(broker), "orders", one_batch);
  REQUIRE(producer);
  const std::array headers{Header{"trace", "1"}, Header{"empty", ""}, Header{"null", std::nullopt}};
  REQUIRE(producer->Send({"key", "value", headers, 1'700'000'000'123, 0}));
  REQUIRE(producer->Send({std::nullopt, std::nullopt, {}, 5, 0}));
  REQUIRE(producer->Send({"", "", std::span(headers).first(1), 6, 0}));
  REQUIRE(producer->Close(kLong));
  Consumer consumer = Connect(broker);
  const Result<Records> records = consumer.Poll(kLong);
  REQUIRE(records);
  REQUIRE(records->size() == 3);
  const Record& first = records->records[0];
  CHECK(first.key == "key");
  CHECK(first.value == "value");
  CHECK(first.timestamp_ms == 1'700'000'000'123);
  REQUIRE(first.headers.size() == 3);
  CHECK(first.headers[0].key == "trace");
  CHECK(first.headers[0].value == "1");
  CHECK(first.headers[1].value == "");
  CHECK_FALSE(first.headers[2].value.has_value());
  CHECK_FALSE(records->records[1].key.has_value());
  CHECK_FALSE(records->records[1].value.has_value());
  CHECK(records->records[1].headers.empty());
  CHECK(records->records[2].key == "");
  CHECK(records->records[2].headers.size() == 1);
  CHECK(records->records[2].offset == 2);
}

TEST_CASE("Consumer: several partitions, each in its order, some left out") {
  FakeBroker broker(3);
  for (std::uint32_t p = 0; p < 3; ++p) {
    for (int i = 0; i < 50; ++i) broker.Append(p, {std::to_string(p) + ":" + std::to_string(i)});
  }
  ConsumerOptions options = ToTheEnd();
  options.partitions = {0, 2};
  options.offsets = {{2, 48}};
  Consumer consumer = Connect(broker, options);
  std::map<std::uint32_t, Values> values;
  for (const Record& record : consumer) values[record.partition].emplace_back(record.value.value());
  REQUIRE(values.size() == 2);
  CHECK(values[0].size() == 50);
  CHECK(values[0].back() == "0:49");
  CHECK(values[2] == Values{"2:48", "2:49"});
  CHECK(consumer.position(1) == -1);
}

TEST_CASE("Consumer: the window bounds what the broker sends ahead") {
  FakeBroker broker;
  const std::string value(1'000, 'v');
  for (int i = 0; i < 200; ++i) broker.Append(0, {value});
  ConsumerOptions options = ToTheEnd();
  options.window_size = 10'000;
  Consumer consumer = Connect(broker, options);
  REQUIRE(Read(consumer, 1).size() == 1);
  // One batch may go beyond the credit, and a quarter of the window may have been returned.
  CHECK(broker.pushed_bytes() <= 10'000 + 2'500 + 2 * 1'100);
  CHECK(ReadToEnd(consumer).size() == 199);
  CHECK(broker.credit_requests() > 10);
}

TEST_CASE("Consumer: a chunk holds no more records than asked, and Poll and Next agree on positions") {
  FakeBroker broker;
  broker.Append(0, Values(10, "v"));
  ConsumerOptions options;
  options.poll_records_max = 4;
  Consumer consumer = Connect(broker, options);
  CHECK(Read(consumer, 1).size() == 1);
  CHECK(consumer.position(0) == 1);
  const Result<Records> rest = consumer.Poll(kLong);
  REQUIRE(rest);
  CHECK(rest->size() == 3);
  CHECK(consumer.position(0) == 4);
  CHECK(consumer.Poll(kLong)->size() == 4);
  CHECK(consumer.Poll(kLong)->size() == 2);
  CHECK(consumer.position(0) == 10);
}

TEST_CASE("Consumer: goes on where it was after the broker restarted, without a gap or a repetition") {
  FakeBroker broker(2);
  Values expected;
  for (int i = 0; i < 100; ++i) {
    broker.Append(0, {std::to_string(i), std::to_string(i) + "b"});
    expected.push_back(std::to_string(i));
    expected.push_back(std::to_string(i) + "b");
  }
  ConsumerOptions options = ToTheEnd();
  options.window_size = 500;
  Consumer consumer = Connect(broker, options);
  Values values;
  while (values.size() < 200) {
    for (std::string& value : Read(consumer, 25)) values.push_back(std::move(value));
    broker.Stop();
    broker.Start();
  }
  CHECK(values == expected);
  CHECK(broker.connections_accepted() > 5);
}

TEST_CASE(
    "Consumer: a broker out of reach is a retriable error after a while, and reading goes on when it is "
    "back") {
  FakeBroker broker;
  broker.Append(0, {"a"});
  ConsumerOptions options;
  options.unreachable_after = milliseconds(50);
  Consumer consumer = Connect(broker, options);
  CHECK(Read(consumer, 1) == Values{"a"});
  broker.Stop();
  const Error failure = [&] {
    const Result<Records> records = consumer.Poll(kLong);
    return records ? Error{} : records.error();
  }();
  CHECK(failure.code == error_number::kNetwork);
  CHECK(failure.retriable);
  broker.Append(0, {"b"});
  broker.Start();
  Result<const Record*> next = consumer.Next(kLong);
  while (!next && next.error().retriable) next = consumer.Next(kLong);
  REQUIRE(next);
  CHECK((*next)->value == "b");
}

TEST_CASE(
    "Consumer: a broker that hangs is noticed like one that is gone; one with nothing to say is left alone") {
  FakeBroker broker;
  broker.Append(0, {"a"});
  ConsumerOptions options;
  options.unreachable_after = milliseconds(900);
  ClientOptions client = To(broker);
  client.connect_timeout = milliseconds(100);
  Result<Consumer> consumer = Consumer::Connect(client, "orders", options);
  REQUIRE(consumer);
  CHECK(Read(*consumer, 1) == Values{"a"});
  const std::size_t frames = broker.frames_received();
  while (broker.frames_received() < frames + 2) REQUIRE(consumer->Poll(milliseconds(20)));
  CHECK(broker.connections_accepted() == 1);
  broker.SetSilent(true);
  const Result<Records> hung = consumer->Poll(kLong);
  REQUIRE_FALSE(hung);
  CHECK(hung.error().code == error_number::kNetwork);
  CHECK(hung.error().retriable);
  broker.SetSilent(false);
  broker.Append(0, {"b"});
  Result<const Record*> next = consumer->Next(kLong);
  while (!next && next.error().retriable) next = consumer->Next(kLong);
  REQUIRE(next);
  CHECK((*next)->value == "b");
}

TEST_CASE(
    "Consumer: a damaged batch is an error with its place, after what came before it; Skip goes past it") {
  FakeBroker broker;
  broker.Append(0, {"a", "b"});
  broker.Append(0, {"damaged", "too"});
  broker.Append(0, {"c"});
  broker.Damage(0, 2);
  Consumer consumer = Connect(broker, ToTheEnd());
  CHECK(Read(consumer, 2) == Values{"a", "b"});
  const Error failure = FailureOf(consumer);
  CHECK(failure.code == error_number::kCorruptMessage);
  CHECK_THAT(failure.message, Catch::Contains("topic orders, partition 0") && Catch::Contains("offset 2"));
  CHECK(FailureOf(consumer).code == error_number::kCorruptMessage);
  CHECK(consumer.position(0) == 2);
  CHECK_FALSE(consumer.Skip(0, 1));
  REQUIRE(consumer.Skip(0, 2));
  CHECK(ReadToEnd(consumer) == Values{"c"});
}

TEST_CASE("Consumer: without the check of checksums a damaged value is handed out as it came") {
  FakeBroker broker;
  broker.Append(0, {"aaaa"});
  ConsumerOptions options = ToTheEnd();
  options.check_crc = false;
  broker.Damage(0, 0);
  Consumer consumer = Connect(broker, options);
  const Result<const Record*> record = consumer.Next(kLong);
  // The damaged byte is the last: the number of headers, which then does not parse.
  REQUIRE_FALSE(record);
  CHECK(record.error().code == error_number::kCorruptMessage);
  CHECK_THAT(record.error().message, Catch::Contains("header"));
}

TEST_CASE("Consumer: an offset out of range is an error with the valid range, until Seek") {
  FakeBroker broker;
  broker.Append(0, {"a", "b", "c", "d"});
  broker.Append(0, {"e"});
  broker.TrimTo(0, 4);
  ConsumerOptions options = ToTheEnd();
  options.start = Start::At(2);
  Consumer consumer = Connect(broker, options);
  const Error failure = FailureOf(consumer);
  CHECK(failure.code == error_number::kOffsetOutOfRange);
  CHECK_THAT(failure.message, Catch::Contains("4 to 5"));
  CHECK(FailureOf(consumer).code == error_number::kOffsetOutOfRange);
  CHECK(consumer.positions().front().start_offset == 4);
  REQUIRE(consumer.Seek(0, 4));
  CHECK(ReadToEnd(consumer) == Values{"e"});
}

TEST_CASE("Consumer: a start behind the end is out of range, not an end that was reached") {
  FakeBroker broker(2);
  broker.Append(0, {"a", "b"});
  broker.Append(1, {"c"});
  ConsumerOptions options = GENERATE(ConsumerOptions(), ToTheEnd());
  options.name = "billing";
  options.start = Start::At(2);
  Consumer consumer = Connect(broker, options);
  const Error failure = FailureOf(consumer);
  CHECK(failure.code == error_number::kOffsetOutOfRange);
  CHECK(failure.message == "topic orders, partition 1: offset 2 is out of range; valid offsets are 0 to 1");
  CHECK_FALSE(failure.retriable);
  REQUIRE(consumer.Commit());  // of the other partition alone
  CHECK(broker.committed() ==
        std::map<std::pair<std::string, std::uint32_t>, std::int64_t>{{{"billing", 0}, 2}});
  REQUIRE(consumer.Seek(1, 0));
  CHECK(Read(consumer, 1) == Values{"c"});
}

TEST_CASE("Consumer: Seek moves one partition and leaves the others where they were") {
  FakeBroker broker(2);
  for (int i = 0; i < 10; ++i) {
    broker.Append(0, {"a" + std::to_string(i)});
    broker.Append(1, {"b" + std::to_string(i)});
  }
  Consumer consumer = Connect(broker, ToTheEnd());
  const Values first = ReadToEnd(consumer);
  CHECK(first.size() == 20);
  REQUIRE(consumer.Seek(1, 7));
  CHECK(ReadToEnd(consumer) == Values{"b7", "b8", "b9"});
  REQUIRE(consumer.Seek(0, 8));
  REQUIRE(Read(consumer, 1) == Values{"a8"});
  REQUIRE(consumer.Seek(1, 9));
  Values rest = ReadToEnd(consumer);
  std::sort(rest.begin(), rest.end());
  CHECK(rest == Values{"a9", "b9"});
  CHECK_FALSE(consumer.Seek(2, 0));
}

TEST_CASE("Consumer: a topic that was created again is an error, not another topic's records") {
  FakeBroker broker;
  broker.Append(0, {"a"});
  Consumer consumer = Connect(broker);
  CHECK(Read(consumer, 1) == Values{"a"});
  broker.RecreateTopic();
  broker.DropConnections();
  CHECK(FailureOf(consumer).code == error_number::kUnknownTopicId);
}

TEST_CASE("Consumer: a named consumer goes on where it committed") {
  FakeBroker broker(2);
  broker.Append(0, {"a", "b", "c"});
  broker.Append(1, {"x"});
  ConsumerOptions options = ToTheEnd();
  options.name = "billing";
  options.partitions = {0};
  options.start = Start::Committed();
  Consumer first = Connect(broker, options);
  CHECK(Read(first, 2) == Values{"a", "b"});
  REQUIRE(first.Commit());
  CHECK(broker.committed() ==
        std::map<std::pair<std::string, std::uint32_t>, std::int64_t>{{{"billing", 0}, 2}});
  first.Close();
  CHECK(first.Commit().error().code == error_number::kClosed);
  options.partitions.clear();
  Consumer second = Connect(broker, options);
  Values values = ReadToEnd(second);
  std::sort(values.begin(), values.end());
  CHECK(values == Values{"c", "x"});
}

TEST_CASE("Consumer: to commit or to begin at committed positions, it must have a name") {
  FakeBroker broker;
  Consumer consumer = Connect(broker);
  CHECK(consumer.Commit().error().code == error_number::kInvalidRequest);
  ConsumerOptions options;
  options.start = Start::Committed();
  CHECK(Consumer::Connect(To(broker), "orders", options).error().code == error_number::kInvalidRequest);
}

TEST_CASE("Consumer: what compaction took away is passed over, to the end and by every position") {
  FakeBroker broker;
  broker.AppendCompacted(0, 5, {});
  broker.Append(0, {"a"});             // 5
  broker.AppendCompacted(0, 4, {1});   // 7 of 6 to 9
  broker.AppendCompacted(0, 3, {0});   // 10 of 10 to 12
  broker.AppendCompacted(0, 100, {});  // 13 to 112
  ConsumerOptions options = ToTheEnd();
  SECTION("record by record") {
    Consumer consumer = Connect(broker, options);
    std::vector<std::int64_t> offsets;
    for (const Record& record : consumer) offsets.push_back(record.offset);
    CHECK_FALSE(consumer.error());
    CHECK(offsets == std::vector<std::int64_t>{5, 7, 10});
    CHECK(consumer.position(0) == 113);
    CHECK(consumer.caught_up());
  }
  SECTION("beginning where there is nothing") {
    options.start = Start::At(GENERATE(8, 9, 10));
    Consumer consumer = Connect(broker, options);
    CHECK(ReadToEnd(consumer) == Values{"kept"});
    CHECK(consumer.position(0) == 113);
  }
  SECTION("ending where there is nothing, and going on over lost connections") {
    Consumer consumer = Connect(broker);
    CHECK(Read(consumer, 3) == Values{"a", "kept", "kept"});
    broker.DropConnections();
    broker.Append(0, {"z"});
    const Result<const Record*> next = consumer.Next(kLong);
    REQUIRE(next);
    REQUIRE(*next != nullptr);
    CHECK((*next)->offset == 113);
  }
}

TEST_CASE("Consumer: Interrupt ends a wait, once") {
  FakeBroker broker;
  Consumer consumer = Connect(broker);
  std::thread other([&] { consumer.Interrupt(); });
  const Result<Records> records = consumer.Poll(kLong);
  other.join();
  REQUIRE_FALSE(records);
  CHECK(records.error().code == error_number::kInterrupted);
  CHECK(consumer.Poll(milliseconds(1)));
}

TEST_CASE("Consumer: Connect fails by its deadline where nothing answers") {
  // A listener that takes connections and says nothing.
  const FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ClientOptions options("127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  options.connect_timeout = milliseconds(50);
  const Result<Consumer> silent = Consumer::Connect(options, "orders");
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == error_number::kNetwork);
  CHECK_THAT(silent.error().message, Catch::Contains("handshake"));
}

}  // namespace
}  // namespace headrace
