// ListOffsets and OffsetForLeaderEpoch. Both may read the log, so both run on the file pool.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "broker/kafka/handlers.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::kafka {
namespace {

using storage::LeaderEpochCache;

// The epoch under which the record at `offset` was written, or the next one will be.
LeaderEpoch EpochAt(const topic::Partition& partition, const LeaderEpochCache& epochs, Offset offset) {
  if (offset >= partition.offsets().end) return partition.leader_epoch();
  const auto& entries = epochs.entries();
  const auto after = std::upper_bound(entries.begin(), entries.end(), offset,
                                      [](Offset value, const auto& entry) { return value < entry.start; });
  return after == entries.begin() ? kNoLeaderEpoch : std::prev(after)->epoch;
}

using Hit = std::optional<storage::TimestampHit>;

absl::StatusOr<Hit> Find(const Services& services, topic::Partition& partition, TimestampMs timestamp) {
  const storage::LogOffsets offsets = partition.offsets();
  switch (timestamp) {
    case kLatestTimestamp:
      return storage::TimestampHit{offsets.high_watermark, -1, partition.leader_epoch()};
    case kEarliestTimestamp:
    case kEarliestLocalTimestamp: {
      ASSIGN_OR_RETURN(const LeaderEpochCache epochs, partition.LeaderEpochs());
      return storage::TimestampHit{offsets.start, -1, EpochAt(partition, epochs, offsets.start)};
    }
    case kMaxTimestamp:
      return partition.log().FindMaxTimestamp(services.decompressed_size_max);
    case kLatestTieredTimestamp:
      return Hit();  // nothing is tiered
    default:
      break;
  }
  if (timestamp < 0) {
    return MakeError(ErrorCode::kUnsupportedVersion,
                     absl::StrCat("timestamp ", timestamp, " has no meaning here"));
  }
  return partition.log().FindTimestamp(timestamp, services.decompressed_size_max);
}

absl::StatusOr<Hit> FindOne(const Services& services, const std::string& topic,
                            const ListOffsetsRequest::Partition& asked) {
  ASSIGN_OR_RETURN(const auto partition, services.topics->FindPartition({}, topic, asked.index));
  RETURN_IF_ERROR(CheckLeaderEpoch(*partition, asked.current_leader_epoch));
  RETURN_IF_ERROR(partition->readable_status());
  return Find(services, *partition, asked.timestamp);
}

// KIP-101: where `epoch` ends, by the largest epoch that is not above it.
OffsetForLeaderEpochResponse::Partition EndOf(const topic::Partition& partition,
                                              const LeaderEpochCache& epochs, LeaderEpoch epoch) {
  OffsetForLeaderEpochResponse::Partition answer;
  const Offset end = partition.offsets().high_watermark;
  if (epoch < 0 || epoch > partition.leader_epoch()) return answer;
  if (epoch == partition.leader_epoch()) {
    answer.leader_epoch = epoch;
    answer.end_offset = end;
  } else if (const auto known = epochs.EndOf(epoch, end)) {
    answer.leader_epoch = known->epoch;
    answer.end_offset = known->start;
  } else if (!epochs.entries().empty()) {
    answer.leader_epoch = epoch;
    answer.end_offset = epochs.entries().front().start;
  }
  return answer;
}

absl::StatusOr<OffsetForLeaderEpochResponse::Partition> EndOfOne(
    const Services& services, const std::string& topic, const OffsetForLeaderEpochRequest::Partition& asked) {
  ASSIGN_OR_RETURN(const auto partition, services.topics->FindPartition({}, topic, asked.index));
  RETURN_IF_ERROR(CheckLeaderEpoch(*partition, asked.current_leader_epoch));
  RETURN_IF_ERROR(partition->readable_status());
  ASSIGN_OR_RETURN(const LeaderEpochCache epochs, partition->LeaderEpochs());
  return EndOf(*partition, epochs, asked.leader_epoch);
}

}  // namespace

void HandleListOffsets(const Request& request, ListOffsetsRequest message) {
  RunBlocking(request, [request, message = std::move(message)] {
    ListOffsetsResponse response;
    for (const ListOffsetsRequest::Topic& topic : message.topics) {
      ListOffsetsResponse::Topic& answered = response.topics.emplace_back();
      answered.name = topic.name;
      for (const ListOffsetsRequest::Partition& asked : topic.partitions) {
        ListOffsetsResponse::Partition& entry = answered.partitions.emplace_back();
        entry.index = asked.index;
        const absl::StatusOr<Hit> hit = FindOne(*request.services, topic.name, asked);
        entry.error = WireCode(hit.status());
        if (!hit.ok() || !hit->has_value()) continue;
        entry.offset = (*hit)->offset;
        entry.timestamp = (*hit)->timestamp;
        entry.leader_epoch = (*hit)->leader_epoch;
      }
    }
    return response;
  });
}

void HandleOffsetForLeaderEpoch(const Request& request, OffsetForLeaderEpochRequest message) {
  RunBlocking(request, [request, message = std::move(message)] {
    OffsetForLeaderEpochResponse response;
    for (const OffsetForLeaderEpochRequest::Topic& topic : message.topics) {
      OffsetForLeaderEpochResponse::Topic& answered = response.topics.emplace_back();
      answered.name = topic.name;
      for (const OffsetForLeaderEpochRequest::Partition& asked : topic.partitions) {
        const auto end = EndOfOne(*request.services, topic.name, asked);
        OffsetForLeaderEpochResponse::Partition entry;
        if (end.ok()) entry = *end;
        entry.error = WireCode(end.status());
        entry.index = asked.index;
        answered.partitions.push_back(entry);
      }
    }
    return response;
  });
}

}  // namespace headrace::kafka
