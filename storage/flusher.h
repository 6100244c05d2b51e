// Group commit: makes what durable logs have queued reach the disk, and acknowledges it in order.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "protocol/core/mutex.h"
#include "storage/io/file_pool.h"
#include "storage/log.h"

namespace headrace::storage {

// One log's share of a group.
struct FlushJob {
  // Writes what is queued and says what must be synced; on an error nothing of this job is synced.
  std::function<absl::StatusOr<SyncPoint>()> write;
  // The outcome: what `write` said, and how its sync ended; OK when the point is on disk. Which of the two
  // failed matters: a disk that is full when written to has taken nothing, a failed sync may have lost
  // anything. Called once for every job, in the order of Submit.
  std::function<void(const absl::StatusOr<SyncPoint>& written, const absl::Status& synced)> done;
};

// One per file system, with one thread: takes every job queued, runs their writes, syncs all files and
// directories on its own thread and in parallel on what the pool has free (each once per group), then calls
// every `done`; what arrives meanwhile is the next group. Owned by the data directory's owner. Never runs on
// a reactor.
class Flusher {
 public:
  Flusher(FileSystem& files, FilePool& pool);
  // Finishes what is queued.
  ~Flusher();

  // Thread: any.
  void Submit(FlushJob job) HEADRACE_EXCLUDES(mutex_);
  // Syncs so far, of files and directories.
  std::uint64_t sync_count() const { return syncs_.load(std::memory_order_relaxed); }

 private:
  void Run();
  void Commit(std::vector<FlushJob>& group);

  FileSystem& files_;
  FilePool& pool_;
  std::atomic<std::uint64_t> syncs_{0};
  core::Mutex mutex_;
  core::ConditionVariable wake_;
  std::vector<FlushJob> queued_ HEADRACE_GUARDED_BY(mutex_);
  bool stopping_ HEADRACE_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace headrace::storage
