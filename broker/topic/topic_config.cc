#include "broker/topic/topic_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::topic {
namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

// One numeric key: where it lives and what it may be.
struct NumberKey {
  std::string_view name;
  std::int64_t min;
  std::int64_t max;
  std::int64_t (*get)(const TopicConfig&);
  void (*set)(TopicConfig&, std::int64_t);
};

constexpr std::array<NumberKey, 5> kNumberKeys = {{
    {"max.message.bytes", 1024, 64 << 20,
     [](const TopicConfig& c) -> std::int64_t { return c.batch_size_max; },
     [](TopicConfig& c, std::int64_t v) { c.batch_size_max = static_cast<std::uint32_t>(v); }},
    {"retention.bytes", -1, kNoLimit, [](const TopicConfig& c) { return c.log.retention_bytes; },
     [](TopicConfig& c, std::int64_t v) { c.log.retention_bytes = v; }},
    {"retention.ms", -1, kNoLimit, [](const TopicConfig& c) { return c.log.retention_ms; },
     [](TopicConfig& c, std::int64_t v) { c.log.retention_ms = v; }},
    // Positions in an offset index are 32 bits wide, hence the upper bound.
    {"segment.bytes", 64 << 10, std::int64_t{1} << 31,
     [](const TopicConfig& c) { return static_cast<std::int64_t>(c.log.segment_size_max); },
     [](TopicConfig& c, std::int64_t v) { c.log.segment_size_max = static_cast<std::uint64_t>(v); }},
    {"segment.ms", 1, kNoLimit, [](const TopicConfig& c) { return c.log.segment_age_max_ms; },
     [](TopicConfig& c, std::int64_t v) { c.log.segment_age_max_ms = v; }},
}};

std::vector<std::string> KeyNames() {
  std::vector<std::string> names = {"durability"};
  for (const NumberKey& key : kNumberKeys) names.emplace_back(key.name);
  return names;
}

absl::Status UnknownKey(std::string_view key) {
  const std::string nearest = NearestName(key, KeyNames());
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat("unknown topic configuration \"", std::string(key), "\"",
                                nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
}

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::string_view NameOf(Durability durability) {
  return durability == Durability::kDurable ? "durable" : "written";
}

absl::Status TopicConfig::Apply(std::string_view key, std::string_view value) {
  if (key == "durability") {
    if (value != "durable" && value != "written") {
      return MakeError(ErrorCode::kInvalidConfig, absl::StrCat("durability is \"", std::string(value),
                                                               "\"; it is \"durable\" or \"written\""));
    }
    durability = value == "durable" ? Durability::kDurable : Durability::kWritten;
    return absl::OkStatus();
  }
  const auto* found = std::find_if(kNumberKeys.begin(), kNumberKeys.end(),
                                   [&](const NumberKey& candidate) { return candidate.name == key; });
  if (found == kNumberKeys.end()) return UnknownKey(key);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < found->min ||
      number > found->max) {
    return MakeError(ErrorCode::kInvalidConfig,
                     absl::StrCat(std::string(key), " is \"", std::string(value), "\"; it is a number from ",
                                  found->min, " to ", found->max));
  }
  found->set(*this, number);
  return absl::OkStatus();
}

absl::Status TopicConfig::Set(std::string_view key, std::string_view value) {
  RETURN_IF_ERROR(Apply(key, value));
  own_[std::string(key)] = std::string(value);
  return absl::OkStatus();
}

absl::Status TopicConfig::Unset(std::string_view key, const TopicConfig& defaults) {
  for (const ConfigEntry& entry : defaults.Entries()) {
    if (entry.key != key) continue;
    own_.erase(entry.key);
    return Apply(key, entry.value);
  }
  return UnknownKey(key);
}

std::vector<ConfigEntry> TopicConfig::Entries() const {
  std::vector<ConfigEntry> entries;
  entries.push_back({"durability", std::string(NameOf(durability)), !own_.contains("durability")});
  for (const NumberKey& key : kNumberKeys) {
    const std::string name(key.name);
    entries.push_back({name, std::to_string(key.get(*this)), !own_.contains(name)});
  }
  return entries;
}

std::string NearestName(std::string_view name, const std::vector<std::string>& names) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : names) {
    const std::size_t distance = EditDistance(name, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace headrace::topic
