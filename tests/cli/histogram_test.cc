#include "client/cli/histogram.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace headrace::cli {
namespace {

TEST_CASE("Histogram: an empty one has only zeros") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.Percentile(99) == 0);
  CHECK(histogram.min() == 0);
  CHECK(histogram.max() == 0);
  CHECK(histogram.mean() == 0);
}

TEST_CASE("Histogram: small values are exact") {
  Histogram histogram;
  for (int value = 1; value <= 100; ++value) histogram.Record(value);
  CHECK(histogram.Percentile(0) == 1);
  CHECK(histogram.Percentile(50) == 50);
  CHECK(histogram.Percentile(99) == 99);
  CHECK(histogram.Percentile(99.5) == 100);
  CHECK(histogram.Percentile(100) == 100);
  CHECK(histogram.mean() == Approx(50.5));
}

TEST_CASE("Histogram: percentiles agree with sorting to 1 part in 128, and are never too low") {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(13, 2);
  Histogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::int64_t>(latency(random)));
    histogram.Record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * 20'000 - 1e-9));
    const std::int64_t exact = values[rank - 1];
    CAPTURE(percent, exact);
    CHECK(histogram.Percentile(percent) >= exact);
    CHECK(static_cast<double>(histogram.Percentile(percent)) <=
          static_cast<double>(exact) * (1 + 1.0 / 128) + 1);
  }
}

TEST_CASE("Histogram: the extremes fit") {
  Histogram histogram;
  histogram.Record(-5);
  histogram.Record(std::numeric_limits<std::int64_t>::max());
  CHECK(histogram.min() == 0);
  CHECK(histogram.Percentile(50) == 0);
  CHECK(histogram.Percentile(100) == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("Histogram: merging is recording in one") {
  Histogram a;
  Histogram b;
  Histogram both;
  for (int i = 0; i < 1000; ++i) {
    (i % 3 == 0 ? a : b).Record(i * 1000);
    both.Record(i * 1000);
  }
  a.Merge(b);
  a.Merge(Histogram());
  CHECK(a.count() == both.count());
  CHECK(a.min() == both.min());
  CHECK(a.max() == both.max());
  for (const double percent : {1.0, 50.0, 99.0}) CHECK(a.Percentile(percent) == both.Percentile(percent));
}

}  // namespace
}  // namespace headrace::cli
