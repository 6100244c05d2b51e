#include "client/cli/record_format.h"

#include <array>
#include <charconv>
#include <optional>

#include "client/cli/position_spec.h"
#include "client/cli/text.h"
#include "protocol/core/status_macros.h"

namespace headrace::cli {
namespace {

constexpr std::string_view kFields = "tpoTDkKvVh";

void AppendInteger(std::string& out, std::int64_t value) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

std::int64_t SizeOf(const std::optional<std::string_view>& bytes) {
  return bytes ? static_cast<std::int64_t>(bytes->size()) : -1;
}

void AppendHeaders(std::string& out, const Record& record) {
  bool first = true;
  for (const Header& header : record.headers) {
    if (!first) out += ',';
    first = false;
    out.append(header.key).append("=").append(header.value.value_or(""));
  }
}

// The character that the escape at the front of `text` (behind its backslash) stands for; removes it.
absl::StatusOr<char> TakeEscape(std::string_view& text) {
  if (text.empty())
    return absl::InvalidArgumentError("a backslash stands alone at the end; write \\\\ for one");
  const char kind = text.front();
  text.remove_prefix(1);
  switch (kind) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '0':
      return '\0';
    case '\\':
      return '\\';
    case 'x': {
      unsigned value = 0;
      if (text.size() < 2) break;
      const auto [end, error] = std::from_chars(text.data(), text.data() + 2, value, 16);
      if (error != std::errc{} || end != text.data() + 2) break;
      text.remove_prefix(2);
      return static_cast<char>(value);
    }
    default:
      break;
  }
  return absl::InvalidArgumentError("\\" + std::string(1, kind) +
                                    " is no escape; known are \\n \\t \\r \\0 \\xHH \\\\");
}

void AppendJsonOptional(std::string& out, std::string_view name,
                        const std::optional<std::string_view>& bytes) {
  if (bytes) return AppendJsonBytes(out, name, *bytes);
  out.append("\"").append(name).append("\":null");
}

}  // namespace

absl::StatusOr<std::string> Unescape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c != '\\') {
      out += c;
      continue;
    }
    ASSIGN_OR_RETURN(const char escaped, TakeEscape(text));
    out += escaped;
  }
  return out;
}

absl::StatusOr<RecordFormat> RecordFormat::Compile(std::string_view format) {
  RecordFormat result;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) result.pieces_.push_back({0, std::exchange(literal, {})});
  };
  for (std::string_view rest = format; !rest.empty();) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c == '\\') {
      ASSIGN_OR_RETURN(const char escaped, TakeEscape(rest));
      literal += escaped;
    } else if (c == '%' && rest.starts_with('%')) {
      literal += '%';
      rest.remove_prefix(1);
    } else if (c == '%') {
      if (rest.empty() || kFields.find(rest.front()) == std::string_view::npos) {
        return absl::InvalidArgumentError("%" + std::string(rest.substr(0, 1)) + " at character " +
                                          std::to_string(format.size() - rest.size()) +
                                          " is no field; known are %t %p %o %T %D %k %K %v %V %h %%");
      }
      flush();
      result.pieces_.push_back({rest.front(), {}});
      rest.remove_prefix(1);
    } else {
      literal += c;
    }
  }
  flush();
  return result;
}

bool RecordFormat::ends_with_newline() const {
  return !pieces_.empty() && pieces_.back().field == 0 && pieces_.back().literal.ends_with('\n');
}

void RecordFormat::Append(std::string& out, std::string_view topic, const Record& record) const {
  for (const Piece& piece : pieces_) {
    if (piece.field == 0)
      out += piece.literal;
    else
      AppendField(out, piece.field, topic, record);
  }
}

void RecordFormat::AppendField(std::string& out, char field, std::string_view topic, const Record& record) {
  switch (field) {
    case 't':
      out += topic;
      break;
    case 'p':
      AppendInteger(out, record.partition);
      break;
    case 'o':
      AppendInteger(out, record.offset);
      break;
    case 'T':
      AppendInteger(out, record.timestamp_ms);
      break;
    case 'D':
      out += FormatTime(record.timestamp_ms);
      break;
    case 'k':
      out += record.key.value_or("");
      break;
    case 'K':
      AppendInteger(out, SizeOf(record.key));
      break;
    case 'v':
      out += record.value.value_or("");
      break;
    case 'V':
      AppendInteger(out, SizeOf(record.value));
      break;
    case 'h':
      AppendHeaders(out, record);
      break;
    default:
      break;  // Compile lets no other field through
  }
}

void AppendJsonRecord(std::string& out, std::string_view topic, const Record& record) {
  out += "{\"topic\":";
  AppendJsonString(out, topic);
  out += ",\"partition\":";
  AppendInteger(out, record.partition);
  out += ",\"offset\":";
  AppendInteger(out, record.offset);
  out += ",\"timestamp_ms\":";
  AppendInteger(out, record.timestamp_ms);
  out += ',';
  AppendJsonOptional(out, "key", record.key);
  out += ',';
  AppendJsonOptional(out, "value", record.value);
  out += ",\"headers\":[";
  for (const Header& header : record.headers) {
    if (&header != record.headers.data()) out += ',';
    out += '{';
    AppendJsonBytes(out, "key", header.key);
    out += ',';
    AppendJsonOptional(out, "value", header.value);
    out += '}';
  }
  out += "]}\n";
}

}  // namespace headrace::cli
