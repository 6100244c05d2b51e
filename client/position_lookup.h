// Where partitions begin for a consumer.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "client/consumer_start.h"
#include "client/topic.h"
#include "headrace.pb.h"

namespace headrace {

// Asks for committed positions, then for the ranges of the partitions (in this order, so that no position can
// have gone beyond its range); where nothing is committed, Start says where to begin. A pure state machine:
// no clock, no socket, no lock. Owned by GroupMember, or by FindStart for as long as it asks.
class PositionLookup {
 public:
  using Request = std::variant<native::FetchOffsetRequest, native::ListOffsetsRequest>;

  // `consumer` is whose positions: a group, or a consumer's name; empty: nobody's, Start alone says.
  PositionLookup(std::string consumer, std::string topic, std::string topic_id, Start start);

  // REQUIRES: !busy().
  void Begin(std::set<std::uint32_t> partitions);
  // Its outcome is of no use any more. It stays busy while a request is under way.
  void Cancel();
  bool busy() const { return step_ != Step::kIdle || in_flight_; }
  const std::set<std::uint32_t>& partitions() const { return partitions_; }

  std::optional<Request> Next();
  // The points once it is done, nothing before. After an error, or a lost request, it is no longer busy.
  Result<std::vector<StartingPoint>> OnAnswer(const Result<native::FetchOffsetResponse>& answer);
  Result<std::vector<StartingPoint>> OnAnswer(const Result<native::ListOffsetsResponse>& answer);
  void OnConnectionLost();

 private:
  enum class Step { kIdle, kCommitted, kRanges };

  // Whether the answer is waited for, not cancelled.
  bool Expects(Step step);
  Result<void> TakeRanges(const native::ListOffsetsResponse& answer);
  std::int64_t Fallback(const StartingPoint& point, std::int64_t at_time) const;

  const std::string consumer_;
  const std::string topic_;
  const std::string topic_id_;
  const Start start_;
  Step step_ = Step::kIdle;
  bool in_flight_ = false;
  std::set<std::uint32_t> partitions_;
  std::vector<StartingPoint> points_;  // in the order of partitions_
};

}  // namespace headrace
