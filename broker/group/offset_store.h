// Where groups and named consumers stand, kept in the internal topic `__consumer_offsets`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "broker/topic/topic_registry.h"
#include "protocol/core/mutex.h"
#include "protocol/core/record_batch_builder.h"
#include "storage/io/clock.h"

namespace headrace::group {

struct CommittedOffset {
  Offset offset = -1;                         // of the next record to read
  LeaderEpoch leader_epoch = kNoLeaderEpoch;  // of the last record read, if the client said so
  std::string metadata;
  TimestampMs commit_time = 0;  // broker's wall clock
};

struct OffsetCommit {
  TopicPartition partition;
  Offset offset = 0;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::string metadata;
};

// A compacted, durable topic with one record for each commit, big-endian; the last one of a key counts, and
// one without a value forgets the key:
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
// Keys of another kind and values of another form are left alone. Owned by the broker. Thread: any; callbacks
// come on the flusher's thread, or at once on the caller's if the topic refuses, and must not block.
class OffsetStore {
 public:
  using Done = std::function<void(const absl::Status&)>;
  using Positions = std::map<TopicPartition, CommittedOffset>;

  static constexpr std::string_view kTopicName = "__consumer_offsets";
  static constexpr std::size_t kGroupSizeMax = 249;      // bytes
  static constexpr std::size_t kMetadataSizeMax = 4096;  // bytes

  OffsetStore(topic::TopicRegistry& registry, storage::Clock& clock);

  // kInvalidGroupId for a name that could never commit: empty, or too long.
  static absl::Status CheckGroup(std::string_view group);

  // Creates the topic if it is missing, and reads what it holds. Blocking; once, before anything else.
  absl::Status Load() HEADRACE_EXCLUDES(mutex_);

  // Keeps positions; `done` is called once they are on disk, and then they are what Find says. Errors:
  // kInvalidGroupId, kOffsetMetadataTooLarge, the topic's.
  void Commit(const std::string& group, std::vector<OffsetCommit> commits, Done done)
      HEADRACE_EXCLUDES(mutex_);
  // Forgets positions, likewise.
  void Delete(const std::string& group, const std::vector<TopicPartition>& partitions, Done done)
      HEADRACE_EXCLUDES(mutex_);

  std::optional<CommittedOffset> Find(const std::string& group, const TopicPartition& partition) const
      HEADRACE_EXCLUDES(mutex_);
  // All positions of one group.
  Positions All(const std::string& group) const HEADRACE_EXCLUDES(mutex_);
  // Those that have any position, in order.
  std::vector<std::string> Groups() const HEADRACE_EXCLUDES(mutex_);

 private:
  // What becomes of each partition's position; nullopt: forgotten.
  using Changes = std::vector<std::pair<TopicPartition, std::optional<CommittedOffset>>>;

  void Append(const std::string& group, Changes changes, Done done) HEADRACE_EXCLUDES(mutex_);
  void Apply(const std::string& group, const Changes& changes) HEADRACE_REQUIRES(mutex_);
  absl::Status Replay(ByteSpan batches) HEADRACE_REQUIRES(mutex_);
  void ReplayRecord(const RecordView& record) HEADRACE_REQUIRES(mutex_);

  topic::TopicRegistry& registry_;
  storage::Clock& clock_;
  std::shared_ptr<topic::Partition> partition_;  // set by Load, then constant

  mutable core::Mutex mutex_;
  std::map<std::string, Positions> groups_ HEADRACE_GUARDED_BY(mutex_);
};

}  // namespace headrace::group
