// Topic configuration from the command line to the bytes on disk.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <sstream>

#include <catch2/catch.hpp>

#include "headrace/producer.h"
#include "tests/support/broker_process.h"
#include "tests/support/temp_dir.h"

using namespace headrace;
using Catch::Contains;
using headrace::testing::BrokerProcess;
using headrace::testing::ProgramResult;
using headrace::testing::RunProgram;
using headrace::testing::TempDir;

namespace {

std::int64_t WallNowMs() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// The one segment of a broker that has one partition.
std::string SegmentIn(const std::string& data) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data)) {
    if (entry.path().extension() == ".log" && entry.path().string().find("quarantine") == std::string::npos &&
        std::filesystem::file_size(entry.path()) > 0) {
      return entry.path().string();
    }
  }
  return "";
}

class Shell {
 public:
  explicit Shell(const BrokerProcess& broker) : broker_(broker.address()) {}
  ProgramResult operator()(std::vector<std::string> words) const {
    std::vector<std::string> command = {HEADRACE_PROGRAM, "--broker", broker_};
    command.insert(command.end(), words.begin(), words.end());
    return RunProgram(command);
  }

 private:
  const std::string broker_;
};

}  // namespace

TEST_CASE(
    "Append time and compression of a topic: what was sent otherwise is made so, on disk and for readers") {
  const TempDir directory;
  const std::string data = directory / "data";
  BrokerProcess broker({"--data", data, "--set", "port=0", "--ready-json"});
  REQUIRE(broker.ready());
  const Shell headrace(broker);
  const auto created = headrace(
      {"topic", "create", "t", "-c", "message.timestamp.type=LogAppendTime", "-c", "compression.type=zstd"});
  CAPTURE(created.output);
  REQUIRE(created.exit_code == 0);

  const std::int64_t before = WallNowMs();
  {
    ClientOptions client;
    client.broker = broker.address();
    auto producer = Producer::Connect(client, "t");
    REQUIRE(producer);
    for (int i = 0; i < 1000; ++i) {
      const std::string value = "message " + std::to_string(i);
      Message message;  // only views what it is given
      message.value = value;
      message.timestamp_ms = 1'000 + i;  // in 1970
      REQUIRE(producer->Send(message));
    }
    REQUIRE(producer->Close(std::chrono::seconds(20)));
  }
  const std::int64_t after = WallNowMs();

  const auto consumed = headrace({"consume", "t", "--format", "%T %v\\n"});
  REQUIRE(consumed.exit_code == 0);
  std::istringstream lines(consumed.output);
  int count = 0;
  std::string unexpected;
  for (std::string line; std::getline(lines, line); ++count) {
    const std::int64_t timestamp = std::stoll(line);
    const bool expected =
        timestamp >= before && timestamp <= after && line.ends_with(" message " + std::to_string(count));
    if (!expected && unexpected.empty()) unexpected = line;
  }
  CHECK(count == 1000);
  CAPTURE(before, after);
  CHECK(unexpected == "");
  // By time, too: nothing of it is from before.
  const auto earlier = headrace({"consume", "t", "--until", std::to_string(before) + "ms"});
  CHECK(earlier.output.empty());

  const auto dumped = RunProgram({HEADRACE_PROGRAM, "dump", SegmentIn(data)});
  CAPTURE(dumped.output);
  CHECK(dumped.exit_code == 0);
  CHECK_THAT(dumped.output, Contains("zstd,append-time") && !Contains("none"));
}

TEST_CASE("Settings of a topic: kept without effect, refused with the nearest name, there after a restart") {
  const TempDir directory;
  const std::vector<std::string> arguments = {"--data", directory / "data", "--set", "port=0",
                                              "--ready-json"};
  {
    BrokerProcess broker(arguments);
    REQUIRE(broker.ready());
    const Shell headrace(broker);
    const auto created = headrace(
        {"topic", "create", "t", "-c", "segment.jitter.ms=5", "-c", "cleanup.policy=delete,compact"});
    CHECK(created.exit_code == 0);
    CHECK_THAT(created.output, Contains("segment.jitter.ms is kept, and has no effect on this broker"));
    const auto unknown = headrace({"topic", "alter", "t", "-c", "retention.sm=1"});
    CHECK(unknown.exit_code == 1);
    CHECK_THAT(unknown.output, Contains("did you mean \"retention.ms\"?"));
    const auto replicas = headrace({"topic", "alter", "t", "-c", "min.insync.replicas=2"});
    CHECK(replicas.exit_code == 1);
    CHECK_THAT(replicas.output, Contains("there is one broker"));
    const auto lags =
        headrace({"topic", "alter", "t", "-c", "min.compaction.lag.ms=5", "-c", "max.compaction.lag.ms=4"});
    CHECK(lags.exit_code == 1);
    CHECK(headrace({"topic", "trim", "t", "--partition", "0", "--to", "0"}).exit_code == 0);
    CHECK(headrace({"topic", "alter", "t", "-c", "cleanup.policy=compact"}).exit_code == 0);
    const auto trimmed = headrace({"topic", "trim", "t", "--partition", "0", "--to", "0"});
    CHECK(trimmed.exit_code == 1);
    CHECK_THAT(trimmed.output, Contains("t: cleanup.policy is compact"));
    CHECK(headrace({"topic", "alter", "t", "-c", "cleanup.policy=compact,delete"}).exit_code == 0);
    broker.Signal(SIGTERM);
    CHECK(broker.WaitForExit(std::chrono::seconds(20)) == 0);
  }
  BrokerProcess broker(arguments);
  REQUIRE(broker.ready());
  const auto described = Shell(broker)({"topic", "describe", "t"});
  CHECK_THAT(described.output, Contains("cleanup.policy=compact,delete\n") &&
                                   Contains("segment.jitter.ms=5  (has no effect here)") &&
                                   Contains("min.compaction.lag.ms=0  (default)"));
}
