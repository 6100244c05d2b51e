// Where a consumer begins.
#pragma once

#include <vector>

#include "client/connection.h"
#include "client/topic.h"
#include "headrace/consumer.h"

namespace headrace {

struct StartingPoint {
  std::uint32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t start_offset = 0;
  std::int64_t high_watermark = 0;
  std::int64_t committed = -1;  // -1: nothing, or not asked for
};

// kOffsetOutOfRange with the valid range.
Error OutOfRange(const std::string& topic, std::uint32_t partition, std::int64_t offset,
                 std::int64_t start_offset, std::int64_t high_watermark);

// Asks the broker for the positions that `options` names; one entry per partition to be read, in their order.
// kInvalidRequest if the options name a partition that is not there, or committed positions without a
// consumer's name.
Result<std::vector<StartingPoint>> FindStart(Connection& connection, const TopicFacts& topic,
                                             const ConsumerOptions& options, TimePoint deadline);

}  // namespace headrace
