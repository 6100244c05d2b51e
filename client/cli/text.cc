#include "client/cli/text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>

#include "protocol/core/utf8.h"

namespace headrace::cli {
namespace {

// Characters on the screen, near enough: the bytes that do not continue a UTF-8 character.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

void AppendEscaped(std::string& out, char c) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 0x0F];
  }
}

// Levenshtein's distance.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string Scaled(double value, double step, const std::vector<std::string_view>& units) {
  std::size_t unit = 0;
  for (; value >= step * 0.9995 && unit + 1 < units.size(); ++unit) value /= step;
  const int digits = unit == 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::string text = Fixed(value, digits);
  if (!units[unit].empty()) text.append(" ").append(units[unit]);
  return text;
}

}  // namespace

void AppendBase64(std::string& out, std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t taken = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = (bits << 8) | (i < taken ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) out += i <= taken ? kDigits[(bits >> (18 - 6 * i)) & 0x3F] : '=';
  }
}

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.substr(plain, at - plain));
    AppendEscaped(out, c);
    plain = at + 1;
  }
  out.append(text.substr(plain)) += '"';
}

void AppendJsonBytes(std::string& out, std::string_view name, std::string_view bytes) {
  const bool is_text = IsUtf8(bytes);
  out.append("\"").append(name).append(is_text ? "\":" : "_base64\":");
  if (is_text) return AppendJsonString(out, bytes);
  out += '"';
  AppendBase64(out, bytes);
  out += '"';
}

std::string Fixed(double value, int digits) {
  std::array<char, 352> text{};
  const int size = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string HumanBytes(double bytes) {
  return Scaled(bytes, 1024, {"B", "KiB", "MiB", "GiB", "TiB", "PiB"});
}

std::string HumanCount(double count) {
  return Scaled(count, 1000, {"", "k", "M", "G", "T"});
}

std::string HumanNanoseconds(double nanoseconds) {
  return Scaled(nanoseconds, 1000, {"ns", "µs", "ms", "s"});
}

std::string HumanSeconds(double seconds) {
  if (seconds < 0.9995) return Fixed(seconds * 1000, 0) + " ms";
  if (seconds < 59.95) return Fixed(seconds, 1) + " s";
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  const bool hours = whole >= 3600;
  const std::int64_t large = hours ? whole / 3600 : whole / 60;
  const std::int64_t small = hours ? whole / 60 % 60 : whole % 60;
  return std::to_string(large) + (hours ? "h" : "m") + (small < 10 ? "0" : "") + std::to_string(small) +
         (hours ? "m" : "s");
}

void Table::Add(const std::vector<std::string>& row) {
  std::vector<std::string>& cells = rows_.emplace_back();
  for (const std::string& cell : row) cells.push_back(Printable(cell));
}

std::string Table::ToString() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - Width(row[i]), ' ');
      const bool right = i < alignment_.size() && alignment_[i] == 'r';
      out.append(right ? padding : "").append(row[i]).append(right ? "" : padding).append("  ");
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  }
  return out;
}

std::vector<std::string> SimilarNames(std::string_view name, const std::vector<std::string>& known) {
  // Short names are near to nearly all of their length.
  const std::size_t near_enough = name.size() < 4 ? 1 : std::max<std::size_t>(2, name.size() / 3);
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const std::string& candidate : known) {
    const std::size_t distance = EditDistance(name, candidate);
    const bool contains = name.size() > 2 && candidate.find(name) != std::string::npos;
    if (distance <= near_enough || contains) near.emplace_back(distance, candidate);
  }
  std::sort(near.begin(), near.end());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < near.size() && i < 3; ++i) names.push_back(near[i].second);
  return names;
}

}  // namespace headrace::cli
