// Lines of a file or of standard input, whatever bytes they hold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace headrace::cli {

// Reads a descriptor in large pieces. A last line without its newline is a line; NUL bytes are bytes. Owner:
// one thread. Never holds more than one line of the size limit and one piece.
class LineSource {
 public:
  enum class Found {
    kLine,
    kTooLong,  // a line over the limit, which was read past; line() is empty
    kEnd,
    kFailed,       // reading failed: see error()
    kInterrupted,  // a signal came while waiting for input
  };

  // The file at `path`, or standard input for "-". Errors name the path. `line_size_max` in bytes, without
  // the newline.
  static absl::StatusOr<LineSource> Open(const std::string& path, std::size_t line_size_max);
  // Reads `descriptor` and closes it in the end if `owned`.
  LineSource(int descriptor, bool owned, std::size_t line_size_max);
  LineSource(LineSource&& other) noexcept;
  LineSource& operator=(LineSource&&) = delete;
  ~LineSource();

  // The next line; line() holds until the next call.
  Found Next();
  std::string_view line() const { return line_; }
  // Number of the line that Next found last, from 1.
  std::uint64_t line_number() const { return line_number_; }
  // Bytes of all lines that Next has passed, with their newlines.
  std::uint64_t bytes_read() const { return bytes_read_; }
  // Size of a regular file when it was opened, for progress.
  std::optional<std::uint64_t> size() const { return size_; }
  // Whether the next line is in memory, so that Next does not wait.
  bool has_buffered_line() const;
  // Text of what failed.
  const std::string& error() const { return error_; }

 private:
  enum class Filled { kMore, kEnd, kFailed, kInterrupted };
  Filled Fill();
  Found TakeLine(std::size_t size, bool with_newline);

  int descriptor_;
  bool owned_;
  std::size_t line_size_max_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;    // of what is not yet handed out
  std::size_t end_ = 0;      // of what was read
  std::size_t scanned_ = 0;  // before this there is no newline
  bool skipping_ = false;    // inside a line over the limit
  std::string_view line_;
  std::uint64_t line_number_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::optional<std::uint64_t> size_;
  std::string error_;
};

}  // namespace headrace::cli
