// Batches of one connection reach the log in its order, though some are prepared on the pool.
#include <catch2/catch.hpp>

#include <latch>
#include <thread>

#include "broker/topic/partition.h"
#include "tests/support/await_flusher.h"
#include "tests/support/test_topics.h"

using namespace headrace;
using namespace headrace::topic;
using headrace::testing::AwaitFlusher;
using headrace::testing::BatchOptions;
using headrace::testing::MakeBatch;
using headrace::testing::TestTopics;
using headrace::testing::ValuesOf;

namespace {

// Keeps the one thread of a pool from its other jobs, until it is let go.
class HeldPool {
 public:
  explicit HeldPool(storage::FilePool& pool) {
    pool.Post([latches = latches_] {
      latches->held.count_down();
      latches->released.wait();
    });
    latches_->held.wait();
  }
  void Release() { latches_->released.count_down(); }

 private:
  struct Latches {
    std::latch held{1};
    std::latch released{1};
  };
  // Shared with the job, which may end after this.
  const std::shared_ptr<Latches> latches_ = std::make_shared<Latches>();
};

bool IsReady(const TestTopics::Outcome& outcome) {
  return outcome.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

// Batch `number` of a producer: as many records as its number says, and one.
std::vector<std::byte> Numbered(int number, std::int32_t sequence, Compression codec) {
  BatchOptions options;
  options.compression = codec;
  options.producer_id = 1;
  options.base_sequence = sequence;
  const std::string value = std::to_string(number);
  return MakeBatch({value, value}, options);
}

}  // namespace

TEST_CASE("Produce: with five in flight, one that needs no preparation does not overtake those that do") {
  for (const std::string durability : {"written", "durable"}) {
    CAPTURE(durability);
    TestTopics topics(1);
    const auto partition = topics.Create({{"durability", durability}, {"compression.type", "lz4"}});
    HeldPool held(topics.pool);
    std::vector<TestTopics::Outcome> outcomes;
    const std::vector<Compression> codecs = {Compression::kZstd, Compression::kLz4, Compression::kNone,
                                             Compression::kLz4, Compression::kLz4};
    for (int i = 0; i < 5; ++i) {
      outcomes.push_back(TestTopics::Send(*partition, Numbered(i, 2 * i, codecs[static_cast<size_t>(i)])));
    }
    for (const TestTopics::Outcome& outcome : outcomes) CHECK_FALSE(IsReady(outcome));
    held.Release();
    for (int i = 0; i < 5; ++i) {
      const auto outcome = outcomes[static_cast<std::size_t>(i)].get();
      REQUIRE(outcome.ok());  // in another order their sequences would have gaps
      CHECK(outcome->base_offset == 2 * i);
    }
    CHECK(ValuesOf(TestTopics::Readable(*partition)) ==
          std::vector<std::string>{"0", "0", "1", "1", "2", "2", "3", "3", "4", "4"});
  }
}

TEST_CASE("Produce: one that needs no preparation, alone, is appended at once") {
  TestTopics topics(1);
  const auto partition = topics.Create({{"durability", "written"}, {"compression.type", "lz4"}});
  REQUIRE(TestTopics::Produce(*partition, MakeBatch({"a"}, {.compression = Compression::kLz4})).ok());
  AwaitFlusher(topics.flusher);
  HeldPool held(topics.pool);
  CHECK(IsReady(TestTopics::Send(*partition, Numbered(0, 0, Compression::kLz4))));
  CHECK(partition->offsets().end == 3);
  held.Release();
}

TEST_CASE("Produce: what comes behind a batch whose timestamps are made right does not overtake it") {
  TestTopics topics(1);
  const auto partition = topics.Create({{"durability", "written"}});
  std::vector<std::byte> wrong = Numbered(0, 0, Compression::kZstd);
  StoreBigEndian(wrong.data() + 35, TimestampMs{-1});
  SealBatch(wrong);
  HeldPool held(topics.pool);
  auto first = TestTopics::Send(*partition, wrong);
  auto second = TestTopics::Send(*partition, Numbered(1, 2, Compression::kZstd));
  CHECK_FALSE(IsReady(second));
  held.Release();
  REQUIRE(first.get().ok());
  REQUIRE(second.get().ok());
  CHECK(TestTopics::Produce(*partition, Numbered(2, 4, Compression::kZstd)).ok());
}

TEST_CASE("Produce: a change back to the default waits for what is being prepared") {
  TestTopics topics(1);
  const auto partition = topics.Create({{"durability", "written"}, {"compression.type", "lz4"}});
  HeldPool held(topics.pool);
  auto first = TestTopics::Send(*partition, Numbered(0, 0, Compression::kZstd));
  topics.Alter({{"compression.type", "producer"}});
  auto second = TestTopics::Send(*partition, Numbered(1, 2, Compression::kZstd));
  CHECK_FALSE(IsReady(second));
  held.Release();
  REQUIRE(first.get().ok());
  REQUIRE(second.get().ok());
  CHECK(ValuesOf(TestTopics::Readable(*partition)) == std::vector<std::string>{"0", "0", "1", "1"});
}

TEST_CASE("Produce: a batch that is refused on the pool does not stop those behind it") {
  TestTopics topics(1);
  const auto partition = topics.Create({{"durability", "written"}, {"compression.type", "lz4"}});
  HeldPool held(topics.pool);
  std::vector<std::byte> damaged = MakeBatch({"a"}, {.compression = Compression::kGzip});
  damaged[kBatchHeaderSize + 12] ^= std::byte{0xff};
  SealBatch(damaged);
  auto refused = TestTopics::Send(*partition, damaged);
  auto good = TestTopics::Send(*partition, MakeBatch({"b"}));
  held.Release();
  CHECK_FALSE(refused.get().ok());
  CHECK(good.get().ok());
}

TEST_CASE("Produce: a topic that is deleted answers what is being prepared") {
  TestTopics topics(1);
  const auto partition = topics.Create({{"compression.type", "lz4"}});
  HeldPool held(topics.pool);
  auto first = TestTopics::Send(*partition, MakeBatch({"a"}));
  auto second = TestTopics::Send(*partition, MakeBatch({"b"}));
  REQUIRE(topics.registry->Delete(topics.registry->Find("t")->id).ok());
  held.Release();
  CHECK_FALSE(first.get().ok());
  CHECK_FALSE(second.get().ok());
}

TEST_CASE("Produce: many connections, and a configuration that changes: each keeps its order") {
  constexpr int kConnections = 4;
  constexpr std::int32_t kBatches = 200;
  TestTopics topics(3);
  const auto partition = topics.Create({{"durability", "written"}});
  std::vector<std::vector<TestTopics::Outcome>> outcomes(kConnections);
  std::vector<std::thread> threads;
  for (int number = 0; number < kConnections; ++number) {
    threads.emplace_back([&, number] {
      for (std::int32_t i = 0; i < kBatches; ++i) {
        BatchOptions options;
        options.compression = i % 3 == 0 ? Compression::kZstd : Compression::kLz4;
        options.producer_id = number;
        options.base_sequence = i;
        outcomes[static_cast<std::size_t>(number)].push_back(
            TestTopics::Send(*partition, MakeBatch({"v"}, options)));
      }
    });
  }
  for (const char* type : {"lz4", "producer", "zstd", "uncompressed", "gzip", "lz4", "producer"}) {
    topics.Alter({{"compression.type", type}});
  }
  for (std::thread& thread : threads) thread.join();
  for (auto& connection : outcomes) {
    Offset last = -1;
    bool in_order = true;
    for (TestTopics::Outcome& outcome : connection) {
      const auto result = outcome.get();
      in_order = in_order && result.ok() && result->base_offset > last;
      if (result.ok()) last = result->base_offset;
    }
    CHECK(in_order);
  }
  CHECK(ValuesOf(TestTopics::Readable(*partition)).size() == kConnections * kBatches);
}
