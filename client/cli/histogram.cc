#include "client/cli/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace headrace::cli {
namespace {

constexpr int kStepBits = 7;
constexpr std::uint64_t kSteps = 1U << kStepBits;  // per doubling
constexpr int kValueBits = 63;
constexpr std::size_t kBuckets = static_cast<std::size_t>(kValueBits - kStepBits + 1) * kSteps;

}  // namespace

Histogram::Histogram() : buckets_(kBuckets) {}

// Bucket b >= 256 holds the values whose highest eight bits are 128 + b % 128, shifted left by b / 128 - 1.
std::size_t Histogram::BucketOf(std::uint64_t value) {
  if (value < 2 * kSteps) return value;
  const int shift = static_cast<int>(std::bit_width(value)) - kStepBits - 1;
  return static_cast<std::size_t>(shift) * kSteps + static_cast<std::size_t>(value >> shift);
}

std::uint64_t Histogram::UpperBoundOf(std::size_t bucket) {
  if (bucket < 2 * kSteps) return bucket;
  const std::size_t shift = bucket / kSteps - 1;
  return ((bucket - shift * kSteps + 1) << shift) - 1;
}

void Histogram::Record(std::int64_t value) {
  value = std::max<std::int64_t>(value, 0);
  ++buckets_[BucketOf(static_cast<std::uint64_t>(value))];
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
  ++count_;
}

void Histogram::Merge(const Histogram& other) {
  if (other.count_ == 0) return;
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
  count_ += other.count_;
}

std::int64_t Histogram::Percentile(double percent) const {
  if (count_ == 0) return 0;
  // Rounding up, less what the division added: the 99th of 100 values is the 99th, not the 100th.
  const double wanted = std::ceil(percent / 100 * static_cast<double>(count_) - 1e-9);
  const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::max(wanted, 1.0)), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank) return std::clamp(static_cast<std::int64_t>(UpperBoundOf(bucket)), min_, max_);
  }
  return max_;
}

}  // namespace headrace::cli
