// A topic's configuration, by Kafka's names.
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "protocol/core/compression.h"
#include "storage/log_options.h"

namespace headrace::topic {

// What an acknowledgement means, per topic.
enum class Durability {
  kDurable,  // on disk before the reply: survives power loss
  kWritten,  // in the page cache before the reply: survives a crash of the process
};

std::string_view NameOf(Durability durability);

// A key's type, by the numbers of Kafka's DescribeConfigs.
enum class ConfigType : std::int8_t {
  kBoolean = 1,
  kString = 2,
  kInt = 3,
  kLong = 5,
  kDouble = 6,
  kList = 7
};

// Who set a value, by the numbers of Kafka's DescribeConfigs.
enum class ConfigSource : std::int8_t {
  kTopic = 1,    // the topic itself
  kBroker = 4,   // the broker's settings, for all topics that say nothing
  kBuiltIn = 5,  // nobody
};

// One configuration key as a client sees it.
struct ConfigEntry {
  std::string key;
  std::string value;
  bool is_default = true;
  bool has_effect = true;  // false: known to Kafka, kept, and nothing here depends on it
  ConfigType type = ConfigType::kString;
  std::string_view help;  // one line
};

// One of the values behind an effective one: what would hold if those before it were taken away.
struct ConfigSynonym {
  std::string name;  // the topic's key, or Kafka's name for the broker's default
  std::string value;
  ConfigSource source = ConfigSource::kBuiltIn;
};

// The effective configuration of one topic: the broker's defaults with the topic's own values over them.
// A value type; thread: any, while nobody changes it.
class TopicConfig {
 public:
  static constexpr TimestampMs kNoTimeLimit = std::numeric_limits<TimestampMs>::max();

  storage::LogOptions log;
  std::uint32_t batch_size_max = 1 << 20;  // bytes of one batch: max.message.bytes
  Durability durability = Durability::kDurable;
  std::optional<Compression> compression;  // what batches are compressed with; nullopt: as they were sent
  bool log_append_time = false;            // timestamps are the broker's, of the append
  // How far a producer's timestamps may lie behind and ahead of the broker's clock.
  TimestampMs timestamp_before_max_ms = kNoTimeLimit;
  TimestampMs timestamp_after_max_ms = kNoTimeLimit;

  // Sets one key, as a topic's own value. Errors: kInvalidConfig for an unknown key (naming the nearest
  // one), or a value that is not of the key's type or outside its bounds (naming them). A key of Kafka's that
  // has no effect here is kept.
  absl::Status Set(std::string_view key, std::string_view value);
  // The same for the broker's defaults: changes the value, and it still counts as a default.
  absl::Status SetDefault(std::string_view key, std::string_view value);
  // Returns a key to what `defaults` says.
  absl::Status Unset(std::string_view key, const TopicConfig& defaults);
  // Whether the values go together; kInvalidConfig naming those that do not.
  absl::Status CheckTogether() const;
  // Whether records may be deleted from the log's start on; kPolicyViolation where compaction alone may.
  absl::Status CheckTrim() const;

  // All keys that have an effect, in a fixed order, then those without that the topic has set.
  std::vector<ConfigEntry> Entries() const;
  // Where the value of `key` comes from, the effective one first; empty for an unknown key, or one that has
  // no effect and is not set. `defaults`: the broker's.
  std::vector<ConfigSynonym> Synonyms(std::string_view key, const TopicConfig& defaults) const;
  // The topic's own values only: what the registry keeps. None holds white space.
  const std::map<std::string, std::string>& own() const { return own_; }

 private:
  std::map<std::string, std::string> own_;
};

// The name in `names` that differs least from `name`, for "did you mean"; empty if none is near.
std::string NearestName(std::string_view name, const std::vector<std::string>& names);

}  // namespace headrace::topic
