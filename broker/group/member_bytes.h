// What members of classic groups carry past the broker, as far as consumers agree on it: the beginnings of
// ConsumerProtocolSubscription and ConsumerProtocolAssignment (https://kafka.apache.org/protocol, versions 0
// on), big-endian:
//
//   subscription  version: int16, topics: int32 count * string
//   assignment    version: int16, topics: int32 count * (string, partitions: int32 count * int32)
//   string        int16 size, bytes
//
// The bytes are the client's: what does not read like this gives what was read up to there.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/core/types.h"

namespace headrace::group {

std::vector<std::string> DecodeSubscription(std::string_view metadata);
std::map<std::string, std::vector<PartitionId>> DecodeAssignment(std::string_view assignment);

}  // namespace headrace::group
