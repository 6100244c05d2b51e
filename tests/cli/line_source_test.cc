#include "client/cli/line_source.h"

#include <catch2/catch.hpp>

#include <unistd.h>

#include <array>
#include <thread>

namespace headrace::cli {
namespace {

using namespace std::string_view_literals;
using Found = LineSource::Found;

// A source that reads `text` through a pipe, which a thread fills.
class Piped {
 public:
  explicit Piped(std::string text, std::size_t line_size_max = 1 << 20)
      : source_(Open(), true, line_size_max) {
    writer_ = std::thread([end = ends_[1], text = std::move(text)] {
      for (std::size_t at = 0; at < text.size();) {
        const ssize_t taken = ::write(end, text.data() + at, std::min<std::size_t>(text.size() - at, 7'777));
        if (taken <= 0) break;
        at += static_cast<std::size_t>(taken);
      }
      ::close(end);
    });
  }
  ~Piped() { writer_.join(); }

  LineSource& source() { return source_; }

 private:
  int Open() {
    REQUIRE(::pipe(ends_.data()) == 0);
    return ends_[0];
  }

  std::array<int, 2> ends_{};
  LineSource source_;
  std::thread writer_;
};

std::vector<std::string> AllLines(std::string text) {
  Piped piped(std::move(text));
  std::vector<std::string> lines;
  while (piped.source().Next() == Found::kLine) lines.emplace_back(piped.source().line());
  return lines;
}

using Lines = std::vector<std::string>;

TEST_CASE("Lines: a last line without its newline is a line, an ended one adds nothing") {
  CHECK(AllLines("") == Lines{});
  CHECK(AllLines("a\nb\n") == Lines{"a", "b"});
  CHECK(AllLines("a\nb") == Lines{"a", "b"});
  CHECK(AllLines("\n\n") == Lines{"", ""});
  CHECK(AllLines("a\r\n") == Lines{"a\r"});
}

TEST_CASE("Lines: NUL is a byte like any other") {
  CHECK(AllLines(std::string("a\0b\n\0\n", 6)) == Lines{std::string("a\0b", 3), std::string("\0", 1)});
}

TEST_CASE("Lines: many lines of all lengths arrive unchanged, with their numbers") {
  std::string text;
  Lines wanted;
  for (std::size_t i = 0; i < 3000; ++i) {
    wanted.emplace_back(i * 37 % 1999, static_cast<char>('a' + i % 26));
    text += wanted.back() + "\n";
  }
  wanted.emplace_back(700'000, 'z');  // longer than a piece
  text += wanted.back() + "\n";
  Piped piped(text);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    REQUIRE(piped.source().Next() == Found::kLine);
    REQUIRE(piped.source().line() == wanted[i]);
    REQUIRE(piped.source().line_number() == i + 1);
  }
  CHECK(piped.source().Next() == Found::kEnd);
  CHECK(piped.source().bytes_read() == text.size());
}

TEST_CASE("Lines: one over the limit is reported with its number, and the next ones are still found") {
  const std::size_t size = GENERATE(std::size_t{11}, std::size_t{2'000'000});
  Piped piped("first\n" + std::string(size, 'x') + "\n0123456789\nlast", 10);
  LineSource& source = piped.source();
  CHECK(source.Next() == Found::kLine);
  CHECK(source.Next() == Found::kTooLong);
  CHECK(source.line_number() == 2);
  CHECK(source.line().empty());
  CHECK(source.Next() == Found::kLine);
  CHECK(source.line() == "0123456789");
  CHECK(source.line_number() == 3);
  CHECK(source.Next() == Found::kLine);
  CHECK(source.line() == "last");
  CHECK(source.Next() == Found::kEnd);
  CHECK(source.bytes_read() == 6 + size + 1 + 11 + 4);
}

TEST_CASE("Lines: a long last line without its newline is still too long") {
  Piped piped(std::string(100'000, 'x'), 10);
  CHECK(piped.source().Next() == Found::kTooLong);
  CHECK(piped.source().Next() == Found::kEnd);
}

TEST_CASE("Lines: a read error is an error, not an end") {
  auto source = LineSource::Open("/", 100);  // a directory opens and cannot be read
  REQUIRE(source.ok());
  CHECK(source->Next() == Found::kFailed);
  CHECK_THAT(source->error(), Catch::Contains("directory"));
}

TEST_CASE("Lines: a file that is missing is named") {
  const auto source = LineSource::Open("/nonexistent/file", 100);
  REQUIRE_FALSE(source.ok());
  CHECK_THAT(std::string(source.status().message()), Catch::Contains("/nonexistent/file"));
}

}  // namespace
}  // namespace headrace::cli
