// The broker's topics: name and id to partitions, kept in one file that is replaced whole.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "broker/topic/partition.h"
#include "broker/topic/topic_config.h"
#include "protocol/core/mutex.h"
#include "storage/data_directory.h"
#include "storage/io/file_pool.h"

namespace headrace::topic {

// One topic as of one moment; immutable, replaced whole by Alter. Thread: any.
struct Topic {
  TopicId id;
  std::string name;
  TopicConfig config;
  std::vector<std::shared_ptr<Partition>> partitions;
};
using TopicPtr = std::shared_ptr<const Topic>;

// Told of each log that recovery had to look into. Any thread, several at once.
using RecoveredFunction = std::function<void(const std::string& partition, const storage::RecoveryReport&)>;

// Told of each topic that was deleted. On the thread that deletes; must not change topics.
using DeletedFunction = std::function<void()>;

// What became of all logs at an orderly end.
struct ClosedLogs {
  std::vector<std::pair<TopicPartition, storage::LogSummary>> summaries;
  absl::Status status;  // the first error of those that are not among them
};

struct CreateTopicOptions {
  std::string name;
  std::uint32_t partitions = 1;
  std::vector<std::pair<std::string, std::string>> configs;
  bool if_not_exists = false;
  bool internal = false;       // may begin with "__"
  bool validate_only = false;  // answers as if, and changes nothing
};

struct AlterTopicOptions {
  std::vector<std::pair<std::string, std::string>> configs;  // an empty value: back to the default
  std::uint32_t partitions = 0;                              // 0: as it is
  bool validate_only = false;                                // answers as if, and changes nothing
};

// Owned by the broker. Lookups: any thread, a hash lookup under a short lock. Changes are blocking (the file
// is synced before they show) and serialised: not on a reactor.
//
// File `registry` in the data directory (storage/io/small_file.h), one line a topic, in order of names:
//   <name> <id, 32 hex digits> <partitions> [<key>=<value> ...]
class TopicRegistry {
 public:
  static constexpr std::uint32_t kPartitionsMax = 100'000;  // of one topic
  static constexpr std::size_t kNameSizeMax = 249;          // Kafka's limit

  TopicRegistry(storage::FileSystem& files, storage::DataDirectory& directory,
                const PartitionServices& services, const TopicConfig& defaults);

  // Reads the registry and opens every log, recovering on `pool` what was not closed cleanly; `recovered` is
  // told of each log that had something to tell. What the registry does not know goes to quarantine.
  // CANCELLED once `stop_asked`, which is asked before each log, on any thread, says so.
  // REQUIRES: not on a thread of `pool`.
  absl::Status Load(storage::FilePool& pool, const RecoveredFunction& recovered,
                    const std::function<bool()>& stop_asked = nullptr) HEADRACE_EXCLUDES(mutex_);

  // nullptr if there is none.
  TopicPtr Find(std::string_view name) const HEADRACE_EXCLUDES(mutex_);
  TopicPtr Find(const TopicId& id) const HEADRACE_EXCLUDES(mutex_);
  // In order of names.
  std::vector<TopicPtr> All() const HEADRACE_EXCLUDES(mutex_);
  // Down to a partition: by `id`, or by `name` if that is none. Errors, kUnknownTopicId or
  // kUnknownTopicOrPartition, say what there is; without a look at the names of other topics, since one
  // request may ask for many.
  absl::StatusOr<std::shared_ptr<Partition>> FindPartition(const TopicId& id, std::string_view name,
                                                           std::int64_t partition) const
      HEADRACE_EXCLUDES(mutex_);
  // kUnknownTopicOrPartition, with the nearest name if one is near: looks at all, so not on a reactor.
  absl::Status UnknownTopic(std::string_view name) const;
  static absl::Status UnknownTopic(const TopicId& id);  // kUnknownTopicId

  // Errors: kInvalidTopic (Kafka's rules for names), kTopicAlreadyExists, kInvalidPartitions, kInvalidConfig.
  absl::StatusOr<TopicPtr> Create(const CreateTopicOptions& options) HEADRACE_EXCLUDES(change_mutex_, mutex_);
  absl::StatusOr<TopicPtr> Alter(const TopicId& id, const AlterTopicOptions& options)
      HEADRACE_EXCLUDES(change_mutex_, mutex_);
  // Before the first Delete; at most one listener.
  void OnDeleted(DeletedFunction deleted) { deleted_ = std::move(deleted); }
  // The topic is gone when this returns; its files follow.
  absl::Status Delete(const TopicId& id) HEADRACE_EXCLUDES(change_mutex_, mutex_);

  // Once appends are refused: returns when none is on its way any more, and the flusher may be stopped.
  void AwaitAppends() const;
  // Closes every log, several at once on `pool`, for the clean marker; those that cannot be closed, as fenced
  // ones, do not keep the others. REQUIRES: no appends any more, flusher idle; not on a thread of `pool`.
  ClosedLogs CloseAll(storage::FilePool& pool);

  // What a topic has that sets nothing itself.
  const TopicConfig& defaults() const { return defaults_; }
  std::size_t partition_count() const HEADRACE_EXCLUDES(mutex_);

 private:
  using TopicMap = std::map<std::string, TopicPtr, std::less<>>;

  absl::Status Save(const TopicMap& topics) HEADRACE_REQUIRES(change_mutex_);
  // One whose log cannot be opened refuses everything, and the others go on.
  std::shared_ptr<Partition> OpenPartition(const Topic& topic, PartitionId number, bool fresh,
                                           storage::RecoveryReport* report);
  absl::Status OpenAll(const std::vector<std::shared_ptr<Topic>>& topics, storage::FilePool& pool,
                       const RecoveredFunction& recovered, const std::function<bool()>& stop_asked);
  TopicMap ByName() const HEADRACE_EXCLUDES(mutex_);
  void Publish(TopicMap topics) HEADRACE_EXCLUDES(mutex_);
  absl::Status RemoveTree(const std::string& path);

  storage::FileSystem& files_;
  storage::DataDirectory& directory_;
  const PartitionServices services_;
  const TopicConfig defaults_;
  DeletedFunction deleted_;

  core::Mutex change_mutex_;  // taken before mutex_
  mutable core::Mutex mutex_;
  TopicMap by_name_ HEADRACE_GUARDED_BY(mutex_);
  std::unordered_map<TopicId, TopicPtr> by_id_ HEADRACE_GUARDED_BY(mutex_);
};

// OK, or kInvalidTopic saying what is wrong: 1 to 249 of [a-zA-Z0-9._-], not "." or "..".
absl::Status CheckTopicName(std::string_view name, bool internal);

}  // namespace headrace::topic
