// The memory that clients can make a broker take: no more than it has printed, and it comes back.
#include <sys/resource.h>

#include <fstream>
#include <regex>
#include <thread>

#include <catch2/catch.hpp>

#include "headrace.pb.h"
#include "headrace/admin.h"
#include "protocol/core/error_code.h"
#include "tests/support/broker_process.h"
#include "tests/support/kafka_client.h"
#include "tests/support/raw_socket.h"

using namespace headrace;
using headrace::testing::BigEndian32;
using headrace::testing::BrokerProcess;
using headrace::testing::KafkaClient;
using headrace::testing::RawSocket;
using headrace::testing::ReceiveFrame;
using headrace::testing::WaitUntil;
using native::FrameType;

namespace {

ClientOptions Client(const BrokerProcess& broker) {
  ClientOptions client;
  client.broker = broker.address();
  return client;
}

std::string HelloFrame() {
  native::HelloRequest hello;
  hello.set_version_min(1);
  hello.set_version_max(1);
  std::string bytes(native::kPreface);
  native::AppendFrame(bytes, FrameType::kHello, 0, 1, hello);
  return bytes;
}

// A Fetch at the end of "t" that waits for a minute, with an attachment that nobody asked for.
std::string WaitingFetch(std::uint32_t id, std::size_t attachment = 0) {
  native::FetchRequest fetch;
  fetch.set_min_bytes(1);
  fetch.set_max_wait_ms(60'000);
  fetch.add_partitions()->set_topic("t");
  std::string bytes;
  native::AppendFrame(bytes, FrameType::kFetch, 0, id, fetch, attachment);
  return bytes.append(attachment, 'a');
}

#ifndef HEADRACE_SANITIZED
constexpr std::uint64_t kMib = 1 << 20;
constexpr std::uint64_t kKib = 1 << 10;

// A line of /proc/<pid>/status, in bytes.
std::uint64_t MemoryOf(const BrokerProcess& broker, const std::string& key) {
  std::ifstream status("/proc/" + std::to_string(broker.pid()) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) return std::stoull(line.substr(key.size() + 1)) * 1024;
  }
  return 0;
}

// The number behind `label` in what the broker printed of its memory.
std::uint64_t Printed(const BrokerProcess& broker, const std::string& label) {
  const std::string errors = broker.errors();
  std::smatch found;
  if (!std::regex_search(errors, found, std::regex(label + "([0-9]+)"))) return 0;
  return std::stoull(found[1]);
}

// Requests over 64 KiB that want nothing but their last byte.
std::vector<std::unique_ptr<RawSocket>> HoldLargeRequests(std::uint16_t port, std::size_t count,
                                                          std::uint32_t size) {
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (std::size_t i = 0; i < count; ++i) {
    sockets.push_back(std::make_unique<RawSocket>(port));
    REQUIRE(sockets.back()->Send(HelloFrame() + BigEndian32(size) + std::string(size - 1, 'x')));
  }
  return sockets;
}

// As many waiting fetches of 50 KB as the broker takes.
std::vector<std::unique_ptr<RawSocket>> HoldSmallRequests(std::uint16_t port, std::size_t count) {
  std::vector<std::unique_ptr<RawSocket>> sockets;
  std::vector<std::thread> senders;
  for (std::size_t i = 0; i < count; ++i) {
    sockets.push_back(std::make_unique<RawSocket>(port));
    senders.emplace_back([&socket = *sockets.back()] {
      if (!socket.Send(HelloFrame())) return;
      for (std::uint32_t id = 2; id < 130; ++id) {
        if (!socket.Send(WaitingFetch(id, 50'000))) return;
      }
    });
  }
  for (std::thread& sender : senders) sender.join();
  return sockets;
}

// Requests with large answers, which nobody reads.
std::vector<std::unique_ptr<KafkaClient>> HoldAnswers(std::uint16_t port, std::size_t count) {
  std::vector<std::unique_ptr<KafkaClient>> clients;
  kafka::MetadataRequest everything;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<KafkaClient>(port));
    for (int n = 0; n < 300; ++n) clients.back()->Send(kafka::ApiKey::kMetadata, 1, everything);
  }
  return clients;
}
#endif

}  // namespace

#ifndef HEADRACE_SANITIZED
TEST_CASE("Clients fill the terms of the memory formula: the broker stays within it, and gives it back") {
  BrokerProcess broker({"--ephemeral", "--set", "request_memory_max=67108864", "--set", "file_threads=1",
                        "--set", "retention_check_ms=200"});
  REQUIRE(broker.ready());
  auto admin = Admin::Connect(Client(broker));
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("t"));
  constexpr std::uint32_t kPartitions = 2000;
  CreateTopicOptions many;
  many.partitions = kPartitions;
  REQUIRE(admin->CreateTopic("many", many));
  const std::uint64_t idle = MemoryOf(broker, "VmRSS");
  constexpr std::size_t kLarge = 8;
  constexpr std::size_t kSmall = 20;
  constexpr std::size_t kReading = 40;
  const std::uint64_t bound =
      Printed(broker, "memory at most ") * kMib +
      (1 + kLarge + kSmall + kReading) * Printed(broker, "connections x [0-9]+ to ") * kKib +
      (1 + kPartitions) * Printed(broker, "partitions x ") * kKib + Printed(broker, "[+] requests ") * kMib +
      Printed(broker, "small ones ") * kMib;
  REQUIRE(bound > 128 * kMib);
  {
    const auto large = HoldLargeRequests(broker.port(), kLarge, 8'300'000);
    const auto small = HoldSmallRequests(broker.port(), kSmall);
    const auto answers = HoldAnswers(broker.port(), kReading);
    CHECK(WaitUntil([&] {
      const auto stats = admin->Stats(true);
      std::size_t stalled = 0;
      for (const ConnectionInfo& one : stats->connections_list) stalled += one.seconds_stalled > 0 ? 1 : 0;
      return stalled == kReading;
    }));
    const std::uint64_t peak = MemoryOf(broker, "VmHWM");
    CAPTURE(idle, peak, bound);
    CHECK(peak < bound);
  }
  std::uint64_t after = 0;
  const bool given_back = WaitUntil([&] {
    after = MemoryOf(broker, "VmRSS");
    return after < idle + 72 * kMib;  // so much free memory is kept for the next burst, at most
  });
  CAPTURE(idle, after);
  CHECK(given_back);
}
#endif

TEST_CASE("Long polls end with their connection, also when more are in flight than are read") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  auto admin = Admin::Connect(Client(broker));
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("t"));
  kafka::FetchRequest fetch;
  fetch.wait_max_ms = 60'000;
  fetch.size_min = 1;
  fetch.size_max = 1 << 20;
  fetch.topics.emplace_back().name = "t";
  fetch.topics.back().partitions.emplace_back().size_max = 1 << 20;
  constexpr std::uint32_t kFetches = 300;  // 256 are in flight at most
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t before = admin->Stats()->requests;
    RawSocket raw(broker.port());
    std::string sent = HelloFrame();
    for (std::uint32_t id = 2; id < 2 + kFetches; ++id) sent += WaitingFetch(id);
    REQUIRE(raw.Send(sent));
    KafkaClient kafka(broker.port());
    kafka.Send(kafka::ApiKey::kFetch, 4, fetch);
    REQUIRE(WaitUntil([&] { return admin->Stats()->requests > before + 256; }));
  }
  CHECK(WaitUntil([&] { return admin->Stats()->connections == 1; }));
}

TEST_CASE("A partition that is named twice is refused, by fetches and streams") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  auto admin = Admin::Connect(Client(broker));
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("t"));
  RawSocket socket(broker.port());
  REQUIRE(socket.Send(HelloFrame()));
  REQUIRE(ReceiveFrame(socket).frame.type == FrameType::kHello);
  native::FetchRequest fetch;
  native::SubscribeRequest subscribe;
  for (int i = 0; i < 1000; ++i) {
    fetch.add_partitions()->set_topic("t");
    subscribe.add_partitions()->set_topic("t");
  }
  std::string bytes;
  native::AppendFrame(bytes, FrameType::kFetch, 0, 2, fetch);
  native::AppendFrame(bytes, FrameType::kSubscribe, 0, 3, subscribe);
  REQUIRE(socket.Send(bytes));
  const auto fetched = ReceiveFrame(socket);
  native::ErrorResponse error;
  REQUIRE(native::ParseHeader(fetched.frame.header, error).ok());
  CHECK(fetched.frame.correlation_id == 2);
  CHECK_THAT(error.error().message(), Catch::Contains("t-0 is named twice"));
  const auto subscribed = ReceiveFrame(socket);
  native::SubscribeResponse streams;
  REQUIRE(native::ParseHeader(subscribed.frame.header, streams).ok());
  REQUIRE(streams.partitions_size() == 1000);
  CHECK_FALSE(streams.partitions(0).has_error());
  for (int i = 1; i < 1000; ++i) REQUIRE(streams.partitions(i).has_error());
}
