#include "storage/flusher.h"

#include <map>
#include <utility>

namespace headrace::storage {
namespace {

// The syncs of one group, each file and directory once, with their outcomes.
class SyncSet {
 public:
  void Add(const SyncPoint& point) {
    for (const auto& file : point.files) files_.try_emplace(file.get(), file, absl::OkStatus());
    for (const std::string& directory : point.directories) directories_.try_emplace(directory);
  }

  // Runs them all, the last one on this thread, and waits.
  void Run(FileSystem& files, FilePool& pool) {
    std::vector<std::function<void()>> jobs;
    for (auto& file : files_) {
      jobs.emplace_back([&entry = file.second] { entry.second = entry.first->Sync(); });
    }
    for (auto& directory : directories_) {
      jobs.emplace_back([&files, &directory] { directory.second = files.SyncDirectory(directory.first); });
    }
    if (jobs.empty()) return;
    {
      const core::MutexLock lock(mutex_);
      left_ = jobs.size() - 1;
    }
    for (std::size_t i = 0; i + 1 < jobs.size(); ++i) {
      pool.Post([this, &job = jobs[i]] {
        job();
        const core::MutexLock lock(mutex_);
        if (--left_ == 0) done_.notify_one();
      });
    }
    jobs.back()();
    mutex_.lock();
    while (left_ > 0) done_.wait(mutex_);
    mutex_.unlock();
  }

  absl::Status OutcomeOf(const SyncPoint& point) const {
    for (const auto& file : point.files) {
      const absl::Status& status = files_.at(file.get()).second;
      if (!status.ok()) return status;
    }
    for (const std::string& directory : point.directories) {
      const absl::Status& status = directories_.at(directory);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  std::size_t size() const { return files_.size() + directories_.size(); }

 private:
  std::map<const File*, std::pair<std::shared_ptr<File>, absl::Status>> files_;
  std::map<std::string, absl::Status> directories_;
  core::Mutex mutex_;
  core::ConditionVariable done_;
  std::size_t left_ HEADRACE_GUARDED_BY(mutex_) = 0;
};

}  // namespace

Flusher::Flusher(FileSystem& files, FilePool& pool)
    : files_(files), pool_(pool), thread_([this] { Run(); }) {}

Flusher::~Flusher() {
  {
    const core::MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Flusher::Submit(FlushJob job) {
  bool first = false;
  {
    const core::MutexLock lock(mutex_);
    first = queued_.empty();
    queued_.push_back(std::move(job));
  }
  if (first) wake_.notify_one();
}

void Flusher::Run() {
  std::vector<FlushJob> group;
  mutex_.lock();
  while (true) {
    while (queued_.empty() && !stopping_) wake_.wait(mutex_);
    if (queued_.empty()) break;
    group.swap(queued_);
    mutex_.unlock();
    Commit(group);
    group.clear();
    mutex_.lock();
  }
  mutex_.unlock();
}

void Flusher::Commit(std::vector<FlushJob>& group) {
  std::vector<absl::StatusOr<SyncPoint>> points;
  points.reserve(group.size());
  SyncSet syncs;
  for (FlushJob& job : group) {
    points.push_back(job.write());
    if (points.back().ok()) syncs.Add(*points.back());
  }
  syncs.Run(files_, pool_);
  syncs_.fetch_add(syncs.size(), std::memory_order_relaxed);
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (points[i].ok()) {
      group[i].done(syncs.OutcomeOf(*points[i]), *points[i]);
    } else {
      group[i].done(points[i].status(), SyncPoint());
    }
  }
}

}  // namespace headrace::storage
