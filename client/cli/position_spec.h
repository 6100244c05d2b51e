// Where in a partition to begin or to stop, as a person writes it on a command line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace headrace::cli {

struct PositionSpec {
  enum class Kind {
    kBeginning,
    kEnd,
    kOffset,     // value: the offset
    kBeforeEnd,  // value: that many records before the end
    kTimestamp,  // value: milliseconds since the Unix epoch
  };
  Kind kind = Kind::kBeginning;
  std::int64_t value = 0;

  friend bool operator==(const PositionSpec&, const PositionSpec&) = default;
};

// "beginning" or "earliest", "end" or "latest", an offset ("1234"), a count before the end ("-10"), an RFC
// 3339 time
// ("2026-11-23T09:00:00Z"), a date ("2026-11-23", midnight UTC), milliseconds ("1795424400000ms"), or a time
// before now ("2h-ago"; units ms, s, m, h, d, w). A bare number is always an offset.
absl::StatusOr<PositionSpec> ParsePosition(std::string_view text, std::int64_t now_ms);

// An RFC 3339 time, or a date, in milliseconds since the Unix epoch; finer digits are dropped.
absl::StatusOr<std::int64_t> ParseTime(std::string_view text);

// The opposite of ParseTime, in UTC: "2026-11-23T09:00:00.000Z".
std::string FormatTime(std::int64_t timestamp_ms);

// A length of time, "250ms", "2h" or "1d", in milliseconds.
absl::StatusOr<std::int64_t> ParseDuration(std::string_view text);

}  // namespace headrace::cli
