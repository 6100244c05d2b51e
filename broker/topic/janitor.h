// The housekeeping of partitions: retention, syncs of written topics, and the disk guard.
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
};

// One thread for all partitions, owned by the broker. An idle partition costs it a look, no timer of its own.
class Janitor {
 public:
  // `report` is told of errors, one line each; it is called on the janitor's thread.
  Janitor(TopicRegistry& registry, DiskGuard& disk, const JanitorOptions& options,
          std::function<void(const std::string&)> report);
  ~Janitor();
  Janitor(const Janitor&) = delete;
  Janitor& operator=(const Janitor&) = delete;

  void Stop() HEADRACE_EXCLUDES(mutex_);

 private:
  void Run();
  void ApplyRetention();

  TopicRegistry& registry_;
  DiskGuard& disk_;
  const JanitorOptions options_;
  const std::function<void(const std::string&)> report_;
  core::Mutex mutex_;
  core::ConditionVariable wake_;
  bool stopping_ HEADRACE_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace headrace::topic
