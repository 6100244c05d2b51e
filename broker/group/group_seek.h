// Moving a group to other positions while its members read: what `headrace group seek` asks for.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "broker/group/coordinator.h"
#include "broker/group/offset_store.h"
#include "broker/topic/topic_registry.h"

namespace headrace::group {

enum class SeekTarget {
  kEarliest,
  kLatest,
  kOffset,     // `value`, brought into each partition's valid range
  kTimestamp,  // the first record whose timestamp is at least `value`; the end if there is none
  kUndo,       // where the group stood before it was last moved; again: where it stood before that
};

struct SeekRequest {
  std::string group_id;
  SeekTarget target = SeekTarget::kEarliest;
  std::int64_t value = 0;
  std::vector<std::string> topics;        // empty: all that the group has to do with
  std::vector<PartitionId> partitions;    // of the one topic that is named; empty: all
  std::size_t decompressed_size_max = 0;  // of a batch in which a timestamp is looked for
};

// What becomes of one partition. One with an error stays where it is.
struct SeekMove {
  TopicPartition partition;
  Offset previous = -1;  // -1: nothing was committed
  Offset offset = -1;    // -1: forgotten
  absl::Status status;
};

struct SeekOutcome {
  std::vector<SeekMove> moves;
  std::size_t members_removed = 0;
};

// What Seek would do, in the order of topics and partitions. Blocking: it reads logs. Errors:
// kGroupIdNotFound if no topic is named and the group has none either, or nothing to undo;
// kUnknownTopicOrPartition for a name that is none; kInvalidRequest.
absl::StatusOr<std::vector<SeekMove>> PlanSeek(const Coordinator& groups, const OffsetStore& offsets,
                                               const topic::TopicRegistry& topics,
                                               const SeekRequest& request);

// Stores the positions of `moves`, and where the group stood before; then removes every member, so that each
// joins again and begins there. No commit of a former member lands after it: those on their way are stored
// before, those that come later are refused. `done` is called once, with REBALANCE_IN_PROGRESS if another
// seek is under way, else when all this is on disk: on the calling thread or the flusher's.
void Seek(Coordinator& groups, OffsetStore& offsets, const std::string& group_id, std::vector<SeekMove> moves,
          std::function<void(const absl::StatusOr<SeekOutcome>&)> done);

}  // namespace headrace::group
