// A few threads for work that may block on the disk: sync, cold reads, deletion, recovery.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "protocol/core/mutex.h"

namespace headrace::storage {

// Runs jobs in the order of Post, several at once. Thread: Post from any. Jobs must not throw and must not
// wait for other jobs of the same pool. The destructor runs what is queued, then joins.
class FilePool {
 public:
  explicit FilePool(std::size_t threads);
  ~FilePool();
  FilePool(const FilePool&) = delete;
  FilePool& operator=(const FilePool&) = delete;

  void Post(std::function<void()> job) HEADRACE_EXCLUDES(mutex_);
  std::size_t threads() const { return threads_.size(); }

 private:
  void Run();

  core::Mutex mutex_;
  core::ConditionVariable wake_;
  std::deque<std::function<void()>> jobs_ HEADRACE_GUARDED_BY(mutex_);
  bool stopping_ HEADRACE_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace headrace::storage
