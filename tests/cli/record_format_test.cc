#include "client/cli/record_format.h"

#include <catch2/catch.hpp>

#include <array>

#include <nlohmann/json.hpp>

namespace headrace::cli {
namespace {

using namespace std::string_view_literals;

Record Sample() {
  Record record;
  record.partition = 3;
  record.offset = 42;
  record.timestamp_ms = 1'700'000'000'123;
  record.key = "k\0y"sv;
  record.value = "value";
  return record;
}

std::string Format(std::string_view format, const Record& record) {
  const auto compiled = RecordFormat::Compile(format);
  REQUIRE(compiled.ok());
  std::string out;
  compiled->Append(out, "orders", record);
  return out;
}

TEST_CASE("Format: every field") {
  const std::array<Header, 2> headers = {{{"a", "1"}, {"b", std::nullopt}}};
  Record record = Sample();
  record.headers = headers;
  CHECK(Format("%t %p %o %T", record) == "orders 3 42 1700000000123");
  CHECK(Format("%D", record) == "2023-11-14T22:13:20.123Z");
  CHECK(Format("%k=%v", record) == "k\0y=value"sv);
  CHECK(Format("%K %V", record) == "3 5");
  CHECK(Format("%h", record) == "a=1,b=");
  CHECK(Format("100%% %v%%", record) == "100% value%");
}

TEST_CASE("Format: escapes") {
  CHECK(Format("%o\\t%v\\n", Sample()) == "42\tvalue\n");
  CHECK(Format("\\\\%v\\x41\\0", Sample()) == "\\valueA\0"sv);
  CHECK(RecordFormat::Compile("%v\\n")->ends_with_newline());
  CHECK_FALSE(RecordFormat::Compile("\\n%v")->ends_with_newline());
  CHECK_FALSE(RecordFormat::Compile("")->ends_with_newline());
}

TEST_CASE("Format: a null key or value is nothing, of size -1") {
  Record record = Sample();
  record.key = std::nullopt;
  record.value = std::nullopt;
  CHECK(Format("[%k|%v] %K %V", record) == "[|] -1 -1");
}

TEST_CASE("Format: mistakes are named with their place") {
  const auto [format, reason] = GENERATE(table<const char*, const char*>({
      {"%o %x", "%x at character 4 is no field"},
      {"%", "at character 1 is no field"},
      {"%v\\q", "\\q is no escape"},
      {"%v\\", "stands alone"},
      {"\\x4", "is no escape"},
      {"\\xzz", "is no escape"},
  }));
  CAPTURE(format);
  const auto compiled = RecordFormat::Compile(format);
  REQUIRE_FALSE(compiled.ok());
  CHECK_THAT(std::string(compiled.status().message()), Catch::Contains(reason));
}

TEST_CASE("Format: JSON keeps every byte, as text or as base64") {
  const std::array<Header, 2> headers = {{{"h", "\xFF"}, {"null", std::nullopt}}};
  Record record = Sample();
  record.key = std::nullopt;
  record.value = "\xC3\x28";
  record.headers = headers;
  std::string out;
  AppendJsonRecord(out, "orders", record);
  REQUIRE(out.ends_with('\n'));
  const auto document = nlohmann::json::parse(out);
  CHECK(document["topic"] == "orders");
  CHECK(document["partition"] == 3);
  CHECK(document["offset"] == 42);
  CHECK(document["timestamp_ms"] == 1'700'000'000'123);
  CHECK(document["key"].is_null());
  CHECK(document["value_base64"] == "wyg=");
  CHECK_FALSE(document.contains("value"));
  CHECK(document["headers"][0]["value_base64"] == "/w==");
  CHECK(document["headers"][1]["value"].is_null());
}

}  // namespace
}  // namespace headrace::cli
