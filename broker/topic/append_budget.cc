#include "broker/topic/append_budget.h"

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"

namespace headrace::topic {
namespace {

// Beside its own bytes: its place in the queue, and what it keeps of the buffer that it came in.
constexpr std::uint64_t kBesideBatch = 4 << 10;

}  // namespace

absl::StatusOr<AppendBudget::Lease> AppendBudget::Take(std::size_t size) {
  const std::uint64_t bytes = size + kBesideBatch;
  const std::uint64_t before = taken_.fetch_add(bytes, std::memory_order_relaxed);
  Lease lease(*this, bytes);
  if (before == 0 || before + bytes <= bytes_max_) return lease;
  return MakeError(
      ErrorCode::kThrottlingQuotaExceeded,
      absl::StrCat("batches of ", before, " bytes wait for the disk, and ", bytes_max_,
                   " may (the broker's setting request_memory_max); send the batch again later"));
}

}  // namespace headrace::topic
