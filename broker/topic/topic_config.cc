#include "broker/topic/topic_config.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "broker/topic/config_keys.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::topic {
namespace {

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

absl::Status TopicConfig::Set(std::string_view key, std::string_view value) {
  ASSIGN_OR_RETURN(const ConfigKey* const found, FindConfigKey(key));
  ASSIGN_OR_RETURN(own_[std::string(key)], Assign(*found, value, *this));
  return absl::OkStatus();
}

absl::Status TopicConfig::SetDefault(std::string_view key, std::string_view value) {
  ASSIGN_OR_RETURN(const ConfigKey* const found, FindConfigKey(key));
  return Assign(*found, value, *this).status();
}

absl::Status TopicConfig::Unset(std::string_view key, const TopicConfig& defaults) {
  ASSIGN_OR_RETURN(const ConfigKey* const found, FindConfigKey(key));
  own_.erase(std::string(key));
  return found->has_effect() ? Assign(*found, ValueOf(*found, defaults), *this).status() : absl::OkStatus();
}

absl::Status TopicConfig::CheckTogether() const {
  if (log.min_compaction_lag_ms <= log.max_compaction_lag_ms) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat("min.compaction.lag.ms is ", log.min_compaction_lag_ms,
                                ", above max.compaction.lag.ms, which is ", log.max_compaction_lag_ms));
}

absl::Status TopicConfig::CheckTrim() const {
  if (!log.compact || log.delete_by_retention) return absl::OkStatus();
  return MakeError(ErrorCode::kPolicyViolation,
                   "cleanup.policy is compact, which keeps the last record of every key; with compact,delete "
                   "records may be deleted");
}

std::vector<ConfigEntry> TopicConfig::Entries() const {
  std::vector<ConfigEntry> entries;
  for (const ConfigKey& key : ConfigKeys()) {
    const auto own = own_.find(std::string(key.name));
    if (!key.has_effect() && own == own_.end()) continue;
    ConfigEntry& entry = entries.emplace_back();
    entry.key = key.name;
    entry.value = key.has_effect() ? ValueOf(key, *this) : own->second;
    entry.is_default = own == own_.end();
    entry.has_effect = key.has_effect();
    entry.type = key.type;
    entry.help = key.help;
  }
  return entries;
}

std::vector<ConfigSynonym> TopicConfig::Synonyms(std::string_view key, const TopicConfig& defaults) const {
  std::vector<ConfigSynonym> synonyms;
  const absl::StatusOr<const ConfigKey*> found = FindConfigKey(key);
  if (!found.ok()) return synonyms;
  const ConfigKey& known = **found;
  if (const auto own = own_.find(std::string(key)); own != own_.end()) {
    synonyms.push_back({std::string(key), own->second, ConfigSource::kTopic});
  }
  if (!known.has_effect()) return synonyms;
  const std::string built_in = ValueOf(known, TopicConfig());
  const std::string broker = ValueOf(known, defaults);
  if (broker != built_in) {
    synonyms.push_back({std::string(known.broker_name), broker, ConfigSource::kBroker});
  }
  synonyms.push_back({std::string(known.broker_name), built_in, ConfigSource::kBuiltIn});
  return synonyms;
}

std::string NearestName(std::string_view name, const std::vector<std::string>& names) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : names) {
    const auto [shorter, longer] = std::minmax(name.size(), candidate.size());
    if (longer - shorter >= best_distance) continue;  // they are at least so far apart
    const std::size_t distance = EditDistance(name, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace headrace::topic
