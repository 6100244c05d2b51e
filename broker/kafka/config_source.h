// What Kafka's clients, and who reads the broker's log, are told about configuration values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "broker/kafka/services.h"
#include "broker/topic/topic_config.h"

namespace headrace::kafka {

// Who set the effective value, which is the first.
inline std::int8_t SourceOf(const std::vector<topic::ConfigSynonym>& synonyms) {
  return static_cast<std::int8_t>(synonyms.empty() ? topic::ConfigSource::kBuiltIn : synonyms.front().source);
}

// Says in the broker's log which keys that a topic was given have no effect here: the protocol has no place
// for it. An empty value means that the key was taken away.
void LogWithoutEffect(const Services& services, const std::string& topic,
                      const std::vector<std::pair<std::string, std::string>>& configs);

}  // namespace headrace::kafka
