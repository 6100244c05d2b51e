// Text that people and programs read: JSON strings, base64, and numbers with units.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::cli {

// Appends `bytes` in base64 (RFC 4648 section 4, padded).
void AppendBase64(std::string& out, std::string_view bytes);

// Appends `text` as a JSON string with its quotes. REQUIRES: IsUtf8(text).
void AppendJsonString(std::string& out, std::string_view text);

// Appends `"name":"..."` when the bytes are UTF-8 and `"name_base64":"..."` when they are not.
void AppendJsonBytes(std::string& out, std::string_view name, std::string_view bytes);

// "1.5 GiB", "812 B".
std::string HumanBytes(double bytes);
// "1.23 M", "45.0 k", "812".
std::string HumanCount(double count);
// "1h02m", "3m05s", "4.2 s", "850 ms".
std::string HumanSeconds(double seconds);
// Nanoseconds as "812 ns", "4.21 µs", "1.30 ms", "2.05 s".
std::string HumanNanoseconds(double nanoseconds);
// printf's "%.*f".
std::string Fixed(double value, int digits);

// Rows of cells under a head; what is not printable in a cell is spelt out. `alignment` has a letter for each
// column: l to the left, r to the right.
class Table {
 public:
  Table(std::string alignment, std::vector<std::string> head) : alignment_(std::move(alignment)) {
    rows_.push_back(std::move(head));
  }
  void Add(const std::vector<std::string>& row);
  bool empty() const { return rows_.size() == 1; }
  // One line per row, two spaces between columns.
  std::string ToString() const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

// Names in `known` that somebody who typed `name` may have meant, nearest first, at most three.
std::vector<std::string> SimilarNames(std::string_view name, const std::vector<std::string>& known);

}  // namespace headrace::cli
