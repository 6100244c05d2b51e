#include "headrace/producer.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/fake_broker.h"

namespace headrace {
namespace {

using std::chrono::milliseconds;
using test::FakeBroker;
using test::Fault;

constexpr milliseconds kLong{20'000};

ClientOptions To(const FakeBroker& broker) {
  ClientOptions options(broker.address());
  options.backoff_min = milliseconds(1);
  options.backoff_max = milliseconds(10);
  return options;
}

Producer Connect(const FakeBroker& broker, const ProducerOptions& options = {}) {
  Result<Producer> producer = Producer::Connect(To(broker), "orders", options);
  if (!producer) FAIL(producer.error().message);
  return std::move(*producer);
}

Message To(std::uint32_t partition, std::string_view value) {
  Message message;
  message.partition = partition;
  message.value = value;
  return message;
}

std::vector<std::string> Numbers(int count) {
  std::vector<std::string> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

TEST_CASE("Producer: messages arrive in the order of Send, and each is told its offset") {
  FakeBroker broker;
  Producer producer = Connect(broker);
  std::vector<std::future<Result<Receipt>>> results;
  for (const std::string& number : Numbers(1'000)) results.push_back(producer.SendForResult(To(0, number)));
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Result<Receipt> result = results[i].get();
    REQUIRE(result);
    REQUIRE(result->offset == static_cast<std::int64_t>(i));
  }
  CHECK(broker.Values(0) == Numbers(1'000));
  CHECK(producer.stats().messages_delivered == 1'000);
  CHECK(producer.stats().buffered_bytes == 0);
}

TEST_CASE("Producer: a lone message goes without waiting for others, and those behind it gather") {
  FakeBroker broker;
  Producer producer = Connect(broker);
  REQUIRE(producer.SendForResult(To(0, "first")).get());
  for (int i = 0; i < 10'000; ++i) REQUIRE(producer.Send(To(0, "value")));
  REQUIRE(producer.Flush(kLong));
  const std::vector<std::size_t> sizes = broker.BatchSizes(0);
  CHECK(sizes.front() == 1);
  CHECK(sizes.size() < 1'000);
}

TEST_CASE("Producer: with a linger, messages of one moment share a batch") {
  FakeBroker broker;
  ProducerOptions options;
  options.linger = milliseconds(300);
  Producer producer = Connect(broker, options);
  for (int i = 0; i < 20; ++i) REQUIRE(producer.Send(To(0, "value")));
  std::future<Result<Receipt>> last = producer.SendForResult(To(0, "last"));
  REQUIRE(last.get());
  CHECK(broker.BatchSizes(0) == std::vector<std::size_t>{21});
}

TEST_CASE("Producer: a key stays in one partition, and messages without one spread over all") {
  FakeBroker broker(4);
  ProducerOptions options;
  options.batch_size_max = 300;
  Producer producer = Connect(broker, options);
  for (int i = 0; i < 100; ++i) REQUIRE(producer.Send("21", "keyed"));
  Message message;
  message.value = "free";
  for (int i = 0; i < 400; ++i) REQUIRE(producer.Send(message));
  REQUIRE(producer.Close(kLong));
  for (std::uint32_t p = 0; p < 4; ++p) {
    const std::vector<std::string> values = broker.Values(p);
    const auto keyed = std::count(values.begin(), values.end(), "keyed");
    CHECK(keyed == (p == 1173551340U % 4 ? 100 : 0));
    CHECK(std::count(values.begin(), values.end(), "free") > 20);
  }
}

TEST_CASE("Producer: every codec arrives as it was sent") {
  const Codec codec = GENERATE(Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd);
  FakeBroker broker;
  ProducerOptions options;
  options.compression = codec;
  Producer producer = Connect(broker, options);
  for (const std::string& number : Numbers(500)) REQUIRE(producer.Send(To(0, number)));
  REQUIRE(producer.Close(kLong));
  CHECK(broker.Values(0) == Numbers(500));
}

TEST_CASE("Producer: a message over the limit is refused at once, naming size, limit and where it was set") {
  FakeBroker broker;
  ProducerOptions options;
  options.batch_size_max = 1'000;
  Producer producer = Connect(broker, options);
  const Result<void> sent = producer.Send("key", std::string(2'000, 'x'));
  REQUIRE_FALSE(sent);
  CHECK(sent.error().code == error_number::kMessageTooLarge);
  CHECK_THAT(sent.error().message, Catch::Contains("2089") && Catch::Contains("1000") &&
                                       Catch::Contains("ProducerOptions::batch_size_max"));
  CHECK(producer.Send("key", "small"));
}

TEST_CASE("Producer: a partition that is not there is refused, and so is a topic") {
  FakeBroker broker(2);
  Producer producer = Connect(broker);
  const Result<void> sent = producer.Send(To(2, "value"));
  REQUIRE_FALSE(sent);
  CHECK(sent.error().code == error_number::kInvalidRequest);
  const Result<Producer> missing = Producer::Connect(To(broker), "nothing");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == error_number::kUnknownTopicOrPartition);
}

TEST_CASE("Producer: a full buffer refuses or blocks as told, and takes messages again later") {
  FakeBroker broker;
  std::atomic<bool> silent = true;
  broker.SetFaults(
      [&](std::uint32_t, std::int32_t) { return silent.load() ? Fault::kRefuseRetriable : Fault::kNone; });
  ProducerOptions options;
  options.buffer_size_max = 10'000;
  options.buffer_wait = GENERATE(milliseconds(0), milliseconds(50));
  Producer producer = Connect(broker, options);
  const std::string value(100, 'v');
  int accepted = 0;
  Result<void> sent;
  const auto began = std::chrono::steady_clock::now();
  while ((sent = producer.Send(To(0, value)))) ++accepted;
  CHECK(sent.error().code == error_number::kBufferFull);
  CHECK(sent.error().retriable);
  CHECK(std::chrono::steady_clock::now() - began >= options.buffer_wait);
  CHECK(accepted > 50);
  CHECK(producer.stats().buffered_bytes <= options.buffer_size_max);
  silent = false;
  REQUIRE(producer.Flush(kLong));
  CHECK(producer.Send(To(0, value)));
  REQUIRE(producer.Close(kLong));
  CHECK(broker.Values(0).size() == static_cast<std::size_t>(accepted) + 1);
}

TEST_CASE("Producer: Flush and Close return by their deadline though the broker never answers") {
  FakeBroker broker;
  broker.SetFaults([](std::uint32_t, std::int32_t) { return Fault::kNoAnswer; });
  Producer producer = Connect(broker);
  std::atomic<int> closed_answers = 0;
  REQUIRE(producer.Send(To(0, "silent")));
  REQUIRE(producer.Send(To(0, "told"), [&](const Result<Receipt>& result) {
    if (!result && result.error().code == error_number::kClosed) ++closed_answers;
  }));
  const auto began = std::chrono::steady_clock::now();
  const Result<void> flushed = producer.Flush(milliseconds(50));
  REQUIRE_FALSE(flushed);
  CHECK(flushed.error().code == error_number::kTimedOut);
  CHECK_THAT(flushed.error().message, Catch::Contains("2 messages"));
  const Result<void> closed = producer.Close(milliseconds(50));
  CHECK_FALSE(closed);
  CHECK(closed_answers == 1);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
  CHECK(producer.Send(To(0, "late")).error().code == error_number::kClosed);
}

TEST_CASE("Producer: a message not answered within the delivery timeout fails, and Flush tells of it") {
  FakeBroker broker;
  ProducerOptions options;
  options.delivery_timeout = milliseconds(100);
  Producer producer = Connect(broker, options);
  broker.Stop();
  const Result<Receipt> told = [&] {
    REQUIRE(producer.Send(To(0, "silent")));
    return producer.SendForResult(To(0, "told")).get();
  }();
  REQUIRE_FALSE(told);
  CHECK(told.error().code == error_number::kTimedOut);
  CHECK_THAT(told.error().message, Catch::Contains("delivery_timeout"));
  const Result<void> flushed = producer.Flush(kLong);
  REQUIRE_FALSE(flushed);
  CHECK_THAT(flushed.error().message, Catch::Contains("1 messages were not delivered"));
  CHECK(producer.Flush(kLong));
  broker.Start();
  CHECK(producer.SendForResult(To(0, "after")).get());
}

TEST_CASE("Producer: without acknowledgements messages arrive, and offsets are not known") {
  FakeBroker broker;
  ProducerOptions options;
  options.acknowledge = false;
  Producer producer = Connect(broker, options);
  for (const std::string& number : Numbers(500)) REQUIRE(producer.SendForResult(To(0, number)).get());
  for (int i = 500; i < 1'000; ++i) REQUIRE(producer.Send(To(0, std::to_string(i))));
  const Result<Receipt> last = producer.SendForResult(To(0, "1000")).get();
  REQUIRE(last);
  CHECK(last->offset == -1);
  REQUIRE(producer.Close(kLong));
  // What the system took is on its way; a second connection's answer comes after the broker has read it only
  // by chance, so wait for the log itself.
  const auto deadline = std::chrono::steady_clock::now() + kLong;
  while (broker.Values(0).size() < 1'001 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  CHECK(broker.Values(0) == Numbers(1'001));
}

TEST_CASE("Producer: several threads may send at once") {
  FakeBroker broker(2);
  Producer producer = Connect(broker);
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (const std::string& number : Numbers(2'000)) {
        if (!producer.Send(To(t % 2, std::to_string(t) + ":" + number))) ++refused;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(producer.Close(kLong));
  CHECK(refused == 0);
  for (std::uint32_t t = 0; t < 4; ++t) {
    std::vector<std::string> own;
    for (const std::string& value : broker.Values(t % 2)) {
      if (value.front() == static_cast<char>('0' + t)) own.push_back(value.substr(2));
    }
    CHECK(own == Numbers(2'000));
  }
}

}  // namespace
}  // namespace headrace
