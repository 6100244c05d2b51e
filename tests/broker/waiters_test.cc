#include "broker/topic/waiters.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using headrace::topic::Waiters;

TEST_CASE("Waiters: everybody is woken once") {
  Waiters waiters;
  int first = 0;
  int second = 0;
  waiters.Add([&] { ++first; });
  waiters.Add([&] { ++second; });
  waiters.WakeAll();
  waiters.WakeAll();
  CHECK(first == 1);
  CHECK(second == 1);
}

TEST_CASE("Waiters: who left is not woken") {
  Waiters waiters;
  int woken = 0;
  const Waiters::Id id = waiters.Add([&] { ++woken; });
  waiters.Remove(id);
  waiters.WakeAll();
  CHECK(woken == 0);
}

TEST_CASE("Waiters: a waiter may wait again while it is woken") {
  Waiters waiters;
  int woken = 0;
  waiters.Add([&] {
    ++woken;
    waiters.Add([&] { ++woken; });
  });
  waiters.WakeAll();
  CHECK(woken == 1);
  waiters.WakeAll();
  CHECK(woken == 2);
}

TEST_CASE("Waiters: register, then look again, misses nothing") {
  // One thread publishes numbers, the other waits for each: a lost wake-up would hang (and time out).
  constexpr int kRounds = 20'000;
  Waiters waiters;
  std::atomic<int> published{0};
  std::thread publisher([&] {
    for (int i = 1; i <= kRounds; ++i) {
      published.store(i);
      waiters.WakeAll();
    }
  });
  int seen = 0;
  while (seen < kRounds) {
    const auto woken = std::make_shared<std::atomic<bool>>(false);  // a wake-up may outlast Remove
    const Waiters::Id id = waiters.Add([woken] {
      woken->store(true);
      woken->notify_one();
    });
    if (published.load() == seen) woken->wait(false);
    waiters.Remove(id);
    seen = published.load();
  }
  publisher.join();
  CHECK(seen == kRounds);
}
