#include "client/cli/text.h"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

namespace headrace::cli {
namespace {

std::string Base64(std::string_view bytes) {
  std::string out;
  AppendBase64(out, bytes);
  return out;
}

std::string JsonBytes(std::string_view bytes) {
  std::string out;
  AppendJsonBytes(out, "value", bytes);
  return out;
}

TEST_CASE("Text: base64 as in RFC 4648") {
  CHECK(Base64("").empty());
  CHECK(Base64("f") == "Zg==");
  CHECK(Base64("fo") == "Zm8=");
  CHECK(Base64("foo") == "Zm9v");
  CHECK(Base64("foob") == "Zm9vYg==");
  CHECK(Base64("fooba") == "Zm9vYmE=");
  CHECK(Base64("foobar") == "Zm9vYmFy");
  CHECK(Base64(std::string_view("\0\xFF\x10", 3)) == "AP8Q");
}

TEST_CASE("Text: a JSON string survives a JSON parser") {
  for (const std::string& text : {std::string("say \"hi\" \\ there"), std::string("\x01\x1F\n\r\t\x7F"),
                                  std::string("nul \0 inside", 12), std::string("Größe")}) {
    std::string out;
    AppendJsonString(out, text);
    CHECK(nlohmann::json::parse(out).get<std::string>() == text);
  }
}

TEST_CASE("Text: bytes that are no text go under another field") {
  CHECK(JsonBytes("text") == "\"value\":\"text\"");
  CHECK(JsonBytes("\xFF\xFE") == "\"value_base64\":\"//4=\"");
}

TEST_CASE("Text: numbers with units") {
  CHECK(HumanBytes(0) == "0 B");
  CHECK(HumanBytes(1023) == "1023 B");
  CHECK(HumanBytes(1024) == "1.00 KiB");
  CHECK(HumanBytes(1.5 * 1024 * 1024) == "1.50 MiB");
  CHECK(HumanCount(999) == "999");
  CHECK(HumanCount(999'999) == "1.00 M");
  CHECK(HumanCount(12'345'678) == "12.3 M");
  CHECK(HumanNanoseconds(812) == "812 ns");
  CHECK(HumanNanoseconds(1'300'000) == "1.30 ms");
  CHECK(HumanSeconds(0.25) == "250 ms");
  CHECK(HumanSeconds(4.2) == "4.2 s");
  CHECK(HumanSeconds(185) == "3m05s");
  CHECK(HumanSeconds(3725) == "1h02m");
}

TEST_CASE("Text: a table aligns its columns") {
  Table table("lr", {"NAME", "COUNT"});
  CHECK(table.empty());
  table.Add({"a", "5"});
  table.Add({"long name", "1234567"});
  CHECK(table.ToString() ==
        "NAME         COUNT\n"
        "a                5\n"
        "long name  1234567\n");
}

TEST_CASE("Text: similar names are the ones somebody may have meant") {
  const std::vector<std::string> known = {"orders", "orders-eu", "payments", "users"};
  CHECK(SimilarNames("order", known) == std::vector<std::string>{"orders", "orders-eu"});
  CHECK(SimilarNames("paymnets", known) == std::vector<std::string>{"payments"});
  CHECK(SimilarNames("clicks-and-views", known).empty());
  CHECK(SimilarNames("ab", {"cd", "xyz", "tab", "cabaret"}) == std::vector<std::string>{"tab"});
}

}  // namespace
}  // namespace headrace::cli
