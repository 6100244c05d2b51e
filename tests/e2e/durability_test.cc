// Acknowledged means kept: the real broker is killed, and what it acknowledged is looked for.
#include <signal.h>

#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include <catch2/catch.hpp>

#include "headrace/admin.h"
#include "headrace/consumer.h"
#include "headrace/producer.h"
#include "tests/support/broker_process.h"
#include "tests/support/temp_dir.h"

using namespace headrace;
using headrace::testing::BrokerProcess;
using headrace::testing::TempDir;
using headrace::testing::WaitUntil;

namespace {

constexpr int kProducers = 3;
constexpr std::uint32_t kPartitions = 3;

// Where acknowledged messages are said to be: (partition, offset) to the message.
class Ledger {
 public:
  void Acknowledge(const Receipt& receipt, const std::string& message) {
    const std::lock_guard lock(mutex_);
    const auto [at, fresh] = acknowledged_.emplace(std::pair(receipt.partition, receipt.offset), message);
    if (!fresh && at->second != message) ++conflicts_;
  }
  std::map<std::pair<std::uint32_t, std::int64_t>, std::string> acknowledged() const {
    const std::lock_guard lock(mutex_);
    return acknowledged_;
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return acknowledged_.size();
  }
  int conflicts() const { return conflicts_.load(); }

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::uint32_t, std::int64_t>, std::string> acknowledged_;
  std::atomic<int> conflicts_{0};
};

// Sends numbered messages until told to stop, through broker restarts.
void ProduceUntil(const ClientOptions& client, const std::string& topic, int number, std::atomic<bool>& stop,
                  Ledger& ledger) {
  auto producer = Producer::Connect(client, topic);
  if (!producer) return;
  for (int i = 0; !stop.load(); ++i) {
    const std::string text = std::to_string(number) + ":" + std::to_string(i);
    Message message;
    message.key = text;
    message.value = text;
    const auto sent = producer->Send(message, [&ledger, text](const Result<Receipt>& receipt) {
      if (receipt) ledger.Acknowledge(*receipt, text);
    });
    if (!sent) return;
    if (i % 100 == 99)
      if (!producer->Flush(std::chrono::seconds(10)) && stop.load()) break;
  }
  static_cast<void>(producer->Close(std::chrono::seconds(5)));
}

std::map<std::pair<std::uint32_t, std::int64_t>, std::string> ReadAll(const ClientOptions& client,
                                                                      const std::string& topic) {
  ConsumerOptions options;
  options.stop_at_end = true;
  auto consumer = Consumer::Connect(client, topic, options);
  REQUIRE(consumer);
  std::map<std::pair<std::uint32_t, std::int64_t>, std::string> found;
  for (const Record& record : *consumer)
    found.emplace(std::pair(record.partition, record.offset), *record.value);
  REQUIRE_FALSE(consumer->error());
  return found;
}

void KillTwentyTimes(const std::string& durability) {
  const TempDir directory;
  const std::string data = directory / "data";
  const std::string topic = "ledger-" + durability;
  auto broker = std::make_unique<BrokerProcess>(
      std::vector<std::string>{"--data", data, "--set", "port=0", "--ready-json"});
  REQUIRE(broker->ready());
  const std::string port = std::to_string(broker->port());
  ClientOptions client;
  client.broker = broker->address();
  {
    auto admin = Admin::Connect(client);
    REQUIRE(admin);
    CreateTopicOptions options;
    options.partitions = kPartitions;
    // Small segments, so that the kills meet rolls too.
    options.configs = {{"durability", durability}, {"segment.bytes", "65536"}};
    REQUIRE(admin->CreateTopic(topic, options));
  }
  Ledger ledger;
  std::atomic<bool> stop{false};
  std::vector<std::thread> producers;
  for (int i = 0; i < kProducers; ++i) {
    producers.emplace_back([&, i] { ProduceUntil(client, topic, i, stop, ledger); });
  }
  std::mt19937 random(20);
  bool progressed = true;
  for (int round = 0; round < 20 && progressed; ++round) {
    // At a random point of the load, measured in acknowledgements: at least some came since the last start.
    const std::size_t target = ledger.size() + 200 + random() % 3000;
    progressed = WaitUntil([&] { return ledger.size() >= target; }, std::chrono::seconds(60));
    broker->Kill();
    broker = std::make_unique<BrokerProcess>(
        std::vector<std::string>{"--data", data, "--set", "port=" + port, "--ready-json"});
    if (!broker->ready()) break;
  }
  stop.store(true);
  for (std::thread& producer : producers) producer.join();
  INFO(broker->errors());
  REQUIRE(broker->ready());
  CHECK(progressed);
  const auto found = ReadAll(client, topic);
  std::size_t lost = 0;
  std::size_t moved = 0;
  const auto acknowledged = ledger.acknowledged();
  for (const auto& [place, message] : acknowledged) {
    const auto at = found.find(place);
    if (at == found.end())
      ++lost;
    else if (at->second != message)
      ++moved;
  }
  std::map<std::string, int> copies;
  for (const auto& [place, message] : found) ++copies[message];
  std::size_t doubled = 0;
  for (const auto& [message, count] : copies) doubled += count > 1 ? 1 : 0;
  INFO("acknowledged " << acknowledged.size() << ", found " << found.size());
  CHECK(acknowledged.size() >= 20 * 200);
  CHECK(lost == 0);
  CHECK(moved == 0);
  CHECK(doubled == 0);
  CHECK(ledger.conflicts() == 0);
}

}  // namespace

TEST_CASE("kill -9 under load 20 times: nothing acknowledged is lost, moved or doubled (durable)", "[slow]") {
  KillTwentyTimes("durable");
}

TEST_CASE("kill -9 under load 20 times: nothing acknowledged is lost, moved or doubled (written)", "[slow]") {
  KillTwentyTimes("written");
}

TEST_CASE(
    "SIGTERM under load: exit code 0 within 5 s, nothing acknowledged is lost, the next start is clean") {
  const TempDir directory;
  const std::string data = directory / "data";
  ClientOptions client;
  Ledger ledger;
  {
    BrokerProcess broker({"--data", data, "--set", "port=0", "--ready-json"});
    REQUIRE(broker.ready());
    client.broker = broker.address();
    auto admin = Admin::Connect(client);
    REQUIRE(admin);
    REQUIRE(admin->CreateTopic("load"));
    std::atomic<bool> stop{false};
    std::thread producer([&] { ProduceUntil(client, "load", 0, stop, ledger); });
    const bool loaded = WaitUntil([&] { return ledger.size() > 2000; });
    const auto began = std::chrono::steady_clock::now();
    broker.Signal(SIGTERM);
    const auto exit_code = broker.WaitForExit(std::chrono::seconds(20));
    const auto took = std::chrono::steady_clock::now() - began;
    stop.store(true);
    producer.join();
    CHECK(loaded);
    CHECK(exit_code == 0);
    CHECK(took < std::chrono::seconds(5));
  }
  BrokerProcess again({"--data", data, "--set", "port=0", "--ready-json"});
  REQUIRE(again.ready());
  CHECK(again.errors().find("not closed cleanly") == std::string::npos);
  client.broker = again.address();
  const auto found = ReadAll(client, "load");
  std::size_t lost = 0;
  for (const auto& [place, message] : ledger.acknowledged()) lost += found.contains(place) ? 0 : 1;
  CHECK(lost == 0);
}

TEST_CASE("A named consumer goes on where it committed, after kill -9") {
  const TempDir directory;
  const std::string data = directory / "data";
  ClientOptions client;
  ConsumerOptions options;
  options.name = "reader";
  options.start = Start::Committed();
  options.stop_at_end = true;
  {
    BrokerProcess broker({"--data", data, "--set", "port=0", "--ready-json"});
    client.broker = broker.address();
    auto admin = Admin::Connect(client);
    REQUIRE(admin);
    REQUIRE(admin->CreateTopic("t"));
    auto producer = Producer::Connect(client, "t");
    REQUIRE(producer);
    for (int i = 0; i < 100; ++i) REQUIRE(producer->Send("", std::to_string(i)));
    REQUIRE(producer->Close());
    auto consumer = Consumer::Connect(client, "t", options);
    REQUIRE(consumer);
    for (int i = 0; i < 40; ++i) REQUIRE(*consumer->Next(std::chrono::seconds(10)) != nullptr);
    REQUIRE(consumer->Commit());
    broker.Kill();
  }
  BrokerProcess broker({"--data", data, "--set", "port=0", "--ready-json"});
  client.broker = broker.address();
  auto consumer = Consumer::Connect(client, "t", options);
  REQUIRE(consumer);
  std::vector<std::string> rest;
  for (const Record& record : *consumer) rest.emplace_back(*record.value);
  REQUIRE(rest.size() == 60);
  CHECK(rest.front() == "40");
  CHECK(rest.back() == "99");
}

TEST_CASE("SIGTERM with thousands of partitions that were written to just now: within 5 s, and clean") {
  const TempDir directory;
  const std::vector<std::string> start = {"--data", directory / "data", "--set", "port=0", "--ready-json"};
  constexpr std::uint32_t kMany = 1500;
  {
    BrokerProcess broker(start);
    REQUIRE(broker.ready());
    ClientOptions client;
    client.broker = broker.address();
    auto admin = Admin::Connect(client);
    REQUIRE(admin);
    CreateTopicOptions options;
    options.partitions = kMany;
    options.configs = {{"durability", "written"}};
    REQUIRE(admin->CreateTopic("t", options));
    auto producer = Producer::Connect(client, "t");
    REQUIRE(producer);
    for (std::uint32_t partition = 0; partition < kMany; ++partition) {
      Message message;
      message.value = "x";
      message.partition = partition;
      REQUIRE(producer->Send(message));
    }
    REQUIRE(producer->Close(std::chrono::seconds(60)));
    const auto began = std::chrono::steady_clock::now();
    broker.Signal(SIGTERM);
    CHECK(broker.WaitForExit(std::chrono::seconds(60)) == 0);
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
  }
  BrokerProcess broker(start);
  REQUIRE(broker.ready());
  CHECK(broker.errors().find("recover") == std::string::npos);
}
