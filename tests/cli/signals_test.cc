// Ctrl-C, wherever the program waits.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <chrono>

#include "tests/cli/program.h"
#include "tests/support/fake_broker.h"
#include "tests/support/temp_dir.h"

namespace headrace::cli {
namespace {

using test::FakeBroker;
using Clock = std::chrono::steady_clock;

// The exit code after one SIGINT; below what the program would have waited for by itself.
int Interrupt(Program& program, std::chrono::milliseconds wait_max) {
  const auto began = Clock::now();
  program.Signal(SIGINT);
  const int code = program.Wait();
  CHECK(Clock::now() - began < wait_max);
  return code;
}

TEST_CASE("Signals: a command that connects, or asks a broker that hangs, ends at once") {
  FakeBroker broker;
  broker.SetSilent(true);
  const std::vector<std::string> command =
      GENERATE(std::vector<std::string>{"topic", "list"}, std::vector<std::string>{"produce", "orders"},
               std::vector<std::string>{"consume", "orders", "--group", "g"},
               std::vector<std::string>{"stats", "--watch"});
  Program program(broker.address(), command);
  REQUIRE(Eventually([&] { return broker.connections_accepted() == 1; }));
  CHECK(Interrupt(program, std::chrono::seconds(4)) == 128 + SIGINT);  // connecting takes 5 s to fail
}

TEST_CASE("Signals: produce with a full buffer, and a broker that takes nothing, says why and ends") {
  FakeBroker broker;
  broker.SetFaults([](std::uint32_t, std::int32_t) { return test::Fault::kRefuseRetriable; });
  std::string lines;  // more than the 64 MiB that a producer holds
  for (int i = 0; i < 70; ++i) lines += std::string(1'000'000, 'x') + "\n";
  Program program(broker.address(), {"produce", "orders"}, lines);
  REQUIRE(Eventually([&] { return program.Err().find("DISK_FULL") != std::string::npos; }));
  CHECK_THAT(program.Err(), Catch::Contains("trying again for 2m00s"));
  CHECK(Interrupt(program, std::chrono::seconds(20)) == 1);
  CHECK_THAT(program.Err(), Catch::Contains("interrupted; 0 records were delivered"));
}

TEST_CASE("Signals: consume into a pipe that nobody reads ends, and commits nothing of what is lost") {
  FakeBroker broker;
  for (int i = 0; i < 50; ++i) broker.Append(0, std::vector<std::string>(2'000, std::string(100, 'x')));
  const headrace::testing::TempDir directory;
  const std::string fifo = directory / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const FileDescriptor reader(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  REQUIRE(reader.valid());
  const std::string command = "'" + std::string(HEADRACE_PROGRAM) + "' --broker " + broker.address() +
                              " consume orders --name me >" + fifo + " & echo $!; wait $!; echo $?";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char line[100] = {};
  REQUIRE(std::fgets(line, sizeof line, pipe) != nullptr);
  const pid_t process = std::atoi(line);
  const auto is_full = [&] {
    int waiting = 0;
    return ::ioctl(reader.get(), FIONREAD, &waiting) == 0 && waiting >= 64 << 10;
  };
  REQUIRE(Eventually(is_full));
  ::kill(process, SIGINT);
  REQUIRE(std::fgets(line, sizeof line, pipe) != nullptr);
  CHECK(std::string(line) == "0\n");
  ::pclose(pipe);
  CHECK(broker.committed()[{"me", 0}] <= 2'000);
}

}  // namespace
}  // namespace headrace::cli
