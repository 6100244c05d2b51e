#include "client/cli/output.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>

namespace headrace::cli {
namespace {

TEST_CASE("Output: what was written arrives in order when it is flushed") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  {
    Output output(ends[1]);
    output.Write("one ");
    output.Write("two");
  }  // the destructor flushes
  std::array<char, 16> text{};
  CHECK(::read(ends[0], text.data(), text.size()) == 7);
  CHECK(std::string_view(text.data(), 7) == "one two");
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("Output: a closed pipe is an end and not an error") {
  ::signal(SIGPIPE, SIG_IGN);
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  ::close(ends[0]);
  Output output(ends[1]);
  output.Write("x");
  CHECK_FALSE(output.Flush());
  CHECK(output.closed());
  CHECK(output.error().empty());
  ::close(ends[1]);
}

TEST_CASE("Output: a full disk is an error") {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(full >= 0);
  Output output(full);
  output.Write("x");
  CHECK_FALSE(output.Flush());
  CHECK_FALSE(output.closed());
  CHECK_THAT(output.error(), Catch::Contains("space"));
  ::close(full);
}

}  // namespace
}  // namespace headrace::cli
