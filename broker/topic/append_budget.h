// The memory of batches that clients have sent and that are not in their logs yet: one budget for all
// partitions.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"

namespace headrace::topic {

// Bounds what piles up before a disk that stands still, whoever sent it and whether or not he is still there.
// Owned by the broker; outlives its leases. Thread: any. Never waits: what does not fit is refused.
class AppendBudget {
 public:
  // The room of one batch, given back when it is destroyed. Movable.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Lease& operator=(Lease&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Lease() {
      if (budget_ != nullptr) budget_->taken_.fetch_sub(bytes_, std::memory_order_relaxed);
    }

   private:
    friend class AppendBudget;
    Lease(AppendBudget& budget, std::uint64_t bytes) : budget_(&budget), bytes_(bytes) {}

    AppendBudget* budget_ = nullptr;
    std::uint64_t bytes_ = 0;
  };

  explicit AppendBudget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Room for a batch of `size` bytes. One may always have it. Error: kThrottlingQuotaExceeded (retriable).
  absl::StatusOr<Lease> Take(std::size_t size);
  std::uint64_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  const std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> taken_{0};
};

}  // namespace headrace::topic
