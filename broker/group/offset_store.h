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
#include "broker/group/charge.h"
#include "broker/group/offset_record.h"
#include "broker/group/requests.h"
#include "broker/topic/topic_registry.h"
#include "protocol/core/mutex.h"
#include "protocol/core/record_batch_builder.h"
#include "storage/io/clock.h"

namespace headrace::group {

struct OffsetCommit {
  TopicPartition partition;
  Offset offset = 0;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::string metadata;
};

// A compacted, durable topic with one record for each commit (offset_record.h), and what it says in memory.
// Owned by the broker. Thread: any; callbacks come on the flusher's thread, or at once on the caller's if the
// topic refuses, and must not block.
class OffsetStore {
 public:
  using Done = std::function<void(const absl::Status&)>;

  static constexpr std::string_view kTopicName = "__consumer_offsets";
  static constexpr std::size_t kMetadataSizeMax = 4096;  // bytes
  static constexpr std::size_t kMemoryMax = 128 << 20;   // bytes of all positions

  OffsetStore(topic::TopicRegistry& registry, storage::Clock& clock, std::size_t memory_max = kMemoryMax);

  // kInvalidGroupId for a name that could never commit: empty, or too long.
  static absl::Status CheckGroup(std::string_view group);

  // Creates the topic if it is missing, reads what it holds, and forgets what of it is in no topic any more.
  // Blocking; once, before anything else.
  absl::Status Load() HEADRACE_EXCLUDES(mutex_);
  // Forgets positions in topics that the registry does not know; after it has deleted one. What is on its way
  // to the disk is forgotten when it is there, and what cannot be stored now at the next start.
  void ForgetDeletedTopics() HEADRACE_EXCLUDES(mutex_);

  // Keeps positions; `done` is called once they are on disk, and then they are what Find says. Errors:
  // kInvalidGroupId, kOffsetMetadataTooLarge, kInvalidCommitOffsetSize if there is no memory for what
  // is new of it, the topic's.
  void Commit(const std::string& group, std::vector<OffsetCommit> commits, Done done)
      HEADRACE_EXCLUDES(mutex_);
  // Forgets positions, likewise; with the last of them also where the group stood before it was moved.
  void Delete(const std::string& group, const std::vector<TopicPartition>& partitions, Done done)
      HEADRACE_EXCLUDES(mutex_);

  // Forgets all of a group, also what is still on its way to the disk.
  void Forget(const std::string& group, Done done) HEADRACE_EXCLUDES(mutex_);
  // Commits positions as an administrator moves them, all or none, offset -1 to forget one; and keeps where
  // these partitions stood before, in place of what was kept by an earlier Move. Waits, holding no thread,
  // for what of the group is on its way to the disk, since that is where it stood. Whoever calls sees to it
  // that nothing follows until `done`: Coordinator::BeginSeek.
  void Move(const std::string& group, std::vector<OffsetCommit> commits, Done done) HEADRACE_EXCLUDES(mutex_);

  std::optional<CommittedOffset> Find(const std::string& group, const TopicPartition& partition) const
      HEADRACE_EXCLUDES(mutex_);
  // All positions of one group.
  Positions All(const std::string& group) const HEADRACE_EXCLUDES(mutex_);
  // Where the group stood before the last Move, in the partitions that this moved; offset -1: nowhere.
  Positions Former(const std::string& group) const HEADRACE_EXCLUDES(mutex_);
  // Whether anything is kept of the group, be it only where it stood before the last Move.
  bool Has(const std::string& group) const HEADRACE_EXCLUDES(mutex_);
  // Those that have, in order.
  std::vector<std::string> Groups() const HEADRACE_EXCLUDES(mutex_);

 private:
  // What becomes of a partition's position; nullopt: forgotten.
  using Change = std::pair<TopicPartition, std::optional<CommittedOffset>>;
  struct Changes {
    std::vector<Change> positions;
    std::optional<Positions> former;  // empty: forgotten; nullopt: as before
  };
  struct State {
    explicit State(std::size_t& sum) : memory(sum) {}

    Positions positions;
    Positions former;
    Charge memory;
  };
  // What of a group is on its way to the disk, and who waits for it.
  struct Pending {
    std::size_t appends = 0;
    std::vector<std::function<void()>> waiting;
  };

  std::vector<Change> ToChanges(std::vector<OffsetCommit> commits) const;
  absl::StatusOr<std::vector<std::byte>> BuildBatch(const std::string& group, const Changes& changes) const;
  // Calls `next` under no lock, once nothing of the group is on its way any more: now, or on the flusher's
  // thread.
  void WhenSettled(const std::string& group, std::function<void()> next) HEADRACE_EXCLUDES(mutex_);
  void Settle(const std::string& group) HEADRACE_EXCLUDES(mutex_);
  // Of `changes`, which have just been applied.
  void ForgetDeleted(const std::string& group, const Changes& changes) HEADRACE_EXCLUDES(mutex_);
  void MoveNow(const std::string& group, std::vector<OffsetCommit> commits, Done done)
      HEADRACE_EXCLUDES(mutex_);
  void ForgetNow(const std::string& group, Done done) HEADRACE_EXCLUDES(mutex_);
  void Append(const std::string& group, Changes changes, Done done) HEADRACE_EXCLUDES(mutex_);
  // Bytes that changes need beyond what the group has; 0 if they free some.
  std::size_t GrowthBy(const std::string& group, const Changes& changes) const HEADRACE_REQUIRES(mutex_);
  // Takes the memory for them until they are on disk, and counts them as on their way there.
  absl::StatusOr<std::size_t> Reserve(const std::string& group, const Changes& changes)
      HEADRACE_EXCLUDES(mutex_);
  void Apply(const std::string& group, const Changes& changes) HEADRACE_REQUIRES(mutex_);
  absl::Status ReplayAll() HEADRACE_EXCLUDES(mutex_);
  absl::Status Replay(ByteSpan batches) HEADRACE_REQUIRES(mutex_);
  void ReplayRecord(const RecordView& record) HEADRACE_REQUIRES(mutex_);

  topic::TopicRegistry& registry_;
  storage::Clock& clock_;
  const std::size_t memory_max_;
  std::shared_ptr<topic::Partition> partition_;  // set by Load, then constant

  mutable core::Mutex mutex_;
  std::size_t memory_ HEADRACE_GUARDED_BY(mutex_) = 0;  // of what is kept, and what is on its way
  std::map<std::string, State> groups_ HEADRACE_GUARDED_BY(mutex_);
  std::map<std::string, Pending> pending_ HEADRACE_GUARDED_BY(mutex_);
};

}  // namespace headrace::group
