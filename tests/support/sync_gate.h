// Holds the syncs of a faulty file system until told to let them go.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "protocol/core/mutex.h"
#include "tests/support/faulty_file_system.h"

namespace headrace::testing {

// Stops the first operation that `stops` picks, until it is opened or gone. Thread: any.
class OperationGate {
 public:
  explicit OperationGate(std::function<bool(const FileOperation&)> stops) : stops_(std::move(stops)) {}
  ~OperationGate() { Open(); }

  // For FaultyFileSystem::SetDecide.
  Fault Decide(const FileOperation& operation) {
    if (stops_(operation) && !arrived_.exchange(true)) {
      arrived_.notify_all();
      open_.wait(false);
    }
    return {};
  }
  void Await() const { arrived_.wait(false); }
  void Open() {
    open_.store(true);
    open_.notify_all();
  }

 private:
  const std::function<bool(const FileOperation&)> stops_;
  std::atomic<bool> arrived_{false};
  std::atomic<bool> open_{false};
};

// Stops every sync of a log's files until it is opened, and then ends it with `outcome`. Thread: any.
class SyncGate {
 public:
  explicit SyncGate(absl::Status outcome = absl::OkStatus()) : outcome_(std::move(outcome)) {}

  static bool Stops(const FileOperation& operation) {
    return operation.kind == FileOperation::Kind::kSync && operation.path.ends_with(".log");
  }
  Fault Decide(const FileOperation& operation) HEADRACE_EXCLUDES(mutex_) {
    if (!Stops(operation)) return {};
    mutex_.lock();
    ++arrived_;
    changed_.notify_all();
    while (!open_) changed_.wait(mutex_);
    mutex_.unlock();
    return {outcome_, 0};
  }
  // Returns when `count` syncs have come, now or ever.
  void Await(int count) HEADRACE_EXCLUDES(mutex_) {
    mutex_.lock();
    while (arrived_ < count) changed_.wait(mutex_);
    mutex_.unlock();
  }
  void Open() HEADRACE_EXCLUDES(mutex_) {
    const core::MutexLock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  int arrived() const HEADRACE_EXCLUDES(mutex_) {
    const core::MutexLock lock(mutex_);
    return arrived_;
  }

 private:
  const absl::Status outcome_;
  mutable core::Mutex mutex_;
  core::ConditionVariable changed_;
  int arrived_ HEADRACE_GUARDED_BY(mutex_) = 0;
  bool open_ HEADRACE_GUARDED_BY(mutex_) = false;
};

}  // namespace headrace::testing
