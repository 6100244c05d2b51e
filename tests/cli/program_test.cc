// The program as a person uses it, against a broker inside the test.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"
#include "tests/support/fake_broker.h"

namespace headrace::cli {
namespace {

using test::FakeBroker;
using Values = std::vector<std::string>;

TEST_CASE("Program: produce sends every line, the last without its newline too, and NUL as it is") {
  FakeBroker broker;
  Program program(broker.address(), {"produce", "orders"}, std::string("one\n\ntw\0o\nthree", 15));
  CHECK(program.Wait() == 0);
  CHECK(broker.Values(0) == Values{"one", "", std::string("tw\0o", 4), "three"});
  CHECK_THAT(program.Err(), Catch::Contains("4 records"));
  CHECK(program.Out().empty());
}

TEST_CASE(
    "Program: produce stops at a line without a separator, and says which and what became of the rest") {
  FakeBroker broker;
  Program program(broker.address(), {"produce", "orders", "-k", ":"}, "a:1\nb:2:3\nbroken\nc:4\n");
  CHECK(program.Wait() == 1);
  CHECK(broker.Values(0) == Values{"1", "2:3"});
  CHECK_THAT(program.Err(), Catch::Contains("line 3 has no key separator ':'"));
  CHECK_THAT(program.Err(), Catch::Contains("2 records were delivered"));
}

TEST_CASE("Program: produce --skip-bad counts what it skips") {
  FakeBroker broker;
  Program program(broker.address(), {"--json", "produce", "orders", "-k", "\\t", "--skip-bad"},
                  "a\t1\nbad\nworse\nb\t2\n");
  CHECK(program.Wait() == 0);
  CHECK(broker.Values(0) == Values{"1", "2"});
  const auto summary = nlohmann::json::parse(program.Out());
  CHECK(summary["delivered"] == 2);
  CHECK(summary["skipped"] == 2);
}

TEST_CASE("Program: what the broker refuses fails the run") {
  FakeBroker broker;
  broker.SetFaults([](std::uint32_t, std::int32_t) { return test::Fault::kRefuseForGood; });
  Program program(broker.address(), {"produce", "orders"}, "one\n");
  CHECK(program.Wait() == 1);
  CHECK_THAT(program.Err(), Catch::Contains("headrace: "));
}

TEST_CASE("Program: a file that is missing, a topic's wrong partition and wrong options") {
  FakeBroker broker(2);
  Program missing(broker.address(), {"produce", "orders", "/nonexistent/file"});
  CHECK(missing.Wait() == 1);
  CHECK_THAT(missing.Err(), Catch::Contains("/nonexistent/file"));
  Program partition(broker.address(), {"produce", "orders", "--partition", "2"}, "x\n");
  CHECK(partition.Wait() == 2);
  CHECK_THAT(partition.Err(), Catch::Contains("has 2 partitions, numbered from 0"));
  CHECK(Program(broker.address(), {"produce", "orders", "-z", "rar"}).Wait() == 2);
  CHECK(Program(broker.address(), {"consume", "orders", "--from", "yesterday"}).Wait() == 2);
  CHECK(Program(broker.address(), {"consume", "orders", "--format", "%q"}).Wait() == 2);
  CHECK(Program(broker.address(), {"consume"}).Wait() == 2);
  CHECK(Program(broker.address(), {"consume", "orders", "--count", "many"}).Wait() == 2);
  Program unknown(broker.address(), {"cosnume", "orders"});
  CHECK(unknown.Wait() == 2);
  CHECK_THAT(unknown.Err(), Catch::Contains("did you mean consume?"));
}

TEST_CASE("Program: wrong usage is told in words a person can read, as JSON where asked") {
  const std::vector<std::pair<Values, std::string>> wrong = {
      {{"consume", "orders", "--count", "abc"}, "'abc' is not a number above 0"},
      {{"topic", "create", "orders", "-p", "0"}, "'0' is not a number above 0"},
      {{"stats", "--watch", "0"}, "'0' is not a number above 0"},
      {{"produce", "orders", "--rate", "0"}, "'0' is not a number above 0"},
      {{"consume", "orders", "--nonsense"}, "--nonsense"},
      {{"topic"}, "topic: a command is missing: create"},
      {{"topic", "list", "--broker", "host:port"}, "\"host:port\" is not host:port"}};
  for (const auto& [command, said] : wrong) {
    Program plain("", command);
    CHECK(plain.Wait() == 2);
    CHECK_THAT(plain.Err(), Catch::StartsWith("headrace: ") && Catch::Contains(said));
    CHECK(plain.Err().size() < 300);
    Values with_json = command;
    with_json.emplace_back("--json");
    Program json("", with_json);
    CHECK(json.Wait() == 2);
    const auto error = nlohmann::json::parse(json.Err())["error"];
    CHECK_THAT(error["message"].get<std::string>(), Catch::Contains(said));
  }
}

TEST_CASE("Program: nobody listening is exit code 3, as JSON where asked") {
  Program program("127.0.0.1:1", {"--json", "topic", "list"});
  CHECK(program.Wait() == 3);
  CHECK(nlohmann::json::parse(program.Err())["error"]["retriable"] == true);
}

TEST_CASE("Program: consume prints up to the end, or to a limit") {
  FakeBroker broker;
  broker.Append(0, {"a", "b"});
  broker.Append(0, {"c", "d", "e"});
  const auto consume = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"consume", "orders"});
    Program program(broker.address(), arguments);
    INFO(program.Err());
    CHECK(program.Wait() == 0);
    return program.Out();
  };
  CHECK(consume({}) == "a\nb\nc\nd\ne\n");
  CHECK(consume({"--from", "3"}) == "d\ne\n");
  CHECK(consume({"--from", "-2"}) == "d\ne\n");
  CHECK(consume({"--from", "end"}).empty());
  CHECK(consume({"--until", "3"}) == "a\nb\nc\n");
  CHECK(consume({"--until", "end"}) == "a\nb\nc\nd\ne\n");
  CHECK(consume({"--until", "3", "--follow"}) == "a\nb\nc\n");
  CHECK(consume({"--until", "end", "--follow"}) == "a\nb\nc\nd\ne\n");
  CHECK(consume({"--count", "2"}) == "a\nb\n");
  CHECK(consume({"--from", "1", "--count", "1", "--follow"}) == "b\n");
  CHECK(consume({"--format", "%p/%o:%v\\n", "--until", "2"}) == "0/0:a\n0/1:b\n");
  CHECK(consume({"--format", "%v", "--delimiter", "|"}) == "a|b|c|d|e|");
  CHECK(consume({"--until", "beginning"}).empty());
  CHECK(consume({"-p", "0", "-p", "0", "--from", "4"}) == "e\n");
}

TEST_CASE("Program: consume --json is a document per line") {
  FakeBroker broker;
  broker.Append(0, {"text", "\xFF\xFE"});
  Program program(broker.address(), {"consume", "orders", "--json"});
  CHECK(program.Wait() == 0);
  const std::string out = program.Out();
  const auto first = nlohmann::json::parse(out.substr(0, out.find('\n')));
  const auto second = nlohmann::json::parse(out.substr(out.find('\n') + 1));
  CHECK(first["value"] == "text");
  CHECK(second["offset"] == 1);
  CHECK(second["value_base64"] == "//4=");
}

TEST_CASE("Program: an offset out of range names the valid one") {
  FakeBroker broker;
  broker.Append(0, {"a", "b", "c"});
  broker.TrimTo(0, 2);
  Program program(broker.address(), {"consume", "orders", "--from", "0"});
  CHECK(program.Wait() == 1);
  CHECK_THAT(program.Err(), Catch::Contains("2"));
  CHECK_THAT(program.Err(), Catch::Contains("3"));
}

TEST_CASE("Program: damage stops consume, which says how to go on; --skip-damaged leaves it out") {
  FakeBroker broker(2);
  broker.Append(0, {"a"});
  broker.Append(0, {"damaged"});
  broker.Append(0, {"b"});
  broker.Append(1, {"c"});
  broker.Damage(0, 1);
  Program stopping(broker.address(), {"consume", "orders", "-p", "0", "--name", "me"});
  CHECK(stopping.Wait() == 1);
  CHECK(stopping.Out() == "a\n");
  CHECK_THAT(stopping.Err(), Catch::Contains("topic orders, partition 0") &&
                                 Catch::Contains("readable again from offset 2") &&
                                 Catch::Contains("--skip-damaged"));
  Program going_on(broker.address(), {"consume", "orders", "--skip-damaged", "--name", "you"});
  CHECK(going_on.Wait() == 1);
  for (const char* line : {"a\n", "b\n", "c\n"}) CHECK_THAT(going_on.Out(), Catch::Contains(line));
  CHECK_THAT(going_on.Err(), Catch::Contains("1 damaged place was left out"));
  CHECK(broker.committed().at({"you", 0}) == 3);
}

TEST_CASE(
    "Program: where damage ends is not known, the rest of its partition is left out, and others go on") {
  FakeBroker broker(2);
  broker.Append(0, {"a"});
  broker.Append(0, {"damaged"});
  broker.Append(1, {"c"});
  broker.DamageSize(0, 1);
  Program program(broker.address(), {"consume", "orders", "--skip-damaged", "--name", "me"});
  CHECK(program.Wait() == 1);
  CHECK_THAT(program.Out(), Catch::Contains("a\n") && Catch::Contains("c\n"));
  CHECK_THAT(program.Err(), Catch::Contains("all that follows in partition 0"));
  CHECK(broker.committed() ==
        std::map<std::pair<std::string, std::uint32_t>, std::int64_t>{{{"me", 0}, 1}, {{"me", 1}, 1}});
}

TEST_CASE("Program: an offset behind the end is out of range, and not an end that was reached") {
  FakeBroker broker;
  broker.Append(0, {"a", "b", "c"});
  Program program(broker.address(), {"consume", "orders", "--from", "77"});
  CHECK(program.Wait() == 1);
  CHECK(program.Err() ==
        "headrace: topic orders, partition 0: offset 77 is out of range; valid offsets are 0 to 3\n");
  Program at_end(broker.address(), {"consume", "orders", "--from", "3"});
  CHECK(at_end.Wait() == 0);
}

TEST_CASE("Program: consume --follow prints what arrives, and Ctrl-C ends it with 0") {
  FakeBroker broker;
  broker.Append(0, {"first"});
  Program program(broker.address(), {"consume", "orders", "--follow"});
  REQUIRE(Eventually([&] { return program.Out() == "first\n"; }));
  broker.Append(0, {"second"});
  REQUIRE(Eventually([&] { return program.Out() == "first\nsecond\n"; }));
  program.Signal(SIGINT);
  CHECK(program.Wait() == 0);
  CHECK(program.Err().empty());
}

TEST_CASE("Program: a named consumer goes on behind the last record that was printed") {
  FakeBroker broker;
  broker.Append(0, {"a", "b", "c", "d"});
  Program first(broker.address(), {"consume", "orders", "--name", "me", "--count", "3"});
  CHECK(first.Wait() == 0);
  CHECK(first.Out() == "a\nb\nc\n");
  Program look(broker.address(), {"consume", "orders", "--name", "me", "--no-commit"});
  CHECK(look.Wait() == 0);
  CHECK(look.Out() == "d\n");
  Program second(broker.address(), {"consume", "orders", "--name", "me"});
  CHECK(second.Wait() == 0);
  CHECK(second.Out() == "d\n");
  Program third(broker.address(), {"consume", "orders", "--name", "me"});
  CHECK(third.Wait() == 0);
  CHECK(third.Out().empty());
}

TEST_CASE("Program: a reader that goes away ends consume with 0 and without a word") {
  FakeBroker broker;
  for (int i = 0; i < 50; ++i) broker.Append(0, Values(2000, std::string(100, 'x')));
  const std::string command = "bash -o pipefail -c \"'" + std::string(HEADRACE_PROGRAM) + "' --broker " +
                              broker.address() + " consume orders 2>&1 | head -n 1\"";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out(300, '\0');
  out.resize(std::fread(out.data(), 1, out.size(), pipe));
  CHECK(::pclose(pipe) == 0);
  CHECK(out == std::string(100, 'x') + "\n");
}

TEST_CASE("Program: output that cannot be written is a failure") {
  FakeBroker broker;
  broker.Append(0, {"a"});
  const std::string command = "'" + std::string(HEADRACE_PROGRAM) + "' --broker " + broker.address() +
                              " consume orders 2>&1 >/dev/full";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string err(300, '\0');
  err.resize(std::fread(err.data(), 1, err.size(), pipe));
  CHECK(WEXITSTATUS(::pclose(pipe)) == 1);
  CHECK_THAT(err, Catch::Contains("cannot write to standard output"));
}

TEST_CASE("Program: a standard stream that is closed is not mistaken for the socket to the broker") {
  FakeBroker broker;
  broker.Append(0, {"a"});
  const std::string command =
      "'" + std::string(HEADRACE_PROGRAM) + "' --broker " + broker.address() + " consume orders <&- 2>&1 >&-";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string err(300, '\0');
  err.resize(std::fread(err.data(), 1, err.size(), pipe));
  CHECK(WEXITSTATUS(::pclose(pipe)) == 1);
  CHECK_THAT(err, Catch::Contains("cannot write to standard output: Bad file descriptor"));
}

}  // namespace
}  // namespace headrace::cli
