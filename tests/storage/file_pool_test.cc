// The threads for what may block on the disk.
#include "storage/io/file_pool.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <vector>

namespace headrace::storage {
namespace {

constexpr std::chrono::seconds kLong{30};

TEST_CASE("FilePool: what is queued is run before the pool is gone") {
  std::atomic<int> ran{0};
  {
    FilePool pool(2);
    for (int i = 0; i < 1'000; ++i) pool.Post([&] { ++ran; });
  }
  CHECK(ran == 1'000);
}

TEST_CASE("FilePool: one thread runs jobs in the order they came") {
  std::vector<int> order;
  {
    FilePool pool(1);
    for (int i = 0; i < 100; ++i) pool.Post([&order, i] { order.push_back(i); });
  }
  REQUIRE(order.size() == 100);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("FilePool: jobs run beside each other") {
  std::promise<void> first_began;
  std::promise<void> second_began;
  std::atomic<int> met{0};
  {
    FilePool pool(2);
    CHECK(pool.threads() == 2);
    pool.Post([&] {
      first_began.set_value();
      if (second_began.get_future().wait_for(kLong) == std::future_status::ready) ++met;
    });
    pool.Post([&] {
      second_began.set_value();
      if (first_began.get_future().wait_for(kLong) == std::future_status::ready) ++met;
    });
  }
  CHECK(met == 2);
}

TEST_CASE("FilePool: a job may post another one") {
  std::promise<void> inner;
  FilePool pool(1);
  pool.Post([&] { pool.Post([&] { inner.set_value(); }); });
  CHECK(inner.get_future().wait_for(kLong) == std::future_status::ready);
}

TEST_CASE("FilePool: what a job holds is let go when it has run") {
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = held;
  std::promise<void> done;
  FilePool pool(1);
  pool.Post([held = std::move(held)] { ++*held; });
  pool.Post([&] { done.set_value(); });
  REQUIRE(done.get_future().wait_for(kLong) == std::future_status::ready);
  CHECK(watch.expired());
}

}  // namespace
}  // namespace headrace::storage
