// What most messages group their partitions by.
#pragma once

#include "protocol/kafka/wire.h"

namespace headrace::kafka {

inline constexpr std::int16_t kAlwaysByName = 0x7fff;

// A topic and an entry for each of its partitions: by name in versions below kIdSince, by id from there on.
template <typename Partition, std::int16_t kIdSince = kAlwaysByName>
struct TopicEntry {
  std::string name;
  TopicId id;
  std::vector<Partition> partitions;

  static void Fields(auto& self, auto& wire) {
    if (wire.version() >= kIdSince) {
      wire(self.id);
    } else {
      wire(self.name);
    }
    wire(self.partitions);
    wire.Tags();
  }
};

}  // namespace headrace::kafka
