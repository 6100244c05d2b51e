// The housekeeping of partitions: retention, idle producers, syncs of written topics, and the disk guard.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "broker/topic/disk_guard.h"
#include "broker/topic/topic_registry.h"
#include "protocol/core/mutex.h"

namespace headrace::topic {

struct JanitorOptions {
  std::chrono::milliseconds sync_interval{1000};  // written topics' unsynced bytes, and the disk guard
  std::chrono::milliseconds retention_interval{10'000};
  std::chrono::milliseconds compaction_interval{15'000};
  std::uint64_t compaction_rate_max = std::uint64_t{64} << 20;  // bytes read per second
};

// Where the janitor's lines go. Called on either of its threads.
struct JanitorLog {
  std::function<void(const std::string&)> error;
  std::function<void(const std::string&)> info;  // what was compacted
};

// One thread for all partitions, owned by the broker, and one for compaction, which may take long. An idle
// partition costs it a look, no timer of its own.
class Janitor {
 public:
  Janitor(TopicRegistry& registry, DiskGuard& disk, const JanitorOptions& options, JanitorLog log);
  ~Janitor();
  Janitor(const Janitor&) = delete;
  Janitor& operator=(const Janitor&) = delete;

  void Stop() HEADRACE_EXCLUDES(mutex_);

 private:
  void Run();
  void ApplyRetention();
  void RunCompaction() HEADRACE_EXCLUDES(mutex_);
  void Compact(Partition& partition);
  // Waits; false if the janitor is stopping.
  bool Pause(std::chrono::milliseconds time) HEADRACE_EXCLUDES(mutex_);

  TopicRegistry& registry_;
  DiskGuard& disk_;
  const JanitorOptions options_;
  const JanitorLog log_;
  core::Mutex mutex_;
  core::ConditionVariable wake_;
  bool stopping_ HEADRACE_GUARDED_BY(mutex_) = false;
  std::thread thread_;
  std::thread compaction_thread_;
};

}  // namespace headrace::topic
