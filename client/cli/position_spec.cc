#include "client/cli/position_spec.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <limits>
#include <optional>

#include "protocol/core/status_macros.h"

namespace headrace::cli {
namespace {

constexpr std::string_view kAgo = "-ago";

absl::Status Refuse(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError("'" + std::string(text) + "' " + std::string(why));
}

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Takes exactly `digits` digits off the front of `text`.
std::optional<int> TakeDigits(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool TakeChar(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::int64_t> TakeDate(std::string_view& text) {
  const auto year = TakeDigits(text, 4);
  if (!year || !TakeChar(text, "-")) return std::nullopt;
  const auto month = TakeDigits(text, 2);
  if (!month || !TakeChar(text, "-")) return std::nullopt;
  const auto day = TakeDigits(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date}.time_since_epoch().count() * std::int64_t{86'400'000};
}

// "hh:mm:ss", with a second of 60 taken for a leap second, and its fraction.
std::optional<std::int64_t> TakeTimeOfDay(std::string_view& text) {
  const auto hour = TakeDigits(text, 2);
  if (!hour || *hour > 23 || !TakeChar(text, ":")) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute || *minute > 59 || !TakeChar(text, ":")) return std::nullopt;
  const auto second = TakeDigits(text, 2);
  if (!second || *second > 60) return std::nullopt;
  std::int64_t ms = ((*hour * 60 + *minute) * 60 + *second) * std::int64_t{1000};
  if (TakeChar(text, ".")) {
    int scale = 100;
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
      ms += scale * (text.front() - '0');
      scale /= 10;
    }
  }
  return ms;
}

// "Z" or "+hh:mm", in milliseconds east of Greenwich.
std::optional<std::int64_t> TakeZone(std::string_view& text) {
  if (TakeChar(text, "Zz")) return 0;
  const bool west = !text.empty() && text.front() == '-';
  if (!TakeChar(text, "+-")) return std::nullopt;
  const auto hour = TakeDigits(text, 2);
  if (!hour || *hour > 23 || !TakeChar(text, ":")) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  const std::int64_t ms = (*hour * 60 + *minute) * std::int64_t{60'000};
  return west ? -ms : ms;
}

}  // namespace

absl::StatusOr<std::int64_t> ParseTime(std::string_view text) {
  std::string_view rest = text;
  const auto date = TakeDate(rest);
  if (!date) return Refuse(text, "is not a time such as 2026-11-23T09:00:00Z");
  if (rest.empty()) return *date;
  if (!TakeChar(rest, "Tt ")) return Refuse(text, "is not a time such as 2026-11-23T09:00:00Z");
  const auto time = TakeTimeOfDay(rest);
  if (!time) return Refuse(text, "has no valid time of day (hh:mm:ss) after its date");
  const auto zone = TakeZone(rest);
  if (!zone) return Refuse(text, "needs a time zone at its end: Z for UTC, or such as +02:00");
  if (!rest.empty()) return Refuse(text, "goes on after its time zone");
  return *date + *time - *zone;
}

std::string FormatTime(std::int64_t timestamp_ms) {
  using std::chrono::days, std::chrono::milliseconds;
  const std::chrono::sys_time<milliseconds> time{milliseconds{timestamp_ms}};
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  std::array<char, 64> text{};
  const int size = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

absl::StatusOr<std::int64_t> ParseDuration(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::int64_t ms;
  };
  static constexpr std::array<Unit, 6> kUnits = {
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}, {"w", 604'800'000}}};
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = ParseInteger(text.substr(0, digits));
  for (const Unit& unit : kUnits) {
    if (!count || text.substr(digits) != unit.name) continue;
    if (*count > std::numeric_limits<std::int64_t>::max() / unit.ms)
      return Refuse(text, "is too long a time");
    return *count * unit.ms;
  }
  return Refuse(text, "is not a length of time such as 250ms, 30s, 5m, 2h, 1d or 1w");
}

absl::StatusOr<PositionSpec> ParsePosition(std::string_view text, std::int64_t now_ms) {
  using Kind = PositionSpec::Kind;
  if (text == "beginning" || text == "start" || text == "earliest") return PositionSpec{Kind::kBeginning, 0};
  if (text == "end" || text == "latest") return PositionSpec{Kind::kEnd, 0};
  if (const auto number = ParseInteger(text)) {
    if (*number >= 0 && text.front() != '-') return PositionSpec{Kind::kOffset, *number};
    if (*number > std::numeric_limits<std::int64_t>::min()) return PositionSpec{Kind::kBeforeEnd, -*number};
  }
  if (text.ends_with(kAgo)) {
    ASSIGN_OR_RETURN(const std::int64_t ago, ParseDuration(text.substr(0, text.size() - kAgo.size())));
    if (ago > now_ms) return Refuse(text, "is before 1970");
    return PositionSpec{Kind::kTimestamp, now_ms - ago};
  }
  if (text.ends_with("ms")) {
    if (const auto number = ParseInteger(text.substr(0, text.size() - 2)); number && *number >= 0) {
      return PositionSpec{Kind::kTimestamp, *number};
    }
  }
  if (text.size() >= 8 && text[4] == '-') {
    ASSIGN_OR_RETURN(const std::int64_t time, ParseTime(text));
    return PositionSpec{Kind::kTimestamp, time};
  }
  return Refuse(text,
                "is no position: say beginning, end, an offset, -N (N before the end), a time "
                "(2026-11-23T09:00:00Z or 1795424400000ms), or a time ago (2h-ago)");
}

}  // namespace headrace::cli
