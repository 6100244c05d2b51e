#include "protocol/core/utf8.h"

#include <catch2/catch.hpp>

using namespace headrace;

TEST_CASE("Utf8: told from other bytes") {
  CHECK(IsUtf8(""));
  CHECK(IsUtf8("plain"));
  CHECK(IsUtf8("Größe \xE2\x82\xAC \xF0\x9F\x8C\x8A"));
  CHECK(IsUtf8(std::string_view("a\0b", 3)));
  CHECK_FALSE(IsUtf8("\xFF"));
  CHECK_FALSE(IsUtf8("\x80"));              // continues nothing
  CHECK_FALSE(IsUtf8("\xE2\x82"));          // cut off
  CHECK_FALSE(IsUtf8("\xC0\xAF"));          // overlong
  CHECK_FALSE(IsUtf8("\xE0\x80\xAF"));      // overlong
  CHECK_FALSE(IsUtf8("\xF0\x80\x80\xAF"));  // overlong
  CHECK_FALSE(IsUtf8("\xED\xA0\x80"));      // a surrogate
  CHECK_FALSE(IsUtf8("\xF4\x90\x80\x80"));  // beyond U+10FFFF
  CHECK_FALSE(IsUtf8("\xF5\x80\x80\x80"));
}

TEST_CASE("Utf8: a prefix cuts no character in two") {
  CHECK(Utf8Prefix("abc", 3) == "abc");
  CHECK(Utf8Prefix("abc", 2) == "ab");
  CHECK(Utf8Prefix("aéb", 2) == "a");
  CHECK(Utf8Prefix("aéb", 3) == "aé");
  CHECK(Utf8Prefix("\xF0\x9F\x8C\x8A", 3).empty());
  CHECK(Utf8Prefix("\x80\x80\x80", 2).empty());  // whatever it was
}

TEST_CASE("Utf8: what a terminal would act upon is spelt out, and text stays as it is") {
  CHECK(Printable("Größe \xE2\x82\xAC \"\\") == "Größe \xE2\x82\xAC \"\\");
  CHECK(Printable("\x1b[2J\r\n\t") == "\\x1b[2J\\x0d\\x0a\\x09");
  CHECK(Printable(std::string_view("\0\x7f", 2)) == "\\x00\\x7f");
  CHECK(Printable("M\xFFller") == "M\\xffller");
  CHECK(Printable("\xE2\x82") == "\\xe2\\x82");
  CHECK(Printable("\xC2\x9B") == "\\xc2\\x9b");  // the control character that begins a sequence in one
}
