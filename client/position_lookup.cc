#include "client/position_lookup.h"

#include <utility>

#include "client/admin_values.h"
#include "client/error.h"

namespace headrace {

PositionLookup::PositionLookup(std::string consumer, std::string topic, std::string topic_id, Start start)
    : consumer_(std::move(consumer)),
      topic_(std::move(topic)),
      topic_id_(std::move(topic_id)),
      start_(start) {}

void PositionLookup::Begin(std::set<std::uint32_t> partitions) {
  partitions_ = std::move(partitions);
  points_.clear();
  for (const std::uint32_t partition : partitions_) points_.push_back({partition, 0, 0, 0, -1});
  step_ = points_.empty() ? Step::kIdle : consumer_.empty() ? Step::kRanges : Step::kCommitted;
}

void PositionLookup::Cancel() {
  step_ = Step::kIdle;
  partitions_.clear();
}

void PositionLookup::OnConnectionLost() {
  in_flight_ = false;
  Cancel();
}

std::optional<PositionLookup::Request> PositionLookup::Next() {
  if (in_flight_ || step_ == Step::kIdle) return std::nullopt;
  in_flight_ = true;
  if (step_ == Step::kCommitted) {
    native::FetchOffsetRequest request;
    request.set_consumer(consumer_);
    for (const std::uint32_t partition : partitions_) {
      auto& entry = *request.add_partitions();
      entry.set_topic_id(topic_id_);
      entry.set_partition(partition);
    }
    return request;
  }
  native::ListOffsetsRequest request;
  const auto add = [&](std::uint32_t partition, native::ListOffsetsRequest::Kind kind) {
    auto& entry = *request.add_partitions();
    entry.set_topic_id(topic_id_);
    entry.set_partition(partition);
    entry.set_kind(kind);
    entry.set_timestamp_ms(kind == native::ListOffsetsRequest::TIMESTAMP ? start_.value : 0);
  };
  for (const std::uint32_t partition : partitions_) {
    add(partition, native::ListOffsetsRequest::START);
    add(partition, native::ListOffsetsRequest::END);
    if (start_.kind == Start::Kind::kTimestamp) add(partition, native::ListOffsetsRequest::TIMESTAMP);
  }
  return request;
}

bool PositionLookup::Expects(Step step) {
  in_flight_ = false;
  return step_ == step;
}

Result<std::vector<StartingPoint>> PositionLookup::OnAnswer(
    const Result<native::FetchOffsetResponse>& answer) {
  if (!Expects(Step::kCommitted)) return std::vector<StartingPoint>();
  step_ = Step::kIdle;
  if (!answer) return answer.error();
  for (StartingPoint& point : points_) {
    for (const auto& entry : answer->partitions()) {
      if (entry.partition() != point.partition) continue;
      if (Failed(entry.error())) return ToError(entry.error(), PartitionName(topic_, point.partition));
      point.committed = entry.offset();
    }
  }
  step_ = Step::kRanges;
  return std::vector<StartingPoint>();
}

Result<std::vector<StartingPoint>> PositionLookup::OnAnswer(
    const Result<native::ListOffsetsResponse>& answer) {
  if (!Expects(Step::kRanges)) return std::vector<StartingPoint>();
  step_ = Step::kIdle;
  if (!answer) return answer.error();
  if (Result<void> taken = TakeRanges(*answer); !taken) return taken.error();
  return std::exchange(points_, {});
}

Result<void> PositionLookup::TakeRanges(const native::ListOffsetsResponse& answer) {
  const int each = start_.kind == Start::Kind::kTimestamp ? 3 : 2;
  if (answer.partitions_size() != each * static_cast<int>(points_.size())) {
    return NetworkError("the broker answered another number of offsets than asked");
  }
  int at = 0;
  for (StartingPoint& point : points_) {
    for (int i = at; i < at + each; ++i) {
      const native::Error& error = answer.partitions(i).error();
      if (Failed(error)) return ToError(error, PartitionName(topic_, point.partition));
    }
    point.start_offset = answer.partitions(at).offset();
    point.high_watermark = answer.partitions(at + 1).offset();
    const std::int64_t at_time = each == 3 ? answer.partitions(at + 2).offset() : -1;
    point.offset = point.committed >= 0 ? point.committed : Fallback(point, at_time);
    at += each;
  }
  return {};
}

std::int64_t PositionLookup::Fallback(const StartingPoint& point, std::int64_t at_time) const {
  switch (start_.kind) {
    case Start::Kind::kOffset:
      return start_.value;
    case Start::Kind::kTimestamp:
      return at_time >= 0 ? at_time : point.high_watermark;
    case Start::Kind::kEnd:
      return point.high_watermark;
    case Start::Kind::kCommitted:
      return start_.otherwise == Start::Kind::kEnd ? point.high_watermark : point.start_offset;
    case Start::Kind::kBeginning:
      break;
  }
  return point.start_offset;
}

}  // namespace headrace
