// Positions of named consumers, kept in the internal durable topic `__consumer_offsets`.
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
#include "storage/io/file_pool.h"

namespace headrace::topic {

struct CommittedOffset {
  Offset offset = -1;  // of the next record to read
  std::string metadata;
  TimestampMs commit_time = 0;  // broker's wall clock
  Offset record_offset = -1;    // where it stands in the topic: of two commits the later one counts
};

struct OffsetCommit {
  TopicPartition partition;
  Offset offset = 0;
  std::string metadata;
};

// One record of the topic for each commit, big-endian; the last one of a key counts, and one without a value
// forgets the key:
//
//   key    0          2                2+n         18+n       22+n
//         +----------+----------------+-----------+-----------+
//         | size n   | consumer name  | topic id  | partition |
//         +----------+----------------+-----------+-----------+
//   value  0          8              16
//         +----------+--------------+-----------------+
//         | offset   | commit time  | metadata ...    |
//         +----------+--------------+-----------------+
//
// When the log has grown, all present positions are appended once more as a snapshot and the log is trimmed
// to it. Owned by the broker. Thread: any.
class OffsetStore {
 public:
  static constexpr std::string_view kTopicName = "__consumer_offsets";
  static constexpr std::size_t kConsumerSizeMax = 249;   // bytes
  static constexpr std::size_t kMetadataSizeMax = 4096;  // bytes
  // The log is compacted by a snapshot when it is larger than this and than 4 times the last snapshot.
  static constexpr std::uint64_t kLogSizeMin = 4 << 20;

  OffsetStore(TopicRegistry& registry, storage::FilePool& pool, storage::Clock& clock);

  // Creates the topic if it is missing, and reads what it holds. Blocking; once, before anything else.
  absl::Status Load();

  // Keeps positions; `done` is called once they are on disk, on any thread.
  void Commit(const std::string& consumer, std::vector<OffsetCommit> commits,
              std::function<void(const absl::Status&)> done) HEADRACE_EXCLUDES(mutex_);
  std::optional<CommittedOffset> Find(const std::string& consumer, const TopicPartition& partition) const
      HEADRACE_EXCLUDES(mutex_);
  // All positions of one consumer.
  std::vector<std::pair<TopicPartition, CommittedOffset>> All(const std::string& consumer) const
      HEADRACE_EXCLUDES(mutex_);

 private:
  using Positions = std::map<TopicPartition, CommittedOffset>;
  struct Pending {
    std::string consumer;
    std::vector<OffsetCommit> commits;
    TimestampMs time = 0;
    std::function<void(const absl::Status&)> done;
  };

  void AppendCommit(Pending pending) HEADRACE_REQUIRES(mutex_);
  void FinishCommit(const Pending& pending, const absl::StatusOr<AppendOutcome>& outcome)
      HEADRACE_EXCLUDES(mutex_);
  absl::Status AppendSnapshot() HEADRACE_REQUIRES(mutex_);
  void TrimToSnapshot(Offset base_offset);
  absl::Status Replay(ByteSpan batches) HEADRACE_REQUIRES(mutex_);
  void ReplayRecord(const RecordView& record) HEADRACE_REQUIRES(mutex_);

  TopicRegistry& registry_;
  storage::FilePool& pool_;
  storage::Clock& clock_;
  std::shared_ptr<Partition> partition_;  // set by Load, then constant

  mutable core::Mutex mutex_;
  std::map<std::string, Positions> consumers_ HEADRACE_GUARDED_BY(mutex_);
  std::size_t in_flight_ HEADRACE_GUARDED_BY(mutex_) = 0;
  // Commits that wait because a snapshot must hold everything before it in the log.
  std::vector<Pending> held_ HEADRACE_GUARDED_BY(mutex_);
  std::uint64_t snapshot_size_ HEADRACE_GUARDED_BY(mutex_) = 0;  // bytes
  bool snapshot_due_ HEADRACE_GUARDED_BY(mutex_) = false;
};

}  // namespace headrace::topic
