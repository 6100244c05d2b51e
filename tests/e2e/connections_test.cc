// Connections in numbers, stopped clients, and too few descriptors for them.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "headrace.pb.h"
#include "headrace/admin.h"
#include "headrace/consumer.h"
#include "headrace/producer.h"
#include "tests/support/broker_process.h"
#include "tests/support/raw_socket.h"

using namespace headrace;
using headrace::testing::BigEndian32;
using headrace::testing::BrokerProcess;
using headrace::testing::RawSocket;
using headrace::testing::WaitUntil;

namespace {

ClientOptions Client(const BrokerProcess& broker) {
  ClientOptions client;
  client.broker = broker.address();
  return client;
}

// `headrace consume --follow`, its output to nowhere; killed with the test.
class FollowingConsumer {
 public:
  FollowingConsumer(const BrokerProcess& broker, const std::string& topic) {
    const std::string address = broker.address();
    std::vector<std::string> words = {HEADRACE_PROGRAM, "--broker", address, "consume", topic, "--follow"};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (::posix_spawn(&pid_, words[0].c_str(), &files, nullptr, arguments.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&files);
  }
  ~FollowingConsumer() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  FollowingConsumer(const FollowingConsumer&) = delete;
  FollowingConsumer& operator=(const FollowingConsumer&) = delete;

  bool running() const { return pid_ > 0; }
  void Stop() const { ::kill(pid_, SIGSTOP); }

 private:
  pid_t pid_ = -1;
};

void ProduceMany(const ClientOptions& client, const std::string& topic, int count, std::size_t size) {
  auto producer = Producer::Connect(client, topic);
  REQUIRE(producer);
  const std::string value(size, 'v');
  for (int i = 0; i < count; ++i) REQUIRE(producer->Send("", value));
  REQUIRE(producer->Close(std::chrono::seconds(60)));
}

// Preface, Hello and a stream from the beginning, with 1 GiB of credit.
std::string SubscribeTo(const std::string& topic) {
  native::HelloRequest hello;
  hello.set_version_min(1);
  hello.set_version_max(1);
  std::string bytes(native::kPreface);
  native::AppendFrame(bytes, native::FrameType::kHello, 0, 1, hello);
  native::SubscribeRequest subscribe;
  subscribe.add_partitions()->set_topic(topic);
  subscribe.set_credit(std::uint64_t{1} << 30);
  native::AppendFrame(bytes, native::FrameType::kSubscribe, 0, 2, subscribe);
  return bytes;
}

#ifndef HEADRACE_SANITIZED
// The limit at which the broker can open `count` descriptors more.
std::uint64_t LimitFor(const BrokerProcess& broker, std::uint64_t count) {
  const std::string directory = "/proc/" + std::to_string(broker.pid()) + "/fd/";
  std::uint64_t limit = 0;
  for (std::uint64_t free = 0; free < count; ++limit) {
    free += std::filesystem::is_symlink(directory + std::to_string(limit)) ? 0 : 1;
  }
  return limit;
}

void LimitDescriptors(const BrokerProcess& broker, std::uint64_t soft) {
  rlimit limit{};
  REQUIRE(::prlimit(broker.pid(), RLIMIT_NOFILE, nullptr, &limit) == 0);
  limit.rlim_cur = std::min<rlim_t>(soft, limit.rlim_max);
  REQUIRE(::prlimit(broker.pid(), RLIMIT_NOFILE, &limit, nullptr) == 0);
}

// Seconds of processor time.
double CpuOf(const BrokerProcess& broker) {
  std::ifstream file("/proc/" + std::to_string(broker.pid()) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream words(text.substr(text.rfind(')') + 2));
  std::string word;
  for (int i = 0; i < 11; ++i) words >> word;
  double user = 0;
  double system = 0;
  words >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::size_t CountLines(const std::string& text, const std::string& what) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) count += line.find(what) != std::string::npos ? 1 : 0;
  return count;
}

// A producer to a new topic, whose logs are yet to begin.
Producer ProducerOfNew(const ClientOptions& client, Admin& admin, const std::string& topic) {
  CreateTopicOptions options;
  options.partitions = 3;
  options.configs = {{"segment.bytes", "1048576"}};
  REQUIRE(admin.CreateTopic(topic, options));
  auto producer = Producer::Connect(client, topic);
  REQUIRE(producer);
  return *std::move(producer);
}

// Logs that begin, and roll: they need descriptors.
void BeginAndRollLogs(Producer& producer, Admin& admin) {
  const std::string value(10'000, 'v');
  for (int i = 0; i < 900; ++i) REQUIRE(producer.Send("", value));
  REQUIRE(producer.Flush(std::chrono::seconds(60)));
  CHECK(admin.Stats()->fenced_partitions == 0);
}

bool ProducesAndConsumes(Producer& producer, Consumer& consumer, const std::string& value) {
  Message message;
  message.value = value;
  if (!producer.SendForResult(message).get()) return false;
  const auto record = consumer.Next(std::chrono::seconds(10));
  return record && *record != nullptr && (*record)->value == value;
}

#endif

}  // namespace

TEST_CASE("SIGTERM with 1,000 connections, twenty of them streams nobody reads: within 5 s, and clean") {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  constexpr std::size_t kStopped = 10;
  constexpr std::size_t kOthers = 980;
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client = Client(broker);
  auto admin = Admin::Connect(client);
  REQUIRE(admin);
  CreateTopicOptions written;
  written.configs = {{"durability", "written"}};
  REQUIRE(admin->CreateTopic("t", written));
  std::vector<std::unique_ptr<FollowingConsumer>> stopped;
  for (std::size_t i = 0; i < kStopped; ++i) {
    stopped.push_back(std::make_unique<FollowingConsumer>(broker, "t"));
    REQUIRE(stopped.back()->running());
  }
  // They stream, then stop, and what is sent to them from now on fills their sockets.
  ProduceMany(client, "t", 100, 1000);
  const auto streaming = [&](auto condition) {
    const auto stats = admin->Stats(true);
    REQUIRE(stats);
    return static_cast<std::size_t>(
        std::count_if(stats->connections_list.begin(), stats->connections_list.end(), condition));
  };
  REQUIRE(WaitUntil([&] {
    return streaming([](const ConnectionInfo& one) { return one.bytes_out > 100'000; }) >= kStopped;
  }));
  for (const auto& one : stopped) one->Stop();
  std::vector<std::unique_ptr<RawSocket>> unread;  // with more credit than their sockets hold
  for (std::size_t i = 0; i < kStopped; ++i) {
    unread.push_back(std::make_unique<RawSocket>(broker.port()));
    REQUIRE(unread.back()->Send(SubscribeTo("t")));
  }
  ProduceMany(client, "t", 40'000, 1000);
  REQUIRE(WaitUntil([&] {
    return streaming([](const ConnectionInfo& one) { return one.seconds_stalled > 0; }) >= kStopped;
  }));
  std::vector<std::unique_ptr<RawSocket>> others;
  for (std::size_t i = 0; i < kOthers; ++i) {
    others.push_back(std::make_unique<RawSocket>(broker.port()));
    REQUIRE(others.back()->connected());
    if (i % 3 == 0) others.back()->Send(native::kPreface);
    if (i % 3 == 1) others.back()->Send(std::string(native::kPreface) + BigEndian32(100) + "half a frame");
  }
  CHECK(WaitUntil([&] { return admin->Stats()->connections >= 2 * kStopped + kOthers; }));
  const auto began = std::chrono::steady_clock::now();
  broker.Signal(SIGTERM);
  CHECK(broker.WaitForExit(std::chrono::seconds(20)) == 0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  CAPTURE(took.count());
  CHECK(took.count() < 5);
}

// Not under the sanitizers: they open a pipe to look at a pointer, and take its failure for a bad pointer.
#ifndef HEADRACE_SANITIZED
TEST_CASE(
    "Out of descriptors: those connected are served, one log line, no spinning; then all are accepted") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client = Client(broker);
  auto admin = Admin::Connect(client);
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("t"));
  auto producer = Producer::Connect(client, "t");
  REQUIRE(producer);
  auto consumer = Consumer::Connect(client, "t", {});
  REQUIRE(consumer);
  REQUIRE(ProducesAndConsumes(*producer, *consumer, "before"));
  Producer rolling = ProducerOfNew(client, *admin, "rolling");
  Producer fresh = ProducerOfNew(client, *admin, "fresh");
  // 32 are left to files: connections get the others.
  constexpr std::uint64_t kLeft = 32 + 5;
  constexpr std::size_t kSockets = 50;
  LimitDescriptors(broker, LimitFor(broker, kLeft));
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (std::size_t i = 0; i < kSockets; ++i) {
    sockets.push_back(std::make_unique<RawSocket>(broker.port()));
    REQUIRE(sockets.back()->connected());  // by the kernel: they wait in its queue
    sockets.back()->Send(native::kPreface);
  }
  const bool paused = WaitUntil([&] { return CountLines(broker.errors(), "accepting pauses") > 0; });
  INFO(broker.errors());
  REQUIRE(paused);
  CHECK_THAT(broker.errors(), Catch::Contains("open files") && Catch::Contains("ulimit"));
  // Some seconds of it.
  const double before = CpuOf(broker);
  const auto began = std::chrono::steady_clock::now();
  constexpr std::chrono::seconds kWatched{3};
  for (int i = 0; std::chrono::steady_clock::now() - began < kWatched; ++i) {
    REQUIRE(ProducesAndConsumes(*producer, *consumer, "during " + std::to_string(i)));
    ::poll(nullptr, 0, 100);  // the clients' pace, so that the broker's own time shows
  }
  CHECK(CpuOf(broker) - before < 0.5);
  CHECK(CountLines(broker.errors(), "accepting pauses") == 1);
  const auto during = admin->Stats();
  REQUIRE(during);
  CHECK(during->connections < kSockets);
  CHECK(during->fenced_partitions == 0);
  BeginAndRollLogs(rolling, *admin);
  // Some leave, and as many of those who wait take their places.
  const std::uint64_t accepted = during->connections_total;
  sockets.erase(sockets.begin(), sockets.begin() + 3);
  CHECK(WaitUntil([&] { return admin->Stats()->connections_total >= accepted + 3; }));
  // Not one is left: nothing is lost by it, and what had to wait goes on without a restart.
  LimitDescriptors(broker, LimitFor(broker, 1) - 1);
  Message message;
  message.value = "waits for a descriptor";
  auto waiting = fresh.SendForResult(message);
  CHECK(ProducesAndConsumes(*producer, *consumer, "without any"));
  CHECK(admin->Stats()->fenced_partitions == 0);
  // All the others as well when there are descriptors again.
  LimitDescriptors(broker, LimitFor(broker, 2 * kSockets));
  CHECK(waiting.get());
  CHECK(WaitUntil([&] { return admin->Stats()->connections >= sockets.size(); }));
  auto late = Admin::Connect(client);
  REQUIRE(late);
  CHECK(late->Stats());
  CHECK(ProducesAndConsumes(*producer, *consumer, "after"));
  broker.Signal(SIGTERM);
  CHECK(broker.WaitForExit(std::chrono::seconds(10)) == 0);
}
#endif
