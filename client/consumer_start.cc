#include "client/consumer_start.h"

#include <algorithm>

#include "client/admin_values.h"
#include "client/error.h"

namespace headrace {
namespace {

Error Invalid(std::string message) {
  return {error_number::kInvalidRequest, std::move(message), false};
}

Result<std::vector<std::uint32_t>> PartitionsToRead(const TopicFacts& topic, const ConsumerOptions& options) {
  std::vector<std::uint32_t> partitions = options.partitions;
  if (partitions.empty()) {
    for (std::uint32_t p = 0; p < topic.partition_count; ++p) partitions.push_back(p);
  }
  for (const std::uint32_t p : partitions) {
    if (p >= topic.partition_count) {
      return Invalid("topic " + topic.name + " has no partition " + std::to_string(p) + ", only 0 to " +
                     std::to_string(topic.partition_count - 1));
    }
  }
  for (const auto& [p, offset] : options.offsets) {
    if (std::find(partitions.begin(), partitions.end(), p) == partitions.end() || offset < 0) {
      return Invalid("topic " + topic.name + ": offset " + std::to_string(offset) +
                     " is asked of partition " + std::to_string(p) +
                     ", which is not read here or cannot have it");
    }
  }
  return partitions;
}

Result<std::vector<std::int64_t>> ListOffsets(Connection& connection, const TopicFacts& topic,
                                              const std::vector<StartingPoint>& points,
                                              native::ListOffsetsRequest::Kind kind,
                                              std::int64_t timestamp_ms, TimePoint deadline) {
  native::ListOffsetsRequest request;
  for (const StartingPoint& point : points) {
    auto& entry = *request.add_partitions();
    entry.set_topic_id(topic.id);
    entry.set_partition(point.partition);
    entry.set_kind(kind);
    entry.set_timestamp_ms(timestamp_ms);
  }
  native::ListOffsetsResponse response;
  Result<void> called = Call(connection, native::FrameType::kListOffsets, request, response, deadline);
  if (!called) return called.error();
  std::vector<std::uint32_t> asked;
  for (const StartingPoint& point : points) asked.push_back(point.partition);
  const Result<std::vector<PartitionOffset>> answer = ToOffsets(response, asked, topic.name);
  if (!answer) return answer.error();
  std::vector<std::int64_t> offsets;
  for (const PartitionOffset& entry : *answer) offsets.push_back(entry.offset);
  return offsets;
}

// -1 where nothing is committed.
Result<std::vector<std::int64_t>> FetchCommitted(Connection& connection, const TopicFacts& topic,
                                                 const std::string& name,
                                                 const std::vector<StartingPoint>& points,
                                                 TimePoint deadline) {
  native::FetchOffsetRequest request;
  request.set_consumer(name);
  for (const StartingPoint& point : points) {
    auto& entry = *request.add_partitions();
    entry.set_topic_id(topic.id);
    entry.set_partition(point.partition);
  }
  native::FetchOffsetResponse response;
  Result<void> called = Call(connection, native::FrameType::kFetchOffset, request, response, deadline);
  if (!called) return called.error();
  std::vector<std::int64_t> offsets;
  for (const StartingPoint& point : points) {
    std::int64_t offset = -1;
    for (const auto& entry : response.partitions()) {
      if (entry.partition() != point.partition) continue;
      if (Failed(entry.error())) return ToError(entry.error(), PartitionName(topic.name, point.partition));
      offset = entry.offset();
    }
    offsets.push_back(offset);
  }
  return offsets;
}

std::int64_t EndOrBeginning(Start::Kind kind, const StartingPoint& point) {
  return kind == Start::Kind::kEnd ? point.high_watermark : point.start_offset;
}

// The offsets of kTimestamp or kCommitted, which the broker must be asked for; -1 where there is none.
Result<std::vector<std::int64_t>> AskedOffsets(Connection& connection, const TopicFacts& topic,
                                               const ConsumerOptions& options,
                                               const std::vector<StartingPoint>& points, TimePoint deadline) {
  if (options.start.kind == Start::Kind::kTimestamp) {
    return ListOffsets(connection, topic, points, native::ListOffsetsRequest::TIMESTAMP, options.start.value,
                       deadline);
  }
  if (options.start.kind == Start::Kind::kCommitted) {
    return FetchCommitted(connection, topic, options.name, points, deadline);
  }
  const std::int64_t fixed = options.start.kind == Start::Kind::kOffset ? options.start.value : -1;
  return std::vector<std::int64_t>(points.size(), fixed);
}

}  // namespace

Result<std::vector<StartingPoint>> FindStart(Connection& connection, const TopicFacts& topic,
                                             const ConsumerOptions& options, TimePoint deadline) {
  const Start& start = options.start;
  if (start.kind == Start::Kind::kCommitted && options.name.empty()) {
    return Invalid("to begin at committed positions, ConsumerOptions::name must say whose");
  }
  if (start.kind == Start::Kind::kOffset && start.value < 0) {
    return Invalid("offset " + std::to_string(start.value) + " is below 0");
  }
  Result<std::vector<std::uint32_t>> partitions = PartitionsToRead(topic, options);
  if (!partitions) return partitions.error();
  std::vector<StartingPoint> points;
  for (const std::uint32_t p : *partitions) points.push_back({p, 0, 0, 0, -1});

  const auto starts = ListOffsets(connection, topic, points, native::ListOffsetsRequest::START, 0, deadline);
  if (!starts) return starts.error();
  const auto ends = ListOffsets(connection, topic, points, native::ListOffsetsRequest::END, 0, deadline);
  if (!ends) return ends.error();
  const auto asked = AskedOffsets(connection, topic, options, points, deadline);
  if (!asked) return asked.error();
  const bool direct = start.kind == Start::Kind::kBeginning || start.kind == Start::Kind::kEnd;
  for (std::size_t i = 0; i < points.size(); ++i) {
    StartingPoint& point = points[i];
    point.start_offset = (*starts)[i];
    point.high_watermark = (*ends)[i];
    point.offset =
        (*asked)[i] >= 0 ? (*asked)[i] : EndOrBeginning(direct ? start.kind : start.otherwise, point);
    if (const auto own = options.offsets.find(point.partition); own != options.offsets.end()) {
      point.offset = own->second;
    }
  }
  return points;
}

}  // namespace headrace
