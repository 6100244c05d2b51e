// What producers and consumers must know of their topic before they begin.
#pragma once

#include <cstdint>
#include <string>

#include "client/connection.h"

namespace headrace {

struct TopicFacts {
  std::string name;
  std::string id;  // 16 bytes
  std::uint32_t partition_count = 0;
  std::size_t batch_size_max = 0;     // bytes: max.message.bytes or segment.bytes, else the broker's limit
  std::string batch_size_max_source;  // what set it, for messages
};

// Asks the broker. kUnknownTopicOrPartition if there is no such topic.
Result<TopicFacts> LookUpTopic(Connection& connection, const std::string& topic, TimePoint deadline,
                               const Wakeup* cancel = nullptr);

}  // namespace headrace
