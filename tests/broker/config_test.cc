#include "broker/config.h"

#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

#include "protocol/core/error_code.h"
#include "tests/support/temp_dir.h"

using headrace::MessageOf;
using namespace headrace::broker;

namespace {

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// A file that is gone with the test.
struct ConfigFile {
  explicit ConfigFile(const std::string& text) { std::ofstream(path) << text; }
  const headrace::testing::TempDir directory;
  const std::string path = directory / "headrace.toml";
};

}  // namespace

TEST_CASE("Config: the reference is the golden file") {
  // When this fails on purpose: headrace-broker --help-config > tests/broker/config_reference.txt
  CHECK(ConfigReference() ==
        ReadText(std::string(HEADRACE_SOURCE_DIR) + "/tests/broker/config_reference.txt"));
}

TEST_CASE("Config: there are at most 25 settings") {
  std::istringstream lines(ConfigReference());
  int settings = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.front() != ' ' && line.find(" = ") != std::string::npos) ++settings;
  }
  CHECK(settings >= 20);
  CHECK(settings <= 25);
}

TEST_CASE("Config: an unknown setting names the nearest one") {
  Config config;
  const absl::Status status = Set(config, "conections_max", "5");
  REQUIRE_FALSE(status.ok());
  CHECK_THAT(std::string(MessageOf(status)), Catch::Contains("did you mean \"connections_max\"?"));
}

TEST_CASE("Config: a value outside its bounds names the bounds") {
  Config config;
  const absl::Status status = Set(config, "port", "70000");
  REQUIRE_FALSE(status.ok());
  CHECK_THAT(std::string(MessageOf(status)), Catch::Contains("from 0 to 65535"));
  CHECK(config.port == 9092);
}

TEST_CASE("Config: a value that is not a number, a wrong choice and a wrong unit are refused") {
  Config config;
  CHECK_FALSE(Set(config, "port", "http").ok());
  CHECK_FALSE(Set(config, "port", "").ok());
  CHECK_FALSE(Set(config, "request_memory_max", "64MiB").ok());
  CHECK_FALSE(Set(config, "transfer", "send").ok());
  CHECK_FALSE(Set(config, "transfer", "").ok());
  CHECK_FALSE(Set(config, "durability", "maybe").ok());
}

TEST_CASE("Config: defaults of topics are set by their own names, and stay defaults") {
  Config config;
  REQUIRE(Set(config, "durability", "written").ok());
  REQUIRE(Set(config, "retention.ms", "5000").ok());
  CHECK(config.topic_defaults.durability == headrace::topic::Durability::kWritten);
  CHECK(config.topic_defaults.log.retention_ms == 5000);
  CHECK(config.topic_defaults.own().empty());
}

TEST_CASE("Config: a file sets what it names, with dotted names quoted or as tables") {
  const ConfigFile file("port = 1234\n\"retention.ms\" = 7\nsegment.bytes = 1048576\nlisten = \"0.0.0.0\"\n");
  Config config;
  REQUIRE(ReadConfigFile(config, file.path).ok());
  CHECK(config.port == 1234);
  CHECK(config.listen == "0.0.0.0");
  CHECK(config.topic_defaults.log.retention_ms == 7);
  CHECK(config.topic_defaults.log.segment_size_max == 1048576);
}

TEST_CASE("Config: an error in a file names file, line and setting") {
  const ConfigFile file("port = 1234\n\nreactor = 2\n");
  Config config;
  const absl::Status status = ReadConfigFile(config, file.path);
  REQUIRE_FALSE(status.ok());
  CHECK_THAT(std::string(MessageOf(status)), Catch::Contains(file.path + ":3: "));
  CHECK_THAT(std::string(MessageOf(status)), Catch::Contains("\"reactors\""));
}

TEST_CASE("Config: what is no text, whole number, true or false in a file is refused, not stored") {
  for (const std::string value : {"[\"0.0.0.0\"]", "1.5", "1979-05-27", "{}", "{x = 1}"}) {
    CAPTURE(value);
    const ConfigFile file("data = " + value + "\n");
    Config config;
    const absl::Status status = ReadConfigFile(config, file.path);
    CHECK_FALSE(status.ok());
    CHECK_THAT(std::string(MessageOf(status)), Catch::Contains(file.path + ":1: "));
    CHECK(config.data == Config().data);
  }
}

TEST_CASE("Config: a table that no setting lies in is refused, empty or not") {
  for (const std::string text : {"[foo]\n", "[foo]\nport = 1\n", "[[foo]]\n"}) {
    CAPTURE(text);
    const ConfigFile file(text);
    Config config;
    CHECK_THAT(std::string(MessageOf(ReadConfigFile(config, file.path))), Catch::Contains("foo"));
  }
}

TEST_CASE("Config: addresses are checked where they are set, by the name of the setting") {
  Config config;
  for (const std::string listen : {"127.0.0.1", "0.0.0.0", "::", "::1", "fe80::1%lo"}) {
    CAPTURE(listen);
    CHECK(Set(config, "listen", listen).ok());
  }
  for (const std::string listen : {"nonsense", "", "127.0.0.1:9092", "[::1]", "127.0.0.1%lo", "300.1.1.1"}) {
    CAPTURE(listen);
    CHECK_THAT(std::string(MessageOf(Set(config, "listen", listen))),
               Catch::Contains("setting listen is \"" + listen + "\""));
  }
  CHECK(Set(config, "advertised", "").ok());
  CHECK(Set(config, "advertised", "broker.example:9092").ok());
  CHECK(Set(config, "advertised", "[::1]:9092").ok());
  for (const std::string advertised : {"garbage", "host:", "host:0", "::1:9092", ":9092"}) {
    CAPTURE(advertised);
    CHECK_THAT(std::string(MessageOf(Set(config, "advertised", advertised))),
               Catch::Contains("setting advertised is"));
  }
}

TEST_CASE("Config: a request must have room for the largest batch") {
  Config config;
  CHECK(CheckTogether(config).ok());
  REQUIRE(Set(config, "frame_size_max", "65536").ok());
  const std::string refusal(MessageOf(CheckTogether(config)));
  CHECK_THAT(refusal, Catch::Contains("frame_size_max is 65536") && Catch::Contains("max.message.bytes"));
  REQUIRE(Set(config, "frame_size_max", "1114112").ok());
  CHECK(CheckTogether(config).ok());
}

TEST_CASE("Config: an address is written as it is read, an IPv6 one in brackets") {
  for (const std::string text : {"host:1", "127.0.0.1:9092", "[::1]:9092"}) {
    const auto parsed = ParseHostPort(text);
    REQUIRE(parsed.ok());
    CHECK(ToString(*parsed) == text);
  }
}

TEST_CASE("Config: a file that is not TOML, or not there, is refused") {
  const ConfigFile file("port 1234\n");
  Config config;
  CHECK_THAT(std::string(MessageOf(ReadConfigFile(config, file.path))), Catch::Contains(":1: "));
  CHECK_FALSE(ReadConfigFile(config, "/nonexistent/headrace.toml").ok());
}

TEST_CASE("Config: the memory formula counts partitions, producers, requests, and threads that recompress") {
  Config config;
  config.request_memory_max = 32 << 20;
  config.file_threads = 2;
  const std::string formula = MemoryFormula(config, 10'000);
  CHECK_THAT(formula, Catch::Contains("groups 256 MiB"));
  CHECK_THAT(formula, Catch::Contains("requests 32 MiB, small ones 64 MiB, "));
  CHECK_THAT(formula, Catch::Contains("batches that wait for the disk 32 MiB"));
  CHECK_THAT(formula, Catch::Contains("connections x 2 to 320 KiB"));
  CHECK_THAT(formula, Catch::Contains("recompress or compact, 3 at most, x 128 MiB"));
  CHECK_THAT(formula, Catch::Contains("512 bytes for each producer of the last day, 10000 at most"));
  CHECK_THAT(formula, Catch::Contains("51 MiB with 10000 partitions"));
}
