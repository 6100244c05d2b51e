// A histogram of values over many orders of magnitude, for percentiles of latencies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace headrace::cli {

// Log-linear: 256 equal steps for values below 256, then 128 equal steps for each doubling, so that a
// percentile is at most 1/128 too high. Values are nanoseconds here, but any non-negative integer will do.
// 60 KiB. One owner, one thread; merge to gather from several.
class Histogram {
 public:
  Histogram();

  void Record(std::int64_t value);  // a negative value counts as 0
  void Merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::int64_t min() const { return count_ == 0 ? 0 : min_; }
  std::int64_t max() const { return max_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  // The smallest bound that `percent` of the values do not exceed, never above max(); 0 if empty.
  std::int64_t Percentile(double percent) const;

 private:
  static std::size_t BucketOf(std::uint64_t value);
  static std::uint64_t UpperBoundOf(std::size_t bucket);

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
  std::int64_t min_ = 0;
  std::int64_t max_ = 0;
};

}  // namespace headrace::cli
