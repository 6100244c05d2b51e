// Which partition a message with a key goes to.
#pragma once

#include <cstdint>

#include "protocol/core/bytes.h"

namespace headrace {

// MurmurHash2 (32 bits, seed 0x9747b28c) over little-endian words, as Kafka's clients hash keys.
std::uint32_t Murmur2(ByteSpan bytes);

// The partition that Kafka's default partitioner chooses: the hash with its sign bit cleared, modulo
// `partition_count`, so that both kinds of producers keep a key in one partition. REQUIRES: partition_count >
// 0.
inline std::uint32_t PartitionForKey(ByteSpan key, std::uint32_t partition_count) {
  return (Murmur2(key) & 0x7fffffffU) % partition_count;
}

}  // namespace headrace
