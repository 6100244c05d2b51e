#include "storage/flusher.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

namespace headrace::storage {
namespace {

// The syncs of one group, each file and directory once, with their outcomes. Filled and read by the flusher's
// thread; run by it and by as many of the pool's as are free. It claims syncs like them instead of waiting
// for its turn, so a pool that is busy with cold reads makes a group no slower than one thread is.
class SyncSet {
 public:
  void Add(const SyncPoint& point) {
    for (const auto& file : point.files) files_.try_emplace(file.get(), file, absl::OkStatus());
    for (const std::string& directory : point.directories) directories_.try_emplace(directory);
  }

  // Runs them all and waits. Helpers that come too late find nothing to do, and keep no file.
  static void Run(const std::shared_ptr<SyncSet>& set, FileSystem& files, FilePool& pool) {
    if (!set->Start(files)) return;
    for (std::size_t i = 1; i < std::min(set->count_, pool.threads() + 1); ++i) {
      pool.Post([set] { set->RunUnclaimed(); });
    }
    set->RunUnclaimed();
    set->mutex_.lock();
    while (set->left_ > 0) set->done_.wait(set->mutex_);
    set->mutex_.unlock();
    set->jobs_.clear();
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

  void ReleaseFiles() { files_.clear(); }
  std::size_t size() const { return count_; }

 private:
  // False if there is nothing to sync.
  bool Start(FileSystem& files) {
    for (auto& file : files_) {
      jobs_.emplace_back([&entry = file.second] { entry.second = entry.first->Sync(); });
    }
    for (auto& directory : directories_) {
      jobs_.emplace_back([&files, &directory] { directory.second = files.SyncDirectory(directory.first); });
    }
    count_ = jobs_.size();
    const core::MutexLock lock(mutex_);
    left_ = count_;
    return count_ > 0;
  }

  void RunUnclaimed() {
    for (std::size_t i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1)) {
      jobs_[i]();
      const core::MutexLock lock(mutex_);
      if (--left_ == 0) done_.notify_one();
    }
  }

  std::map<const File*, std::pair<std::shared_ptr<File>, absl::Status>> files_;
  std::map<std::string, absl::Status> directories_;
  std::vector<std::function<void()>> jobs_;
  std::size_t count_ = 0;             // of jobs; does not change once helpers run
  std::atomic<std::size_t> next_{0};  // the first that nobody has claimed
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
  const auto syncs = std::make_shared<SyncSet>();
  for (FlushJob& job : group) {
    points.push_back(job.write());
    if (points.back().ok()) syncs->Add(*points.back());
  }
  SyncSet::Run(syncs, files_, pool_);
  syncs_.fetch_add(syncs->size(), std::memory_order_relaxed);
  for (std::size_t i = 0; i < group.size(); ++i) {
    group[i].done(points[i], points[i].ok() ? syncs->OutcomeOf(*points[i]) : absl::OkStatus());
  }
  syncs->ReleaseFiles();
}

}  // namespace headrace::storage
