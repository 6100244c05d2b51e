// The programs that the README shows, as it shows them.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>

#include "headrace/admin.h"
#include "tests/support/broker_process.h"

using namespace headrace;
using headrace::testing::BrokerProcess;
using headrace::testing::RunProgram;

namespace {

std::string ReadSource(const std::string& path) {
  std::ifstream file(HEADRACE_SOURCE_DIR "/" + path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  REQUIRE_FALSE(text.empty());
  return text;
}

// The first line of a program that does not end by itself; the shell tells its process id before.
std::string FirstLine(const std::string& program, const std::string& argument) {
  const std::string command = "'" + program + "' " + argument + " & echo $!; wait 2>/dev/null";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char line[100] = {};
  REQUIRE(std::fgets(line, sizeof line, pipe) != nullptr);
  const pid_t process = std::atoi(line);
  const bool read = std::fgets(line, sizeof line, pipe) != nullptr;
  ::kill(process, SIGKILL);
  ::pclose(pipe);
  REQUIRE(read);
  return line;
}

}  // namespace

TEST_CASE("Examples: what hello_producer sends, hello_consumer prints") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const std::vector<std::string> producer = {HEADRACE_EXAMPLES "hello_producer", broker.address()};
  const auto without_topic = RunProgram(producer);
  CHECK(without_topic.exit_code == 1);
  CHECK_THAT(without_topic.output, Catch::Contains("hello"));
  auto admin = Admin::Connect(ClientOptions(broker.address()));
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("hello"));
  const auto sent = RunProgram(producer);
  CHECK(sent.exit_code == 0);
  CHECK(sent.output == "sent\n");
  CHECK(FirstLine(HEADRACE_EXAMPLES "hello_consumer", broker.address()) == "0: Hello, wheel!\n");
}

TEST_CASE("Examples: the README shows them whole, and they are as short as it says") {
  const std::string readme = ReadSource("README.md");
  const auto check = [&](const std::string& name, int lines_max) {
    const std::string source = ReadSource("client/examples/" + name + ".cc");
    CHECK(std::count(source.begin(), source.end(), '\n') <= lines_max);
    CHECK_THAT(readme, Catch::Contains("```cpp\n" + source + "```\n"));
  };
  check("hello_producer", 10);
  check("hello_consumer", 15);
  check("group_consumer", 15);
}
