#include <atomic>
#include <catch2/catch.hpp>
#include <ctime>
#include <future>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "headrace/producer.h"
#include "tests/support/fake_broker.h"

namespace headrace {
namespace {

using std::chrono::milliseconds;
using test::FakeBroker;
using test::Fault;

constexpr milliseconds kLong{60'000};
constexpr std::uint32_t kPartitions = 3;
constexpr int kMessages = 3'000;

Producer Connect(const FakeBroker& broker) {
  ClientOptions options(broker.address());
  options.backoff_min = milliseconds(1);
  options.backoff_max = milliseconds(5);
  ProducerOptions producer_options;
  producer_options.batch_size_max = 400;  // many small batches, so that many are on their way at once
  Result<Producer> producer = Producer::Connect(options, "orders", producer_options);
  if (!producer) FAIL(producer.error().message);
  return std::move(*producer);
}

Message ValueTo(std::uint32_t partition, std::string_view value) {
  Message message;
  message.value = value;
  message.partition = partition;
  return message;
}

Result<void> SendNumbers(Producer& producer) {
  for (int i = 0; i < kMessages; ++i) {
    const std::string value = std::to_string(i);
    const std::uint32_t partition = static_cast<std::uint32_t>(i) % kPartitions;
    if (Result<void> sent = producer.Send(ValueTo(partition, value)); !sent) return sent;
  }
  return {};
}

// Each partition holds its numbers, all of them, once and in order.
void CheckComplete(const FakeBroker& broker) {
  for (std::uint32_t p = 0; p < kPartitions; ++p) {
    std::vector<std::string> expected;
    for (int i = static_cast<int>(p); i < kMessages; i += static_cast<int>(kPartitions)) {
      expected.push_back(std::to_string(i));
    }
    CHECK(broker.Values(p) == expected);
  }
}

// Every `period`th batch meets the fault, at most `times` times.
FakeBroker::FaultPlan Every(int period, Fault fault, int times = 1'000) {
  return [=, count = 0, left = times](std::uint32_t, std::int32_t) mutable {
    if (++count % period != 0 || left == 0) return Fault::kNone;
    --left;
    return fault;
  };
}

TEST_CASE("Producer: nothing is lost, doubled or reordered when the broker misbehaves") {
  const Fault fault = GENERATE(Fault::kDropBeforeAppend, Fault::kDropAfterAppend, Fault::kRefuseRetriable,
                               Fault::kTimeOutAppended);
  CAPTURE(static_cast<int>(fault));
  FakeBroker broker(kPartitions);
  broker.SetFaults(Every(7, fault));
  Producer producer = Connect(broker);
  REQUIRE(SendNumbers(producer));
  const Result<void> closed = producer.Close(kLong);
  if (!closed) FAIL(closed.error().message);
  CheckComplete(broker);
  CHECK(producer.stats().retries > 0);
}

TEST_CASE("Producer: nothing is lost, doubled or reordered in a storm of all troubles") {
  const auto seed = GENERATE(range(1U, 21U));
  CAPTURE(seed);
  FakeBroker broker(kPartitions);
  broker.SetFaults([random = std::minstd_rand(seed)](std::uint32_t, std::int32_t) mutable {
    constexpr std::array kFaults{Fault::kDropBeforeAppend, Fault::kDropAfterAppend, Fault::kRefuseRetriable,
                                 Fault::kTimeOutAppended};
    const auto draw = random() % 24;
    return draw < kFaults.size() ? kFaults[draw] : Fault::kNone;
  });
  Producer producer = Connect(broker);
  REQUIRE(SendNumbers(producer));
  const Result<void> closed = producer.Close(kLong);
  if (!closed) FAIL(closed.error().message);
  CheckComplete(broker);
}

TEST_CASE("Producer: a batch refused for good fails alone, and those behind it arrive in order") {
  FakeBroker broker;
  broker.SetFaults(Every(5, Fault::kRefuseForGood, 3));
  Producer producer = Connect(broker);
  std::mutex mutex;
  std::set<int> failed;
  for (int i = 0; i < kMessages; ++i) {
    const std::string value = std::to_string(i);
    Message message;
    message.value = value;
    REQUIRE(producer.Send(message, [&, i](const Result<Receipt>& result) {
      const std::lock_guard lock(mutex);
      if (!result && result.error().code == 87) failed.insert(i);
    }));
  }
  REQUIRE(producer.Close(kLong));
  CHECK_FALSE(failed.empty());
  std::vector<std::string> expected;
  for (int i = 0; i < kMessages; ++i) {
    if (!failed.contains(i)) expected.push_back(std::to_string(i));
  }
  CHECK(broker.Values(0) == expected);
  CHECK(producer.stats().messages_failed == failed.size());
}

TEST_CASE("Producer: failures nobody asked about show in Flush, with the number of messages") {
  FakeBroker broker;
  broker.SetFaults(Every(1, Fault::kRefuseForGood, 1));
  Producer producer = Connect(broker);
  REQUIRE(producer.Send("key", "value"));
  const Result<void> flushed = producer.Flush(kLong);
  REQUIRE_FALSE(flushed);
  CHECK(flushed.error().code == 87);
  CHECK_THAT(flushed.error().message,
             Catch::Contains("1 messages") && Catch::Contains("orders, partition 0"));
  REQUIRE(producer.Send("key", "value"));
  CHECK(producer.Flush(kLong));
}

TEST_CASE("Producer: a broker that forgot the producer gets a new epoch and the messages in order") {
  FakeBroker broker(kPartitions);
  broker.SetFaults(Every(50, Fault::kForgetProducer));
  Producer producer = Connect(broker);
  REQUIRE(SendNumbers(producer));
  REQUIRE(producer.Close(kLong));
  CheckComplete(broker);
}

TEST_CASE("Producer: a broker that restarts loses nothing") {
  FakeBroker broker(kPartitions);
  Producer producer = Connect(broker);
  REQUIRE(SendNumbers(producer));
  broker.Stop();
  broker.Start();
  REQUIRE(producer.Flush(kLong));
  CheckComplete(broker);
  CHECK(producer.stats().reconnects >= 1);
}

TEST_CASE("Producer: an outage is told once, with the reason, and so is its end") {
  FakeBroker broker;
  std::promise<std::string> lost;
  std::promise<void> back;
  ClientOptions options(broker.address());
  options.backoff_min = milliseconds(1);
  options.backoff_max = milliseconds(5);
  ProducerOptions producer_options;
  producer_options.on_outage = [&](const std::optional<Error>& why) {
    if (why)
      lost.set_value(why->message);  // a second one would throw
    else
      back.set_value();
  };
  Result<Producer> producer = Producer::Connect(options, "orders", producer_options);
  REQUIRE(producer);
  broker.Stop();
  REQUIRE(producer->Send("", "during the outage"));
  auto reason = lost.get_future();
  REQUIRE(reason.wait_for(kLong) == std::future_status::ready);
  CHECK_THAT(reason.get(), Catch::Contains(broker.address()));
  broker.Start();
  CHECK(back.get_future().wait_for(kLong) == std::future_status::ready);
  CHECK(producer->Close(kLong));
}

TEST_CASE("Producer: a broker that keeps refusing is an outage too, and every deadline names its reason") {
  FakeBroker broker;
  std::atomic<bool> full = true;
  broker.SetFaults(
      [&](std::uint32_t, std::int32_t) { return full.load() ? Fault::kRefuseRetriable : Fault::kNone; });
  std::promise<std::string> refused;
  std::promise<void> back;
  ClientOptions options(broker.address());
  options.backoff_min = milliseconds(1);
  options.backoff_max = milliseconds(5);
  ProducerOptions producer_options;
  producer_options.buffer_size_max = 2'000;
  producer_options.buffer_wait = milliseconds(0);
  producer_options.on_outage = [&](const std::optional<Error>& why) {
    if (why)
      refused.set_value(why->message);  // a second one would throw
    else
      back.set_value();
  };
  Result<Producer> producer = Producer::Connect(options, "orders", producer_options);
  REQUIRE(producer);
  REQUIRE(producer->Send("", std::string(1'500, 'x')));
  auto reason = refused.get_future();
  REQUIRE(reason.wait_for(kLong) == std::future_status::ready);
  CHECK_THAT(reason.get(), Catch::Contains("partition 0") && Catch::Contains("DISK_FULL"));
  const Result<void> flushed = producer->Flush(milliseconds(1));
  REQUIRE_FALSE(flushed);
  CHECK_THAT(flushed.error().message, Catch::Contains("last trouble") && Catch::Contains("DISK_FULL"));
  const Result<void> no_room = producer->Send("", std::string(1'500, 'x'));
  REQUIRE_FALSE(no_room);
  CHECK_THAT(no_room.error().message, Catch::Contains("last trouble") && Catch::Contains("DISK_FULL"));
  full = false;
  CHECK(back.get_future().wait_for(kLong) == std::future_status::ready);
  CHECK(producer->Close(kLong));
}

TEST_CASE("Producer: the delivery timeout is kept while a hanging broker is connected to") {
  FakeBroker broker;
  ClientOptions options(broker.address());
  options.connect_timeout = kLong;
  ProducerOptions producer_options;
  producer_options.delivery_timeout = milliseconds(200);
  Result<Producer> producer = Producer::Connect(options, "orders", producer_options);
  REQUIRE(producer);
  broker.SetSilent(true);
  broker.DropConnections();
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 2; ++i) {  // the second is sent while it tries
    const Result<Receipt> told = producer->SendForResult(ValueTo(0, "v")).get();
    REQUIRE_FALSE(told);
    CHECK(told.error().code == error_number::kTimedOut);
  }
  CHECK(std::chrono::steady_clock::now() - began < kLong / 2);
}

TEST_CASE("Producer: with a repetition due and the window full, its thread waits") {
  FakeBroker broker(2);
  // The first batch is refused; the next one, of the other partition, is never answered.
  broker.SetFaults([count = 0](std::uint32_t, std::int32_t) mutable {
    return ++count == 1 ? Fault::kRefuseRetriable : Fault::kNoAnswer;
  });
  ClientOptions options(broker.address());
  options.backoff_min = options.backoff_max = milliseconds(200);
  ProducerOptions producer_options;
  producer_options.requests_in_flight_max = 1;
  Result<Producer> producer = Producer::Connect(options, "orders", producer_options);
  REQUIRE(producer);
  auto refused = producer->SendForResult(ValueTo(0, "refused"));
  while (producer->stats().requests < 1) std::this_thread::yield();
  auto unanswered = producer->SendForResult(ValueTo(1, "unanswered"));
  while (producer->stats().requests < 2) std::this_thread::yield();
  const std::clock_t before = std::clock();
  CHECK(refused.wait_for(milliseconds(1'000)) == std::future_status::timeout);
  CHECK(std::clock() - before < CLOCKS_PER_SEC / 4);
  CHECK_FALSE(producer->Close(milliseconds(1)));
}

TEST_CASE("Producer: a request without answer is sent again over another connection") {
  FakeBroker broker;
  broker.SetFaults(Every(1, Fault::kNoAnswer, 1));
  ClientOptions options(broker.address());
  options.request_timeout = milliseconds(100);
  Result<Producer> producer = Producer::Connect(options, "orders");
  REQUIRE(producer);
  REQUIRE(
      producer->SendForResult({.key = "k", .value = "v", .headers = {}, .timestamp_ms = {}, .partition = {}})
          .get());
  CHECK(broker.Values(0).size() == 1);
  CHECK(broker.connections_accepted() == 2);
}

TEST_CASE("Producer: a topic that was created again is an error, and the producer stops") {
  FakeBroker broker;
  Producer producer = Connect(broker);
  REQUIRE(producer.Send("key", "value"));
  REQUIRE(producer.Flush(kLong));
  broker.RecreateTopic();
  REQUIRE(producer.Send("key", "value"));
  const Result<void> flushed = producer.Flush(kLong);
  REQUIRE_FALSE(flushed);
  CHECK(flushed.error().code == error_number::kUnknownTopicId);
  CHECK(producer.Send("key", "value").error().code == error_number::kUnknownTopicId);
}

}  // namespace
}  // namespace headrace
