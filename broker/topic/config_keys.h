// The table of topic configuration keys: names, types, bounds, and where each value lives.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "broker/topic/topic_config.h"

namespace headrace::topic {

// A whole number within bounds.
struct NumberKey {
  std::int64_t min;
  std::int64_t max;
  std::int64_t (*get)(const TopicConfig&);
  void (*set)(TopicConfig&, std::int64_t);
  std::string_view why_bounded = "";  // said when a value is refused
};

// A number from 0 to 1.
struct RatioKey {
  double (*get)(const TopicConfig&);
  void (*set)(TopicConfig&, double);
};

// One of some words; of a list, several of them in the order of the alphabet, separated by commas.
struct ChoiceKey {
  std::string_view choices;  // separated by '|'
  std::string (*get)(const TopicConfig&);
  void (*set)(TopicConfig&, std::string_view);
};

// One of Kafka's keys that this broker has no use for: checked by its type, kept, and reported as such.
struct KeptKey {};

struct ConfigKey {
  std::string_view name;
  ConfigType type;
  std::string_view broker_name;  // Kafka's name for the same as a default of the whole broker
  std::string_view help;
  std::variant<NumberKey, RatioKey, ChoiceKey, KeptKey> kind;

  bool has_effect() const { return !std::holds_alternative<KeptKey>(kind); }
};

// All keys: those with an effect first.
std::span<const ConfigKey> ConfigKeys();

// The key of that name, or kInvalidConfig with the nearest one.
absl::StatusOr<const ConfigKey*> FindConfigKey(std::string_view name);

// The value as the topic has it; empty for a key without effect.
std::string ValueOf(const ConfigKey& key, const TopicConfig& config);

// Puts `value` where the key says. Returns it in the one way it is spelled from here on. Errors:
// kInvalidConfig with what the value may be; the configuration is unchanged then.
absl::StatusOr<std::string> Assign(const ConfigKey& key, std::string_view value, TopicConfig& config);

}  // namespace headrace::topic
