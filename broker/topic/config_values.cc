// Reading and writing the values of configuration keys.
#include <algorithm>
#include <array>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "broker/topic/config_keys.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::topic {
namespace {

// Bytes of a value that is only kept.
constexpr std::size_t kKeptSizeMax = 1024;

absl::Status Refuse(const ConfigKey& key, std::string_view value, std::string_view allowed) {
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat(std::string(key.name), " is \"", std::string(value.substr(0, kKeptSizeMax)),
                                "\"; it is ", std::string(allowed)));
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(Trim(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string Join(const std::vector<std::string_view>& parts) {
  std::string text;
  for (const std::string_view part : parts) {
    text += part;
    text += ',';
  }
  text.pop_back();  // there is one part at least, if an empty one
  return text;
}

// Each word once, in the order of the alphabet.
std::string Ordered(std::string_view list) {
  std::vector<std::string_view> parts = Split(list, ',');
  std::sort(parts.begin(), parts.end());
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return Join(parts);
}

template <typename T>
bool ParseAll(std::string_view text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string Print(double number) {
  std::array<char, 32> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
  return std::string(text.data(), end);
}

struct Writer {
  const ConfigKey& key;
  std::string_view value;
  TopicConfig& config;

  absl::StatusOr<std::string> operator()(const NumberKey& kind) const {
    std::int64_t number = 0;
    if (!ParseAll(value, number) || number < kind.min || number > kind.max) {
      std::string allowed = kind.min == kind.max ? absl::StrCat("always ", kind.min)
                                                 : absl::StrCat("a number from ", kind.min, " to ", kind.max);
      if (!kind.why_bounded.empty()) absl::StrAppend(&allowed, ": ", std::string(kind.why_bounded));
      return Refuse(key, value, allowed);
    }
    kind.set(config, number);
    return std::to_string(number);
  }
  absl::StatusOr<std::string> operator()(const RatioKey& kind) const {
    double number = 0;
    // Written so that what is not a number fails too.
    if (!ParseAll(value, number) || !(number >= 0 && number <= 1)) {
      return Refuse(key, value, "a number from 0 to 1");
    }
    kind.set(config, number);
    return Print(number);
  }
  absl::StatusOr<std::string> operator()(const ChoiceKey& kind) const {
    const std::string word = key.type == ConfigType::kList ? Ordered(value) : std::string(value);
    const std::vector<std::string_view> choices = Split(kind.choices, '|');
    if (std::find(choices.begin(), choices.end(), word) == choices.end()) {
      std::string allowed = "one of";
      for (const std::string_view choice : choices)
        absl::StrAppend(&allowed, " \"", std::string(choice), "\"");
      return Refuse(key, value, allowed);
    }
    kind.set(config, word);
    return word;
  }
  absl::StatusOr<std::string> operator()(const KeptKey&) const {
    if (key.type == ConfigType::kBoolean) return Boolean();
    std::int64_t number = 0;
    if (key.type == ConfigType::kInt || key.type == ConfigType::kLong) {
      if (!ParseAll(value, number)) return Refuse(key, value, "a whole number");
      return std::to_string(number);
    }
    const std::string text = key.type == ConfigType::kList ? Join(Split(value, ',')) : std::string(value);
    const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (text.size() > kKeptSizeMax || !plain) {
      return Refuse(key, value, absl::StrCat("at most ", kKeptSizeMax, " printable characters, no space"));
    }
    return text;
  }
  absl::StatusOr<std::string> Boolean() const {
    std::string word(value);
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (word != "true" && word != "false") return Refuse(key, value, "true or false");
    return word;
  }
};

struct Reader {
  const TopicConfig& config;

  std::string operator()(const NumberKey& kind) const { return std::to_string(kind.get(config)); }
  std::string operator()(const RatioKey& kind) const { return Print(kind.get(config)); }
  std::string operator()(const ChoiceKey& kind) const { return kind.get(config); }
  std::string operator()(const KeptKey&) const { return ""; }
};

}  // namespace

absl::StatusOr<const ConfigKey*> FindConfigKey(std::string_view name) {
  const std::span<const ConfigKey> keys = ConfigKeys();
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& key) { return key.name == name; });
  if (found != keys.end()) return &*found;
  std::vector<std::string> names;
  for (const ConfigKey& key : keys) names.emplace_back(key.name);
  const std::string nearest = NearestName(name, names);
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat("unknown topic configuration \"", std::string(name), "\"",
                                nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
}

std::string ValueOf(const ConfigKey& key, const TopicConfig& config) {
  return std::visit(Reader{config}, key.kind);
}

absl::StatusOr<std::string> Assign(const ConfigKey& key, std::string_view value, TopicConfig& config) {
  return std::visit(Writer{key, Trim(value), config}, key.kind);
}

}  // namespace headrace::topic
