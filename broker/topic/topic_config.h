// A topic's configuration, by Kafka's names.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/log_options.h"

namespace headrace::topic {

// What an acknowledgement means, per topic.
enum class Durability {
  kDurable,  // on disk before the reply: survives power loss
  kWritten,  // in the page cache before the reply: survives a crash of the process
};

std::string_view NameOf(Durability durability);

// One configuration key as a client sees it.
struct ConfigEntry {
  std::string key;
  std::string value;
  bool is_default = true;
};

// The effective configuration of one topic: the broker's defaults with the topic's own values over them.
// A value type; thread: any, while nobody changes it.
class TopicConfig {
 public:
  storage::LogOptions log;
  std::uint32_t batch_size_max = 1 << 20;  // bytes of one batch: max.message.bytes
  Durability durability = Durability::kDurable;

  // Sets one key, as a topic's own value. Errors: kInvalidConfig for an unknown key (naming the nearest
  // one), a value that is not a number, or one outside its bounds (naming them).
  absl::Status Set(std::string_view key, std::string_view value);
  // The same for the broker's defaults: changes the value, and it still counts as a default.
  absl::Status SetDefault(std::string_view key, std::string_view value) { return Apply(key, value); }
  // Returns a key to what `defaults` says.
  absl::Status Unset(std::string_view key, const TopicConfig& defaults);

  // All keys, with their present values, in a fixed order.
  std::vector<ConfigEntry> Entries() const;
  // The topic's own values only: what the registry keeps.
  const std::map<std::string, std::string>& own() const { return own_; }

 private:
  absl::Status Apply(std::string_view key, std::string_view value);

  std::map<std::string, std::string> own_;
};

// The name in `names` that differs least from `name`, for "did you mean"; empty if none is near.
std::string NearestName(std::string_view name, const std::vector<std::string>& names);

}  // namespace headrace::topic
