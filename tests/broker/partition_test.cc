// What a partition promises to those who append: when it answers, with what, and what is kept.
#include "broker/topic/partition.h"

#include <catch2/catch.hpp>

#include <thread>

#include "protocol/core/error_code.h"
#include "tests/support/await_flusher.h"
#include "tests/support/faulty_topics.h"

using namespace headrace;
using headrace::testing::AwaitFlusher;
using headrace::testing::BatchOptions;
using headrace::testing::FaultyTopics;
using headrace::testing::MakeBatch;
using headrace::testing::Sequenced;
using headrace::testing::SyncGate;
using headrace::testing::WakeCounter;
using Values = std::vector<std::string>;

namespace {

// So long that a few hundred fill a segment.
std::string Numbered(int producer, std::int32_t number) {
  return std::to_string(producer) + ":" + std::to_string(number) + std::string(150, '.');
}

}  // namespace

TEST_CASE("Partition, written: readable when Append returns, and without any sync") {
  FaultyTopics topics;
  const auto partition = topics.Create({{"durability", "written"}});
  REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a"})).get().ok());  // makes the log's files
  AwaitFlusher(*topics.flusher);
  auto outcome = FaultyTopics::Append(*partition, MakeBatch({"b", "c"}));
  REQUIRE(FaultyTopics::IsReady(outcome));
  CHECK(outcome.get()->base_offset == 1);
  CHECK(partition->offsets().high_watermark == 3);
  CHECK(FaultyTopics::Readable(*partition) == Values{"a", "b", "c"});
  CHECK(topics.flusher->sync_count() == 0);
  CHECK(FaultyTopics::Append(*partition, MakeBatch({"d"})).get()->base_offset == 3);
}

TEST_CASE("Partition, durable: neither acknowledged nor readable before its sync has ended") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  SyncGate& gate = topics.HoldSyncs();
  auto outcome = FaultyTopics::Append(*partition, MakeBatch({"a"}));
  gate.Await(1);
  CHECK_FALSE(FaultyTopics::IsReady(outcome));
  CHECK(partition->offsets().high_watermark == 0);
  CHECK(FaultyTopics::Readable(*partition).empty());
  gate.Open();
  CHECK(outcome.get()->base_offset == 0);
  CHECK(FaultyTopics::Readable(*partition) == Values{"a"});
}

TEST_CASE("Partition, durable: what comes during a sync is the next group, answered in order") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  SyncGate& gate = topics.HoldSyncs();
  std::vector<Offset> answered;  // written by the flusher's thread alone, until the last answer
  const auto note = [&answered](const FaultyTopics::Result& result) {
    answered.push_back(result.ok() ? result->base_offset : -1);
  };
  std::vector<FaultyTopics::Outcome> outcomes;
  outcomes.push_back(FaultyTopics::Append(*partition, MakeBatch({"0"}), note));
  gate.Await(1);
  for (const char* value : {"1", "2", "3", "4"}) {
    outcomes.push_back(FaultyTopics::Append(*partition, MakeBatch({value}), note));
  }
  gate.Open();
  for (auto& outcome : outcomes) outcome.wait();
  CHECK(gate.arrived() == 2);
  CHECK(answered == std::vector<Offset>{0, 1, 2, 3, 4});
  CHECK(FaultyTopics::Readable(*partition) == Values{"0", "1", "2", "3", "4"});
}

TEST_CASE("Partition, durable: what was acknowledged survives power loss") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    FaultyTopics topics;
    const auto partition = topics.Create({{"segment.bytes", "65536"}});
    Values acknowledged;
    for (int i = 0; i < 40; ++i) {
      acknowledged.push_back(std::to_string(i) + std::string(5000, '.'));  // several segments
      REQUIRE(FaultyTopics::Append(*partition, MakeBatch({acknowledged.back()})).get().ok());
    }
    REQUIRE(topics.RestartAfterPowerLoss(seed).ok());
    CHECK(FaultyTopics::Readable(*topics.Find()) == acknowledged);
  }
}

TEST_CASE("Partition, written: what was acknowledged survives the process, and power loss leaves a prefix") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    FaultyTopics topics;
    auto partition = topics.Create({{"durability", "written"}});
    Values acknowledged;
    const auto append = [&](int count) {
      for (int i = 0; i < count; ++i) {
        acknowledged.push_back(std::string(300, 'a') + std::to_string(acknowledged.size()));
        REQUIRE(FaultyTopics::Append(*partition, MakeBatch({acknowledged.back()})).get().ok());
      }
    };
    append(30);
    REQUIRE(topics.RestartAfterProcessCrash().ok());
    partition = topics.Find();
    CHECK(FaultyTopics::Readable(*partition) == acknowledged);
    append(30);
    REQUIRE(topics.RestartAfterPowerLoss(seed).ok());
    const Values left = FaultyTopics::Readable(*topics.Find());
    REQUIRE(left.size() >= 30);  // recovery has synced them
    REQUIRE(left.size() <= acknowledged.size());
    CHECK(std::equal(left.begin(), left.end(), acknowledged.begin()));
  }
}

TEST_CASE("Partition: a duplicate is acknowledged no sooner than its original, with its offset") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  SyncGate& gate = topics.HoldSyncs();
  std::vector<bool> answered;  // whether each was a duplicate
  const auto note = [&answered](const FaultyTopics::Result& result) {
    answered.push_back(result.ok() && result->duplicate);
  };
  auto original = FaultyTopics::Append(*partition, Sequenced(0), note);
  gate.Await(1);
  auto duplicate = FaultyTopics::Append(*partition, Sequenced(0), note);
  CHECK_FALSE(FaultyTopics::IsReady(original));
  CHECK_FALSE(FaultyTopics::IsReady(duplicate));
  gate.Open();
  const auto first = original.get();
  const auto second = duplicate.get();
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK_FALSE(first->duplicate);
  CHECK(second->duplicate);
  CHECK(second->base_offset == first->base_offset);
  CHECK(answered == std::vector<bool>{false, true});
  CHECK(FaultyTopics::Readable(*partition) == Values{"s"});
  // Of one that is safe already: at once.
  auto late = FaultyTopics::Append(*partition, Sequenced(0));
  REQUIRE(FaultyTopics::IsReady(late));
  CHECK(late.get()->duplicate);
}

TEST_CASE("Partition: a gap in a producer's sequence is refused, and costs no offset") {
  for (const std::string durability : {"written", "durable"}) {
    CAPTURE(durability);
    FaultyTopics topics;
    const auto partition = topics.Create({{"durability", durability}});
    REQUIRE(FaultyTopics::Append(*partition, Sequenced(0)).get().ok());
    auto gap = FaultyTopics::Append(*partition, Sequenced(2));
    CHECK(FaultyTopics::CodeOfOutcome(gap) == ErrorCode::kOutOfOrderSequence);
    CHECK(FaultyTopics::Append(*partition, Sequenced(1)).get()->base_offset == 1);
  }
}

TEST_CASE("Partition, written: behind a sync that is slow, appends are queued instead of blocked") {
  FaultyTopics topics;
  const auto partition = topics.Create({{"durability", "written"}});
  REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a"})).get().ok());
  SyncGate& gate = topics.HoldSyncs();
  partition->StartBackgroundSync();
  gate.Await(1);
  auto quick = FaultyTopics::Append(*partition, MakeBatch({"b"}));
  CHECK(FaultyTopics::IsReady(quick));
  topics.clock.Advance(std::chrono::milliseconds(21));
  auto queued = FaultyTopics::Append(*partition, MakeBatch({"c"}));
  CHECK_FALSE(FaultyTopics::IsReady(queued));
  gate.Open();
  CHECK(queued.get()->base_offset == 2);
  CHECK(FaultyTopics::Readable(*partition) == Values{"a", "b", "c"});
}

TEST_CASE("Partition: those who wait are woken once for each move of the high watermark") {
  FaultyTopics topics;
  SECTION("written: for each batch") {
    const auto partition = topics.Create({{"durability", "written"}});
    const WakeCounter wakes(*partition);
    for (int i = 1; i <= 5; ++i) {
      REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a", "b"})).get().ok());
      wakes.Await(i);
      CHECK(wakes.count() == i);
    }
  }
  SECTION("durable: for each group") {
    const auto partition = topics.Create({});
    SyncGate& gate = topics.HoldSyncs();
    const WakeCounter wakes(*partition);
    auto first = FaultyTopics::Append(*partition, MakeBatch({"a"}));
    gate.Await(1);
    CHECK(wakes.count() == 0);
    std::vector<FaultyTopics::Outcome> group;
    for (int i = 0; i < 4; ++i) group.push_back(FaultyTopics::Append(*partition, MakeBatch({"b"})));
    gate.Open();
    REQUIRE(first.get().ok());
    for (auto& outcome : group) REQUIRE(outcome.get().ok());
    wakes.Await(2);
    CHECK(wakes.count() == 2);
  }
  SECTION("not for a duplicate, nor for what is refused") {
    const auto partition = topics.Create({{"durability", "written"}});
    REQUIRE(FaultyTopics::Append(*partition, Sequenced(0)).get().ok());
    AwaitFlusher(*topics.flusher);
    const WakeCounter wakes(*partition);
    REQUIRE(FaultyTopics::Append(*partition, Sequenced(0)).get().ok());
    REQUIRE_FALSE(FaultyTopics::Append(*partition, Sequenced(9)).get().ok());
    CHECK(wakes.count() == 0);
  }
}

TEST_CASE("Partition: a producer that was idle for a day is forgotten, staged or written, and no other") {
  for (const std::string durability : {"written", "durable"}) {
    CAPTURE(durability);
    FaultyTopics topics;
    const auto partition = topics.Create({{"durability", durability}});
    REQUIRE(FaultyTopics::Append(*partition, Sequenced(0)).get().ok());
    partition->ExpireProducers();
    topics.clock.Advance(std::chrono::hours(23));
    partition->ExpireProducers();
    CHECK_FALSE(FaultyTopics::Append(*partition, Sequenced(5)).get().ok());
    topics.clock.Advance(std::chrono::hours(2));
    partition->ExpireProducers();
    CHECK(partition->log().producers().size() == 0);
    CHECK(FaultyTopics::Append(*partition, Sequenced(5)).get().ok());  // as if it were a new one
    partition->ExpireProducers();
    CHECK_FALSE(FaultyTopics::Append(*partition, Sequenced(9)).get().ok());
  }
}

TEST_CASE("Partition: Trim raises the start for good, tells those who wait, and refuses what is not there") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  for (const char* value : {"a", "b", "c", "d"}) {
    REQUIRE(FaultyTopics::Append(*partition, MakeBatch({value})).get().ok());
  }
  AwaitFlusher(*topics.flusher);
  const WakeCounter wakes(*partition);
  REQUIRE(partition->Trim(2).ok());
  CHECK(wakes.count() == 1);
  CHECK(partition->offsets().start == 2);
  storage::ReadCursor below;
  const auto read = partition->Read(below, 1);
  CHECK(CodeOf(read.status()) == ErrorCode::kOffsetOutOfRange);
  CHECK_THAT(std::string(MessageOf(read.status())), Catch::Contains("t-0") && Catch::Contains("2 to 4"));
  CHECK(CodeOf(partition->Trim(5)) == ErrorCode::kOffsetOutOfRange);
  CHECK(partition->Trim(1).ok());  // no way back, and no error
  CHECK(partition->offsets().start == 2);
  REQUIRE(topics.RestartAfterPowerLoss(1).ok());
  CHECK(topics.Find()->offsets().start == 2);
  CHECK(FaultyTopics::Readable(*topics.Find()) == Values{"c", "d"});
}

TEST_CASE("Partition: durability may change under load; nothing is lost, doubled or out of order") {
  constexpr int kThreads = 4;
  constexpr std::int32_t kBatches = 400;
  FaultyTopics topics;
  const auto partition = topics.Create({{"segment.bytes", "65536"}});
  std::vector<std::vector<FaultyTopics::Outcome>> outcomes(kThreads);
  std::vector<std::thread> threads;
  std::atomic<int> running{kThreads};
  for (int number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      for (std::int32_t i = 0; i < kBatches; ++i) {
        BatchOptions options;
        options.producer_id = number;
        options.base_sequence = i;
        const std::string value = Numbered(number, i);
        outcomes[static_cast<std::size_t>(number)].push_back(
            FaultyTopics::Append(*partition, MakeBatch({value}, options)));
      }
      --running;
    });
  }
  topic::TopicConfig config = topics.registry->Find("t")->config;
  for (bool durable = false; running.load() > 0; durable = !durable) {
    REQUIRE(config.Set("durability", durable ? "durable" : "written").ok());
    partition->SetConfig(config);
    partition->StartBackgroundSync();
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  std::map<Offset, std::string> acknowledged;
  for (int number = 0; number < kThreads; ++number) {
    Offset last = -1;
    bool in_order = true;
    std::int32_t i = 0;
    for (auto& outcome : outcomes[static_cast<std::size_t>(number)]) {
      const auto result = outcome.get();
      in_order = in_order && result.ok() && !result->duplicate && result->base_offset > last;
      if (!result.ok()) break;
      last = result->base_offset;
      acknowledged[last] = Numbered(number, i++);
    }
    CHECK(in_order);
  }
  Values expected;
  for (const auto& [offset, value] : acknowledged) expected.push_back(value);
  CHECK(expected.size() == kThreads * kBatches);
  CHECK(FaultyTopics::Readable(*partition) == expected);
  CHECK(partition->offsets().high_watermark == kThreads * kBatches);
}

TEST_CASE("Partition: a topic that became durable has its earlier batches on disk with the first answer") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    FaultyTopics topics;
    const auto partition = topics.Create({{"durability", "written"}, {"segment.bytes", "65536"}});
    Values appended;
    for (int i = 0; i < 30; ++i) {
      appended.push_back(std::to_string(i) + std::string(5000, '.'));  // several segments
      REQUIRE(FaultyTopics::Append(*partition, MakeBatch({appended.back()})).get().ok());
    }
    topic::AlterTopicOptions durable;
    durable.configs = {{"durability", "durable"}};
    REQUIRE(topics.registry->Alter(topics.registry->Find("t")->id, durable).ok());
    appended.push_back("durable");
    REQUIRE(FaultyTopics::Append(*partition, MakeBatch({appended.back()})).get().ok());
    REQUIRE(topics.RestartAfterPowerLoss(seed).ok());
    CHECK(FaultyTopics::Readable(*topics.Find()) == appended);
  }
}
