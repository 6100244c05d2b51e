#include "broker/topic/janitor.h"

#include <malloc.h>

#include "absl/strings/str_cat.h"

namespace headrace::topic {
namespace {

// What a burst has left in the allocator's pools goes back to the system, if it is worth the calls.
void ReturnFreeMemory() {
  constexpr std::size_t kWorthIt = 64 << 20;
  if (::mallinfo2().fordblks > kWorthIt) ::malloc_trim(0);
}

}  // namespace

Janitor::Janitor(TopicRegistry& registry, DiskGuard& disk, const JanitorOptions& options, JanitorLog log)
    : registry_(registry), disk_(disk), options_(options), log_(std::move(log)) {
  thread_ = std::thread([this] { Run(); });
  compaction_thread_ = std::thread([this] { RunCompaction(); });
}

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
  if (compaction_thread_.joinable()) compaction_thread_.join();
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
      ReturnFreeMemory();
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
      if (!deleted.ok()) log_.error(absl::StrCat("retention: ", deleted.status().message()));
      partition->ExpireProducers();
    }
  }
}

bool Janitor::Pause(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  const core::MutexLock lock(mutex_);
  while (!stopping_) {
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= left.zero()) break;
    wake_.wait_for(mutex_, left);
  }
  return !stopping_;
}

void Janitor::RunCompaction() {
  while (Pause(options_.compaction_interval)) {
    for (const TopicPtr& topic : registry_.All()) {
      for (const auto& partition : topic->partitions) {
        if (!Pause(std::chrono::milliseconds(0))) return;
        Compact(*partition);
      }
    }
  }
}

void Janitor::Compact(Partition& partition) {
  storage::CompactionLimits limits;
  limits.proceed = [this](std::uint64_t bytes) {
    return Pause(std::chrono::milliseconds(bytes * 1000 / options_.compaction_rate_max));
  };
  const auto result = partition.Compact(std::move(limits));
  if (!result.ok()) return log_.error(std::string(result.status().message()));
  if (result->segments_before == 0) return;
  log_.info(absl::StrCat(partition.name(), ": compacted ", result->segments_before, " segments of ",
                         result->bytes_before, " bytes to ", result->segments_after, " of ",
                         result->bytes_after, "; ", result->records_dropped,
                         " records replaced or deleted, in ", result->passes, " pass(es)"));
}

}  // namespace headrace::topic
