// The form in which `headrace consume` prints a record.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "headrace/consumer.h"

namespace headrace::cli {

// Replaces \n, \t, \r, \0, \xHH and \\ by what they mean; any other escape is an error.
absl::StatusOr<std::string> Unescape(std::string_view text);

// A compiled template. Fields: %t topic, %p partition, %o offset, %T timestamp in ms, %D timestamp as
// RFC 3339, %k key, %K bytes of the key, %v value, %V bytes of the value (-1: null), %h headers as
// name=value,name=value, %% a percent sign. A null key or value prints as nothing. Immutable; thread: any.
class RecordFormat {
 public:
  // Errors: an unknown field or escape, named with its place.
  static absl::StatusOr<RecordFormat> Compile(std::string_view format);

  void Append(std::string& out, std::string_view topic, const Record& record) const;
  bool ends_with_newline() const;

 private:
  // A literal, or the field that `field` names.
  struct Piece {
    char field = 0;
    std::string literal;
  };
  static void AppendField(std::string& out, char field, std::string_view topic, const Record& record);

  std::vector<Piece> pieces_;
};

// One record as a JSON object on a line: topic, partition, offset, timestamp_ms, key, value, headers. What is
// not UTF-8 is under key_base64, value_base64; null is null.
void AppendJsonRecord(std::string& out, std::string_view topic, const Record& record);

}  // namespace headrace::cli
