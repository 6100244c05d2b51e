// The records of the internal topic `__consumer_offsets`. All integers are big-endian. The last record of a
// key counts, and one without a value forgets the key.
//
// Where a group stands in one partition:
//
//   key    0          2          4            4+n        20+n       24+n
//         +----------+----------+------------+----------+-----------+
//         | kind = 1 | size n   | group id   | topic id | partition |
//         +----------+----------+------------+----------+-----------+
//   value  0          2          10             14            22
//         +----------+----------+--------------+-------------+--------------+
//         | form = 1 | offset   | leader epoch | commit time | metadata ... |
//         +----------+----------+--------------+-------------+--------------+
//
// Where a group stood before it was last moved; offset -1: nowhere:
//
//   key    0          2          4            4+n
//         +----------+----------+------------+
//         | kind = 2 | size n   | group id   |
//         +----------+----------+------------+
//   value  0          2         [ 0          16          20       28             ] * entries
//         +----------+ +----------+-----------+--------+--------------+
//         | form = 1 | | topic id | partition | offset | leader epoch |
//         +----------+ +----------+-----------+--------+--------------+
//
// Keys of another kind and values of another form are for later versions to read.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/core/bytes.h"
#include "protocol/core/types.h"

namespace headrace::group {

struct CommittedOffset {
  Offset offset = -1;                         // of the next record to read
  LeaderEpoch leader_epoch = kNoLeaderEpoch;  // of the last record read, if the client said so
  std::string metadata;
  TimestampMs commit_time = 0;  // broker's wall clock

  friend bool operator==(const CommittedOffset&, const CommittedOffset&) = default;
};
using Positions = std::map<TopicPartition, CommittedOffset>;

// A key of either kind.
struct OffsetKey {
  std::string group;
  std::optional<TopicPartition> partition;  // of one position; nullopt: of the former positions
};

std::vector<std::byte> EncodeKey(std::string_view group, const TopicPartition& partition);
std::vector<std::byte> EncodeFormerKey(std::string_view group);
std::optional<OffsetKey> DecodeKey(ByteSpan key);

std::vector<std::byte> EncodeValue(const CommittedOffset& committed);
std::optional<CommittedOffset> DecodeValue(ByteSpan value);

// Offsets and leader epochs alone.
std::vector<std::byte> EncodeFormer(const Positions& positions);
std::optional<Positions> DecodeFormer(ByteSpan value);

}  // namespace headrace::group
