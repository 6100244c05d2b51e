// Completion in bash, asked as readline asks it.
#include <catch2/catch.hpp>

#include <cstdio>
#include <regex>
#include <set>
#include <sstream>

#include "tests/cli/program.h"
#include "tests/support/fake_broker.h"

namespace headrace::cli {
namespace {

using Words = std::vector<std::string>;

std::string Quoted(const std::string& text) {
  return "'" + text + "'";
}

// What the shell offers after these words, as readline parts them; the last one is being typed.
std::set<std::string> Offered(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += " " + Quoted(word);
  const std::string script = "headrace() { " + Quoted(HEADRACE_PROGRAM) +
                             " \"$@\"; }; export -f headrace; timeout() { shift; \"$@\"; }; "
                             "source <(headrace completion bash); COMP_WORDS=(headrace" +
                             line + "); COMP_CWORD=" + std::to_string(words.size()) +
                             "; _headrace; echo \"${COMPREPLY[@]}\"";
  std::string path = (std::filesystem::temp_directory_path() / "headrace-completion-XXXXXX").string();
  const int file = ::mkstemp(path.data());
  REQUIRE(file >= 0);
  REQUIRE(::write(file, script.data(), script.size()) == static_cast<ssize_t>(script.size()));
  ::close(file);
  FILE* const pipe = ::popen(("bash " + path).c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out(64U << 10, '\0');
  out.resize(std::fread(out.data(), 1, out.size(), pipe));
  CHECK(::pclose(pipe) == 0);
  std::filesystem::remove(path);
  std::istringstream stream(out);
  return {std::istream_iterator<std::string>(stream), {}};
}

TEST_CASE("Completion: commands, verbs and values") {
  CHECK(Offered({"con"}) == std::set<std::string>{"consume"});
  CHECK(Offered({"group", ""}) == std::set<std::string>{"list", "describe", "delete", "seek"});
  CHECK(Offered({"--json", "bench", "produce", "--dur", ""}).empty());
  CHECK(Offered({"produce", "orders", "-z", "g"}) == std::set<std::string>{"gzip"});
  CHECK(Offered({"consume", "orders", "--from", "=", "be"}) == std::set<std::string>{"beginning"});
  CHECK(Offered({"topic", "create", "x", "-c", "retention.ms", "=", "5", "--pa"}) ==
        std::set<std::string>{"--partitions"});
  CHECK(Offered({"produce", "orders", "-k", ":", "--ra"}) == std::set<std::string>{"--rate"});
}

TEST_CASE("Completion: a broker with its port is one word, and is asked for its groups") {
  test::FakeBroker broker;
  const std::string port = broker.address().substr(broker.address().find(':') + 1);
  CHECK(Offered({"--broker", "127.0.0.1", ":", port, "con"}) == std::set<std::string>{"consume"});
  CHECK(Offered({"--broker", "=", "127.0.0.1", ":", port, "off"}) == std::set<std::string>{"offsets"});
}

TEST_CASE("Completion: every option that a command's help names is offered, and no other") {
  for (const Words& command : {Words{"topic", "create"},
                               Words{"topic", "list"},
                               Words{"topic", "describe"},
                               Words{"topic", "alter"},
                               Words{"topic", "trim"},
                               Words{"topic", "delete"},
                               Words{"group", "list"},
                               Words{"group", "describe"},
                               Words{"group", "delete"},
                               Words{"group", "seek"},
                               Words{"produce"},
                               Words{"consume"},
                               Words{"offsets"},
                               Words{"stats"},
                               Words{"bench", "produce"},
                               Words{"bench", "consume"},
                               Words{"bench", "latency"},
                               Words{"bench", "transfer"},
                               Words{"dump"},
                               Words{"fsck"}}) {
    Words help = command;
    help.emplace_back("--help");
    Program program("", help);
    REQUIRE(program.Wait() == 0);
    const std::string text = program.Out();
    std::set<std::string> options = {"--broker", "--json"};
    const std::regex option("(?:^|\\n) +(?:-[a-zA-Z],)?(--[a-z-]+)");
    for (std::sregex_iterator at(text.begin(), text.end(), option); at != std::sregex_iterator(); ++at) {
      options.insert((*at)[1]);
    }
    Words typed = command;
    typed.emplace_back("-");
    CAPTURE(command);
    CHECK(Offered(typed) == options);
  }
}

}  // namespace
}  // namespace headrace::cli
