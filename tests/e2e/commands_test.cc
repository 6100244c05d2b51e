// Every command of `headrace` that has no test of its own elsewhere, against the real broker: for people and
// with --json.
#include <signal.h>

#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/broker_process.h"
#include "tests/support/temp_dir.h"

using headrace::testing::BrokerProcess;
using headrace::testing::ProgramResult;
using headrace::testing::RunProgram;
using headrace::testing::TempDir;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

namespace {

// A broker and the program, which must end with 0 unless told otherwise.
class Shell {
 public:
  explicit Shell(const Words& arguments = {"--ephemeral"}) : broker_(arguments) { REQUIRE(broker_.ready()); }

  ProgramResult Try(Words arguments, const std::string& input = "") const {
    arguments.insert(arguments.begin(), {HEADRACE_PROGRAM, "--broker", broker_.address()});
    return RunProgram(arguments, input);
  }
  std::string Run(const Words& arguments, const std::string& input = "") const {
    const ProgramResult result = Try(arguments, input);
    INFO(result.output);
    CHECK(result.exit_code == 0);
    return result.output;
  }
  // The documents of its lines.
  std::vector<Json> RunJson(Words arguments, const std::string& input = "") const {
    arguments.insert(arguments.begin(), "--json");
    std::vector<Json> documents;
    std::string text = Run(arguments, input);
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      documents.push_back(Json::parse(text.substr(0, end)));
    }
    return documents;
  }
  BrokerProcess& broker() { return broker_; }

 private:
  BrokerProcess broker_;
};

}  // namespace

TEST_CASE("Command: stats shows the counters once, or again and again with what changed") {
  const Shell shell;
  CHECK_THAT(shell.Run({"stats"}), Catch::Contains("broker ") && Catch::Contains("TRANSFER"));
  const std::string watched = shell.Run({"stats", "--connections", "--watch", "0.01", "--count", "3"});
  CHECK_THAT(watched, Catch::Contains("headrace stats") && Catch::Contains("now: "));
  const auto documents = shell.RunJson({"stats", "--connections", "--watch", "0.01", "--count", "2"});
  REQUIRE(documents.size() == 2);
  CHECK(documents[0]["connections"] == 1);
  CHECK(documents[1]["connection_list"].size() == 1);
  CHECK(documents[1]["requests"] > documents[0]["requests"]);
}

TEST_CASE("Command: produce with headers, a codec and a rate, with and without acknowledgements") {
  const Shell shell;
  shell.Run({"topic", "create", "orders", "--config", "durability=written"});
  const Words produce = {"produce",  "orders", "-k",     ":",    "--header", "trace=1",
                         "--header", "b=",     "--rate", "1000", "-z",       "zstd"};
  CHECK_THAT(shell.Run(produce, "a:1\nb:2\n"), Catch::Contains("2 records"));
  CHECK(shell.Run({"consume", "orders", "--format", "%k=%v %h"}) == "a=1 trace=1,b=\nb=2 trace=1,b=\n");
  Words silent = produce;
  silent.emplace_back("--no-ack");
  const auto summary = shell.RunJson(silent, "c:3\n").front();
  CHECK(summary["delivered"] == 1);
  CHECK(summary["failed"] == 0);
  const auto consumed = shell.RunJson({"consume", "orders", "--from", "2", "--count", "1", "--follow"});
  CHECK(consumed.front()["value"] == "3");
  CHECK(consumed.front()["headers"][0]["key"] == "trace");
}

TEST_CASE("Command: offsets shows ranges and lag, and moves a consumer, to the nearest if it must") {
  const Shell shell;
  shell.Run({"topic", "create", "orders", "--partitions", "2"});
  shell.Run({"produce", "orders", "--partition", "1"}, "a\nb\nc\n");
  CHECK_THAT(shell.Run({"offsets", "orders"}), Catch::Contains("PARTITION") && !Catch::Contains("LAG"));
  CHECK_THAT(shell.Run({"offsets", "orders", "-c", "me"}), Catch::Contains("never"));
  const auto moved =
      shell.RunJson({"offsets", "orders", "--consumer", "me", "--partition", "1", "--set", "-1"});
  REQUIRE(moved.size() == 1);
  CHECK(moved[0]["committed"] == 2);
  CHECK(moved[0]["lag"] == 1);
  CHECK_THAT(shell.Run({"offsets", "orders", "-c", "me", "-p", "1", "--set", "77"}),
             Catch::Contains("partition 1 has no offset 77: set to the nearest, 3"));
  CHECK(shell.Try({"offsets", "orders", "--set", "0"}).exit_code == 2);
  CHECK(shell.Try({"offsets", "orders", "-p", "2"}).exit_code == 2);
  CHECK(shell.Try({"offsets", "nothing"}).exit_code == 1);
}

TEST_CASE("Command: topic list, describe, alter, trim and delete") {
  const Shell shell;
  shell.Run({"topic", "create", "orders"});
  CHECK(shell.Try({"topic", "create", "orders"}).exit_code == 1);
  shell.Run({"topic", "create", "orders", "--if-not-exists"});
  shell.Run({"produce", "orders"}, "a\nb\nc\n");
  CHECK_THAT(shell.Run({"topic", "list"}), Catch::Contains("orders"));
  CHECK_THAT(shell.Run({"topic", "alter", "orders", "-p", "2", "-c", "retention.ms=60000"}),
             Catch::Contains("2 partitions"));
  CHECK_THAT(shell.Run({"topic", "describe", "orders"}), Catch::Contains("retention.ms=60000"));
  const auto described = shell.RunJson({"topic", "describe", "orders"}).front();
  CHECK(described["partition_list"].size() == 2);
  CHECK_THAT(shell.Run({"topic", "trim", "orders", "-p", "0", "--to", "2"}),
             Catch::Contains("now starts at offset 2"));
  CHECK(shell.RunJson({"topic", "trim", "orders", "-p", "0", "--to", "end"}).front()["start_offset"] == 3);
  const ProgramResult below = shell.Try({"consume", "orders", "-p", "0", "--from", "1"});
  CHECK(below.exit_code == 1);
  CHECK(below.output ==
        "headrace: topic orders, partition 0: offset 1 is out of range; valid offsets are 3 to 3\n");
  const ProgramResult unknown = shell.Try({"topic", "describe", "order"});
  CHECK(unknown.exit_code == 1);
  CHECK_THAT(unknown.output, Catch::Contains("orders"));
  CHECK(shell.RunJson({"topic", "delete", "orders"}).front()["deleted"] == true);
  CHECK(shell.Try({"topic", "delete", "orders"}).exit_code == 1);
  shell.Run({"topic", "delete", "orders", "--if-exists"});
}

TEST_CASE("Command: the benchmarks run, say what they measured, and leave no topic behind") {
  const Shell shell;
  const Words few = {"--records", "200", "--durability", "written"};
  const auto with = [&](Words arguments) {
    arguments.insert(arguments.end(), few.begin(), few.end());
    return arguments;
  };
  CHECK_THAT(shell.Run(with({"bench", "produce", "--connections", "2", "-z", "lz4"})),
             Catch::Contains("produced") && Catch::Contains("conditions"));
  CHECK_THAT(shell.Run(with({"bench", "consume", "--no-crc"})), Catch::Contains("CRC not checked"));
  CHECK_THAT(shell.Run(with({"bench", "latency", "--rate", "5000"})), Catch::Contains("loop         open"));
  CHECK(shell.RunJson(with({"bench", "produce"})).front()["records"] == 200);
  CHECK(shell.RunJson(with({"bench", "consume"})).front()["records"] == 200);
  CHECK(shell.RunJson(with({"bench", "latency", "--one-at-a-time"})).front()["loop"] == "one at a time");
  CHECK(shell.RunJson({"topic", "list"}).empty());
  const Words transfer = {"bench", "transfer", "--size", "1MiB", "--runs", "1"};
  CHECK_THAT(shell.Run(transfer), Catch::Contains("sendfile") && Catch::Contains("mmap"));
  CHECK_FALSE(shell.RunJson(transfer).empty());
}

TEST_CASE("Command: dump shows a segment, fsck a sound directory, and a damaged one") {
  const TempDir directory;
  std::string segment;
  {
    Shell shell({"--data", directory / "data", "--set", "port=0", "--ready-json"});
    shell.Run({"topic", "create", "orders"});
    shell.Run({"produce", "orders", "-k", ":"}, "a:1\nb:2\n");
    const ProgramResult in_use = shell.Try({"fsck", directory / "data"});
    CHECK(in_use.exit_code == 1);
    shell.broker().Signal(SIGTERM);
    REQUIRE(shell.broker().WaitForExit(std::chrono::seconds(20)) == 0);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory / "data")) {
      const bool holds_records = entry.path().extension() == ".log" && entry.file_size() > 0;
      if (holds_records && entry.path().string().find("consumer_offsets") == std::string::npos)
        segment = entry.path();
    }
    REQUIRE_FALSE(segment.empty());
    CHECK_THAT(shell.Run({"dump", segment, "--records"}),
               Catch::Contains("key(1) b") && Catch::Contains("nothing damaged"));
    const auto documents = shell.RunJson({"dump", segment, "--records"});
    REQUIRE(documents.size() > 2);
    CHECK(documents.back()["kind"] == "summary");
    shell.Run({"fsck", directory / "data"});
    CHECK(shell.RunJson({"fsck", directory / "data"}).back()["kind"] == "summary");
    std::filesystem::resize_file(segment, std::filesystem::file_size(segment) - 1);
    CHECK(shell.Try({"fsck", directory / "data"}).exit_code == 1);
    CHECK(shell.Try({"fsck", directory / "data", "--repair"}).exit_code == 1);  // it found what it repaired
    shell.Run({"fsck", directory / "data"});
  }
}
