// headrace consume --group, against a broker inside the test with a real coordinator.
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <map>

#include "tests/cli/program.h"
#include "tests/support/fake_broker.h"

namespace headrace::cli {
namespace {

using test::FakeBroker;
using Committed = std::map<std::pair<std::string, std::uint32_t>, std::int64_t>;

std::size_t Lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_CASE("Program: consume --group prints to the end, commits what it printed, and leaves") {
  FakeBroker broker(2);
  for (int i = 0; i < 10; ++i) broker.Append(static_cast<std::uint32_t>(i % 2), {"v"});
  Program first(broker.address(), {"consume", "orders", "--group", "g", "--format", "%p:%o"});
  CHECK(first.Wait() == 0);
  CHECK(first.Err().empty());
  CHECK(Lines(first.Out()) == 10);
  CHECK(broker.committed() == Committed{{{"g", 0}, 5}, {{"g", 1}, 5}});
  CHECK(broker.groups().members("g") == 0);
  broker.Append(0, {"more"});
  Program look(broker.address(), {"consume", "orders", "--group", "g", "--no-commit"});
  CHECK(look.Wait() == 0);
  CHECK(look.Out() == "more\n");
  Program second(broker.address(), {"consume", "orders", "--group", "g"});
  CHECK(second.Wait() == 0);
  CHECK(second.Out() == "more\n");
}

TEST_CASE("Program: consume --group --count commits so many and no more") {
  FakeBroker broker;
  broker.Append(0, {"a", "b", "c", "d"});
  Program first(broker.address(), {"consume", "orders", "--group", "g", "--count", "3"});
  CHECK(first.Wait() == 0);
  CHECK(first.Out() == "a\nb\nc\n");
  CHECK(broker.committed() == Committed{{{"g", 0}, 3}});
}

TEST_CASE("Program: consume --group from an offset that is not there fails, and commits nothing") {
  FakeBroker broker;
  broker.Append(0, {"a", "b"});
  Program program(broker.address(), {"consume", "orders", "--group", "g", "--from", "99999"});
  CHECK(program.Wait() == 1);
  CHECK_THAT(program.Err(), Catch::Contains("offset 99999 is out of range; valid offsets are 0 to 2"));
  CHECK(broker.committed().empty());
  CHECK(broker.groups().members("g") == 0);
}

TEST_CASE("Program: Ctrl-C ends consume --group --follow, committed to the last record written") {
  FakeBroker broker;
  broker.Append(0, {"a", "b"});
  Program program(broker.address(), {"consume", "orders", "--group", "g", "--follow"});
  REQUIRE(Eventually([&] { return program.Out() == "a\nb\n"; }));
  program.Signal(SIGINT);
  CHECK(program.Wait() == 0);
  CHECK(broker.committed() == Committed{{{"g", 0}, 2}});
  CHECK(broker.groups().members("g") == 0);
}

TEST_CASE(
    "Program: a reader that goes away ends consume --group, and what it did not take is not committed") {
  FakeBroker broker;
  for (int i = 0; i < 50; ++i) broker.Append(0, std::vector<std::string>(2'000, std::string(100, 'x')));
  const std::string command = "bash -o pipefail -c \"'" + std::string(HEADRACE_PROGRAM) + "' --broker " +
                              broker.address() + " consume orders --group g 2>&1 | head -n 1\"";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out(300, '\0');
  out.resize(std::fread(out.data(), 1, out.size(), pipe));
  CHECK(::pclose(pipe) == 0);
  CHECK(out == std::string(100, 'x') + "\n");
  CHECK(broker.groups().members("g") == 0);
  // A pipe takes 64 KiB, and a piece of output is a little more than 128 KiB.
  CHECK(broker.committed()[{"g", 0}] <= 4'000);
}

TEST_CASE("Program: two consume --group share the partitions, and one that is killed is replaced") {
  FakeBroker broker(4);
  broker.groups().SetSessionTimeout(std::chrono::milliseconds(1'000));
  Program one(broker.address(), {"consume", "orders", "--group", "g", "--follow", "--format", "%p:%o"});
  Program two(broker.address(), {"consume", "orders", "--group", "g", "--follow", "--format", "%p:%o"});
  REQUIRE(Eventually([&] { return broker.groups().members("g") == 2 && broker.groups().IsStable("g"); }));
  const auto append = [&] {
    for (std::uint32_t p = 0; p < 4; ++p) broker.Append(p, {"v"});
  };
  append();
  REQUIRE(Eventually([&] { return Lines(one.Out()) >= 2 && Lines(two.Out()) >= 2; }));
  two.Signal(SIGKILL);
  two.Wait();
  append();
  const auto all = [&] {
    const std::string out = one.Out() + two.Out();
    for (const char* line : {"0:0\n", "0:1\n", "1:0\n", "1:1\n", "2:0\n", "2:1\n", "3:0\n", "3:1\n"}) {
      if (out.find(line) == std::string::npos) return false;
    }
    return true;
  };
  REQUIRE(Eventually(all));
  CHECK(broker.groups().members("g") == 1);
  one.Signal(SIGINT);
  CHECK(one.Wait() == 0);
  CHECK(broker.committed() == Committed{{{"g", 0}, 2}, {{"g", 1}, 2}, {{"g", 2}, 2}, {{"g", 3}, 2}});
}

TEST_CASE("Program: an instance that comes back within the session has its partitions again") {
  FakeBroker broker(2);
  const std::vector<std::string> command = {"consume", "orders", "--group", "g", "--instance-id", "i-1"};
  Program first(broker.address(), command);
  CHECK(first.Wait() == 0);
  CHECK(broker.groups().members("g") == 1);  // for a while it is only away
  broker.Append(1, {"a"});
  Program second(broker.address(), command);
  CHECK(second.Wait() == 0);
  CHECK(second.Out() == "a\n");
}

TEST_CASE("Program: what --group cannot have is wrong usage, said in words") {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"--group", "g", "--name", "n"}, "exclude"},
      {{"--group", "g", "--partition", "0"}, "assigns"},
      {{"--group", "g", "--until", "5"}, "--until"},
      {{"--group", "g", "--from", "-5"}, "--from"},
      {{"--instance-id", "i"}, "needs --group"}};
  for (const auto& [options, said] : wrong) {
    std::vector<std::string> command = {"consume", "orders"};
    command.insert(command.end(), options.begin(), options.end());
    Program program("127.0.0.1:1", command);
    CHECK(program.Wait() == 2);
    CHECK_THAT(program.Err(), Catch::Contains(said));
  }
}

}  // namespace
}  // namespace headrace::cli
