#include "client/consumer_start.h"

#include <set>
#include <utility>

#include "client/admin_values.h"
#include "client/error.h"
#include "client/position_lookup.h"

namespace headrace {
namespace {

Error Invalid(std::string message) {
  return {error_number::kInvalidRequest, std::move(message), false};
}

Result<std::set<std::uint32_t>> PartitionsToRead(const TopicFacts& topic, const ConsumerOptions& options) {
  std::set<std::uint32_t> partitions(options.partitions.begin(), options.partitions.end());
  if (partitions.empty()) {
    for (std::uint32_t p = 0; p < topic.partition_count; ++p) partitions.insert(p);
  }
  if (const std::uint32_t last = *partitions.rbegin(); last >= topic.partition_count) {
    return Invalid("topic " + topic.name + " has no partition " + std::to_string(last) + ", only 0 to " +
                   std::to_string(topic.partition_count - 1));
  }
  for (const auto& [p, offset] : options.offsets) {
    if (!partitions.contains(p) || offset < 0) {
      return Invalid("topic " + topic.name + ": offset " + std::to_string(offset) +
                     " is asked of partition " + std::to_string(p) +
                     ", which is not read here or cannot have it");
    }
  }
  return partitions;
}

template <typename Response>
Result<std::vector<StartingPoint>> Ask(Connection& connection, native::FrameType type,
                                       const google::protobuf::MessageLite& request, PositionLookup& lookup,
                                       TimePoint deadline) {
  Response response;
  if (Result<void> called = Call(connection, type, request, response, deadline); !called)
    return called.error();
  return lookup.OnAnswer(Result<Response>(std::move(response)));
}

}  // namespace

Error OutOfRange(const std::string& topic, std::uint32_t partition, std::int64_t offset,
                 std::int64_t start_offset, std::int64_t high_watermark) {
  return {error_number::kOffsetOutOfRange,
          PartitionName(topic, partition) + ": offset " + std::to_string(offset) +
              " is out of range; valid offsets are " + std::to_string(start_offset) + " to " +
              std::to_string(high_watermark),
          false};
}

Result<std::vector<StartingPoint>> FindStart(Connection& connection, const TopicFacts& topic,
                                             const ConsumerOptions& options, TimePoint deadline) {
  const Start& start = options.start;
  const bool from_committed = start.kind == Start::Kind::kCommitted;
  if (from_committed && options.name.empty()) {
    return Invalid("to begin at committed positions, ConsumerOptions::name must say whose");
  }
  if (start.kind == Start::Kind::kOffset && start.value < 0) {
    return Invalid("offset " + std::to_string(start.value) + " is below 0");
  }
  Result<std::set<std::uint32_t>> partitions = PartitionsToRead(topic, options);
  if (!partitions) return partitions.error();
  PositionLookup lookup(from_committed ? options.name : "", topic.name, topic.id, start);
  lookup.Begin(std::move(*partitions));
  Result<std::vector<StartingPoint>> points = std::vector<StartingPoint>();
  while (const std::optional<PositionLookup::Request> request = lookup.Next()) {
    if (const auto* committed = std::get_if<native::FetchOffsetRequest>(&*request)) {
      points = Ask<native::FetchOffsetResponse>(connection, native::FrameType::kFetchOffset, *committed,
                                                lookup, deadline);
    } else {
      points =
          Ask<native::ListOffsetsResponse>(connection, native::FrameType::kListOffsets,
                                           std::get<native::ListOffsetsRequest>(*request), lookup, deadline);
    }
    if (!points) return points;
  }
  for (StartingPoint& point : *points) {
    if (const auto own = options.offsets.find(point.partition); own != options.offsets.end()) {
      point.offset = own->second;
    }
  }
  return points;
}

}  // namespace headrace
