// Compaction of a partition: the long part without a lock, the exchange under the log's.
#include "broker/topic/partition.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::topic {

absl::StatusOr<storage::CompactionResult> Partition::Compact(storage::CompactionLimits limits) {
  const auto named = [this](const absl::Status& error) { return Prefixed(error, name_ + ": compaction"); };
  const core::MutexLock compacting(compaction_mutex_);
  std::unique_ptr<storage::CompactionPlan> plan;
  {
    const core::MutexLock lock(log_mutex_);
    if (!status().ok()) return storage::CompactionResult();
    ASSIGN_OR_RETURN(plan, log_->PlanCompaction());
  }
  if (plan == nullptr) return storage::CompactionResult();
  limits.proceed = [this, proceed = std::move(limits.proceed)](std::uint64_t bytes) {
    return !deleted_.load() && (!proceed || proceed(bytes));
  };
  storage::Compaction compaction(*std::move(plan), std::move(limits));
  for (;;) {
    const auto ready = compaction.Next();
    if (!ready.ok() && deleted_.load()) return compaction.result();
    if (!ready.ok()) return named(ready.status());
    if (!ready->has_value()) break;
    absl::StatusOr<bool> swapped = false;
    {
      const core::MutexLock lock(log_mutex_);
      if (!deleted_.load()) swapped = log_->SwapCompacted(**ready);
    }
    if (!swapped.ok()) return named(swapped.status());
    const absl::Status settled = compaction.Settle(**ready, *swapped);
    if (settled.ok()) continue;
    if (deleted_.load()) return compaction.result();
    log_->Fence(settled);
    return named(settled);
  }
  const core::MutexLock lock(log_mutex_);
  if (!deleted_.load()) log_->FinishCompaction(compaction.progress());
  return compaction.result();
}

}  // namespace headrace::topic
