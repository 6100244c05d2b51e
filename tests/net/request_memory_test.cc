#include "broker/net/request_memory.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "broker/net/frame_reader.h"
#include "protocol/core/bytes.h"

using namespace headrace;
using net::RequestMemory;
using Lease = RequestMemory::Lease;

namespace {

// Those who wait, in the order in which they were granted, with their leases.
struct Granted {
  std::vector<int> order;
  std::vector<Lease> leases;

  std::function<void(Lease)> As(int who) {
    return [this, who](Lease lease) {
      order.push_back(who);
      leases.push_back(std::move(lease));
    };
  }
  // Gives back what the n-th one was granted. By way of a copy: it may grant to others, who are added here.
  void GiveBack(std::size_t n) { const Lease lease = std::exchange(leases.at(n), nullptr); }
};

void Never(const Lease&) {
  FAIL("granted twice");
}

}  // namespace

TEST_CASE("RequestMemory: what fits is granted at once, and given back with the last copy of its lease") {
  const auto memory = std::make_shared<RequestMemory>(100);
  Lease first = memory->Reserve(60, Never);
  const Lease second = memory->Reserve(40, Never);
  REQUIRE(first != nullptr);
  REQUIRE(second != nullptr);
  CHECK(memory->reserved() == 100);
  Lease copy = first;
  first.reset();
  CHECK(memory->reserved() == 100);
  copy.reset();
  CHECK(memory->reserved() == 40);
}

TEST_CASE("RequestMemory: one request may always proceed, however large, and alone") {
  const auto memory = std::make_shared<RequestMemory>(100);
  Lease huge = memory->Reserve(~std::uint64_t{0} / 2, Never);
  REQUIRE(huge != nullptr);
  Granted granted;
  CHECK(memory->Reserve(1, granted.As(1)) == nullptr);
  CHECK(memory->Reserve(5000, granted.As(2)) == nullptr);
  huge.reset();
  CHECK(granted.order == std::vector<int>{1});
  granted.GiveBack(0);
  CHECK(granted.order == std::vector<int>{1, 2});
  CHECK(memory->reserved() == 5000);
}

TEST_CASE("RequestMemory: first come, first served, also past one that would fit") {
  const auto memory = std::make_shared<RequestMemory>(100);
  Lease most = memory->Reserve(70, Never);
  Granted granted;
  CHECK(memory->Reserve(50, granted.As(1)) == nullptr);
  CHECK(memory->Reserve(10, granted.As(2)) == nullptr);  // fits, but has come later
  CHECK(memory->Reserve(60, granted.As(3)) == nullptr);
  CHECK(granted.order.empty());
  most.reset();
  CHECK(granted.order == std::vector<int>{1, 2});
  CHECK(memory->reserved() == 60);
  granted.GiveBack(0);  // 50
  CHECK(granted.order == std::vector<int>{1, 2, 3});
  CHECK(memory->reserved() == 70);
}

TEST_CASE("RequestMemory: who has gone while waiting holds nobody up") {
  const auto memory = std::make_shared<RequestMemory>(100);
  Lease all = memory->Reserve(100, Never);
  int dropped = 0;
  for (int i = 0; i < 1000; ++i) {
    CHECK(memory->Reserve(100, [&dropped](const Lease&) { ++dropped; }) == nullptr);
  }
  Granted granted;
  CHECK(memory->Reserve(100, granted.As(1)) == nullptr);
  all.reset();
  CHECK(dropped == 1000);
  CHECK(granted.order == std::vector<int>{1});
  CHECK(memory->reserved() == 100);
}

TEST_CASE("RequestMemory: a lease outlives its owner") {
  auto memory = std::make_shared<RequestMemory>(100);
  Lease lease = memory->Reserve(10, Never);
  const std::weak_ptr<RequestMemory> seen = memory;
  memory.reset();
  CHECK_FALSE(seen.expired());
  lease.reset();
  CHECK(seen.expired());
}

TEST_CASE("RequestMemory: a large frame keeps its lease as long as its bytes are kept") {
  const auto memory = std::make_shared<RequestMemory>(1 << 20);
  net::FrameReader reader(1 << 20);
  const std::uint32_t length = 100'000;
  StoreBigEndian(reader.Room().data(), length);
  reader.Received(4);
  REQUIRE(reader.Next().ok());
  REQUIRE(reader.WantsMemory() == length + 4);
  reader.Grow(memory->Reserve(reader.WantsMemory(), Never));
  while (memory->reserved() == length + 4) {
    const MutableByteSpan room = reader.Room();
    reader.Received(room.size());
    auto frame = reader.Next();
    REQUIRE(frame.ok());
    REQUIRE(frame->has_value());
    CHECK((*frame)->bytes.size() == length);
    CHECK(memory->reserved() == length + 4);
    reader.Rest();
    CHECK(memory->reserved() == length + 4);  // the frame is still held
    frame->reset();
    CHECK(memory->reserved() == 0);
  }
}

TEST_CASE("RequestMemory: many threads never hold more than the limit together, and all have their turn") {
  constexpr std::uint64_t kMax = 1000;
  constexpr int kThreads = 4;
  constexpr int kRounds = 2000;
  const auto memory = std::make_shared<RequestMemory>(kMax);
  std::atomic<std::uint64_t> over{0};
  std::atomic<int> grants{0};
  const auto use = [&](const Lease& lease) {
    if (lease == nullptr) return;
    if (memory->reserved() > kMax) over.fetch_add(1);
    grants.fetch_add(1);
  };
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRounds; ++i) {
          use(memory->Reserve(static_cast<std::uint64_t>(1 + (i * 37 + t * 101) % 700), use));
        }
      });
    }
  }
  CHECK(grants.load() == kThreads * kRounds);
  CHECK(over.load() == 0);
  CHECK(memory->reserved() == 0);
}
