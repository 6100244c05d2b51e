#include "broker/topic/janitor.h"

#include "absl/strings/str_cat.h"

namespace headrace::topic {

Janitor::Janitor(TopicRegistry& registry, DiskGuard& disk, const JanitorOptions& options,
                 std::function<void(const std::string&)> report)
    : registry_(registry), disk_(disk), options_(options), report_(std::move(report)), thread_([this] {
        Run();
      }) {}

Janitor::~Janitor() {
  Stop();
}

void Janitor::Stop() {
  {
    const core::MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Janitor::Run() {
  auto retention_due = std::chrono::steady_clock::now() + options_.retention_interval;
  mutex_.lock();
  while (!stopping_) {
    if (wake_.wait_for(mutex_, options_.sync_interval) == std::cv_status::no_timeout) continue;
    mutex_.unlock();
    disk_.Refresh();
    for (const TopicPtr& topic : registry_.All()) {
      for (const auto& partition : topic->partitions) partition->StartBackgroundSync();
    }
    if (std::chrono::steady_clock::now() >= retention_due) {
      ApplyRetention();
      retention_due = std::chrono::steady_clock::now() + options_.retention_interval;
    }
    mutex_.lock();
  }
  mutex_.unlock();
}

void Janitor::ApplyRetention() {
  for (const TopicPtr& topic : registry_.All()) {
    for (const auto& partition : topic->partitions) {
      const auto deleted = partition->ApplyRetention();
      if (!deleted.ok()) report_(absl::StrCat("retention: ", deleted.status().message()));
    }
  }
}

}  // namespace headrace::topic
