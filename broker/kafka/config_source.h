// Who set a configuration value, as Kafka's clients are told.
#pragma once

#include <cstdint>
#include <vector>

#include "broker/topic/topic_config.h"

namespace headrace::kafka {

// Of the effective value, which is the first.
inline std::int8_t SourceOf(const std::vector<topic::ConfigSynonym>& synonyms) {
  return static_cast<std::int8_t>(synonyms.empty() ? topic::ConfigSource::kBuiltIn : synonyms.front().source);
}

}  // namespace headrace::kafka
