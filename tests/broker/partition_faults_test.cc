// What a partition does when it cannot append: the disk is full or broken, the topic or the broker goes.
#include "broker/topic/partition.h"

#include <catch2/catch.hpp>
#include <thread>

#include "protocol/core/error_code.h"
#include "tests/support/await_flusher.h"
#include "tests/support/faulty_topics.h"

using namespace headrace;
using headrace::testing::AwaitFlusher;
using headrace::testing::Fault;
using headrace::testing::FaultyTopics;
using headrace::testing::FileOperation;
using headrace::testing::MakeBatch;
using headrace::testing::OperationGate;
using headrace::testing::Sequenced;
using headrace::testing::SyncGate;
using headrace::testing::WakeCounter;
using Kind = headrace::testing::FileOperation::Kind;
using Values = std::vector<std::string>;

namespace {

constexpr std::chrono::seconds kSoon{30};  // within which an answer comes that waits for nothing

}  // namespace

TEST_CASE("Partition: a duplicate fails with its original") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  SyncGate& gate = topics.HoldSyncs(absl::InternalError("fdatasync: EIO"));
  auto original = FaultyTopics::Append(*partition, Sequenced(0));
  gate.Await(1);
  auto duplicate = FaultyTopics::Append(*partition, Sequenced(0));
  gate.Open();
  CHECK(FaultyTopics::CodeOfOutcome(original) == ErrorCode::kStorageError);
  CHECK(FaultyTopics::CodeOfOutcome(duplicate) == ErrorCode::kStorageError);
}

TEST_CASE("Partition: on a full disk nothing is kept, and with room it goes on where it was") {
  for (const std::string durability : {"written", "durable"}) {
    CAPTURE(durability);
    FaultyTopics topics;
    const auto partition = topics.Create({{"durability", durability}});
    REQUIRE(FaultyTopics::Append(*partition, Sequenced(0, "kept")).get().ok());
    topics.files.FillAfter(30);
    auto full = FaultyTopics::Append(*partition, Sequenced(1, "lost"));
    const auto refused = full.get();
    CHECK(CodeOf(refused.status()) == ErrorCode::kDiskFull);
    CHECK(IsRetriable(CodeOf(refused.status())));
    CHECK_THAT(std::string(MessageOf(refused.status())), Catch::Contains("t-0"));
    CHECK(partition->offsets().end == 1);
    CHECK(partition->status().ok());
    topics.files.Heal();
    // Refused without a write until the guard has looked.
    auto early = FaultyTopics::Append(*partition, Sequenced(1, "early"));
    CHECK(FaultyTopics::CodeOfOutcome(early) == ErrorCode::kDiskFull);
    topics.disk->Refresh();
    const auto resumed = FaultyTopics::Append(*partition, Sequenced(1, "resumed")).get();
    REQUIRE(resumed.ok());
    CHECK_FALSE(resumed->duplicate);  // the sequence of what was not kept is free again
    CHECK(resumed->base_offset == 1);
    CHECK(FaultyTopics::Readable(*partition) == Values{"kept", "resumed"});
    REQUIRE(topics.RestartAfterProcessCrash().ok());
    CHECK(FaultyTopics::Readable(*topics.Find()) == Values{"kept", "resumed"});
  }
}

TEST_CASE("Partition, durable: with a group that met a full disk fails all that was staged behind it") {
  std::atomic<bool> full{false};
  FaultyTopics topics;
  const auto partition = topics.Create({});
  SyncGate& gate = topics.HoldSyncs(absl::OkStatus(), [&full](const FileOperation& operation) {
    const bool hit = full.load() && operation.kind == Kind::kWrite && operation.path.ends_with(".log");
    return hit ? Fault{absl::ResourceExhaustedError("No space left on device"), 500} : Fault{};
  });
  auto safe = FaultyTopics::Append(*partition, Sequenced(0, "safe"));
  gate.Await(1);
  full.store(true);
  std::vector<FaultyTopics::Outcome> behind;
  for (std::int32_t i = 1; i < 6; ++i) {
    behind.push_back(FaultyTopics::Append(*partition, Sequenced(i, std::string(1000, 'x'))));
  }
  gate.Open();
  CHECK(safe.get().ok());
  for (auto& outcome : behind) CHECK(FaultyTopics::CodeOfOutcome(outcome) == ErrorCode::kDiskFull);
  CHECK(partition->offsets().end == 1);
  full.store(false);
  topics.disk->Refresh();
  CHECK(FaultyTopics::Append(*partition, Sequenced(1, "next")).get()->base_offset == 1);
  CHECK(FaultyTopics::Readable(*partition) == Values{"safe", "next"});
}

TEST_CASE("Partition, written: no append makes a file on its caller's thread, and order holds over a roll") {
  std::atomic<std::thread::id> caller{};
  std::atomic<int> created{0};
  std::atomic<int> created_by_caller{0};
  FaultyTopics topics;
  const auto partition = topics.Create({{"durability", "written"}, {"segment.bytes", "65536"}});
  topics.files.SetDecide([&](const FileOperation& operation) {
    if (operation.kind != Kind::kCreate || !operation.path.ends_with(".log")) return Fault{};
    ++created;
    if (std::this_thread::get_id() == caller.load()) ++created_by_caller;
    return Fault{};
  });
  caller.store(std::this_thread::get_id());
  std::vector<Offset> answered;
  core::Mutex mutex;
  std::vector<FaultyTopics::Outcome> outcomes;
  Values sent;
  for (int i = 0; i < 40; ++i) {
    sent.push_back(std::to_string(i) + std::string(10'000, '.'));
    outcomes.push_back(
        FaultyTopics::Append(*partition, MakeBatch({sent.back()}), [&](const FaultyTopics::Result& result) {
          const core::MutexLock lock(mutex);
          answered.push_back(result.ok() ? result->base_offset : -1);
        }));
    if (i % 8 == 7) outcomes.back().wait();
  }
  for (auto& outcome : outcomes) outcome.wait();
  CHECK(created.load() >= 6);
  CHECK(created_by_caller.load() == 0);
  CHECK(std::is_sorted(answered.begin(), answered.end()));
  CHECK(answered.size() == sent.size());
  CHECK(FaultyTopics::Readable(*partition) == sent);
  // With nothing to be made it is written where it was called.
  AwaitFlusher(*topics.flusher);
  CHECK(FaultyTopics::IsReady(FaultyTopics::Append(*partition, MakeBatch({"small"}))));
}

TEST_CASE("Partition: the broker's own topics use the reserve that others are refused") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  topics.memory.SetFreeSpace(1 << 20);
  topics.disk->Refresh();
  auto refused = FaultyTopics::Append(*partition, MakeBatch({"a"}));
  CHECK(FaultyTopics::CodeOfOutcome(refused) == ErrorCode::kDiskFull);
  std::vector<std::byte> batch = MakeBatch({"position"});
  std::promise<bool> done;
  topic::AppendRequest request;
  request.bytes = batch;
  request.internal = true;
  request.done = [&done](const FaultyTopics::Result& result) { done.set_value(result.ok()); };
  partition->Append(std::move(request));
  CHECK(done.get_future().get());
}

TEST_CASE("Partition, durable: a failed sync fences it for good, with the first error; reads go on") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"before"})).get().ok());
  SyncGate& gate = topics.HoldSyncs(absl::InternalError("fdatasync: first error"));
  auto failed = FaultyTopics::Append(*partition, MakeBatch({"unsure"}));
  gate.Await(1);
  auto behind = FaultyTopics::Append(*partition, MakeBatch({"behind"}));
  WakeCounter wakes(*partition);
  gate.Open();
  const auto error = failed.get();
  CHECK(CodeOf(error.status()) == ErrorCode::kStorageError);
  CHECK_THAT(std::string(MessageOf(error.status())),
             Catch::Contains("t-0") && Catch::Contains("first error") && Catch::Contains("restart"));
  CHECK(FaultyTopics::CodeOfOutcome(behind) == ErrorCode::kStorageError);
  wakes.Await(1);  // streams learn of it
  topics.files.Heal();
  auto later = FaultyTopics::Append(*partition, MakeBatch({"later"}));
  REQUIRE(FaultyTopics::IsReady(later));
  CHECK_THAT(std::string(MessageOf(later.get().status())), Catch::Contains("first error"));
  CHECK_FALSE(partition->status().ok());
  CHECK(partition->readable_status().ok());
  CHECK(FaultyTopics::Readable(*partition) == Values{"before"});
  CHECK_FALSE(partition->Close().ok());  // so that no clean marker can vouch for it
}

TEST_CASE("Partition: a segment that cannot be opened for want of descriptors refuses appends, and no more") {
  for (const std::string durability : {"written", "durable"}) {
    CAPTURE(durability);
    FaultyTopics topics;
    const auto fresh = topics.Create({{"durability", durability}}, "fresh");
    const auto rolling = topics.Create({{"durability", durability}, {"segment.bytes", "65536"}}, "rolling");
    REQUIRE(FaultyTopics::Append(*rolling, MakeBatch({std::string(40'000, 'a')})).get().ok());
    topics.files.SetDecide([](const FileOperation& operation) {
      const bool opens = operation.kind == FileOperation::Kind::kCreate;
      return Fault{opens ? absl::UnavailableError("open: Too many open files") : absl::OkStatus(), 0};
    });
    for (const auto& partition : {fresh, rolling}) {
      auto refused = FaultyTopics::Append(*partition, MakeBatch({std::string(40'000, 'b')}));
      const auto outcome = refused.get();
      CHECK(IsRetriable(CodeOf(outcome.status())));
      CHECK_THAT(std::string(MessageOf(outcome.status())), Catch::Contains("Too many open files"));
      CHECK(partition->status().ok());
    }
    topics.files.Heal();
    for (const auto& partition : {fresh, rolling}) {
      CHECK(FaultyTopics::Append(*partition, MakeBatch({"c"})).get().ok());
    }
    CHECK(FaultyTopics::Readable(*fresh) == std::vector<std::string>{"c"});
    CHECK(FaultyTopics::Readable(*rolling) == std::vector<std::string>{std::string(40'000, 'a'), "c"});
  }
}

TEST_CASE("Partition: a failed sync fences it whatever it failed of, a full disk too") {
  for (const std::string durability : {"written", "durable"}) {
    CAPTURE(durability);
    FaultyTopics topics;
    const auto partition = topics.Create({{"durability", durability}});
    REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"before"})).get().ok());
    AwaitFlusher(*topics.flusher);
    SyncGate& gate = topics.HoldSyncs(absl::ResourceExhaustedError("sync: No space left on device"));
    const WakeCounter wakes(*partition);
    auto unsure = FaultyTopics::Append(*partition, MakeBatch({"unsure"}));
    partition->StartBackgroundSync();
    gate.Await(1);
    gate.Open();
    CHECK(unsure.get().ok() == (durability == "written"));
    wakes.Await(durability == "written" ? 2 : 1);
    topics.files.Heal();
    auto later = FaultyTopics::Append(*partition, MakeBatch({"later"}));
    CHECK(FaultyTopics::CodeOfOutcome(later) == ErrorCode::kStorageError);
    CHECK(CodeOf(partition->status()) == ErrorCode::kStorageError);
  }
}

TEST_CASE("Partition: a failed write fences it, and the next start has what was acknowledged") {
  for (const std::string durability : {"written", "durable"}) {
    CAPTURE(durability);
    FaultyTopics topics;
    const auto partition = topics.Create({{"durability", durability}});
    REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"kept"})).get().ok());
    topics.files.SetDecide([](const FileOperation& operation) {
      return operation.kind == Kind::kWrite ? Fault{absl::InternalError("pwritev: EIO"), 20} : Fault{};
    });
    auto failed = FaultyTopics::Append(*partition, MakeBatch({"lost"}));
    CHECK(FaultyTopics::CodeOfOutcome(failed) == ErrorCode::kStorageError);
    topics.files.Heal();
    auto later = FaultyTopics::Append(*partition, MakeBatch({"later"}));
    CHECK(FaultyTopics::CodeOfOutcome(later) == ErrorCode::kStorageError);
    REQUIRE(topics.RestartAfterProcessCrash().ok());
    CHECK(FaultyTopics::Readable(*topics.Find()) == Values{"kept"});
    CHECK(FaultyTopics::Append(*topics.Find(), MakeBatch({"again"})).get()->base_offset == 1);
  }
}

TEST_CASE("Partition, written: a failed sync in the background fences it") {
  FaultyTopics topics;
  const auto partition = topics.Create({{"durability", "written"}});
  REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a"})).get().ok());
  SyncGate& gate = topics.HoldSyncs(absl::InternalError("fdatasync: EIO"));
  partition->StartBackgroundSync();
  gate.Await(1);
  std::promise<void> woken;
  partition->waiters().Add([&woken] { woken.set_value(); });
  gate.Open();
  woken.get_future().wait();
  auto later = FaultyTopics::Append(*partition, MakeBatch({"b"}));
  CHECK(FaultyTopics::CodeOfOutcome(later) == ErrorCode::kStorageError);
  CHECK(FaultyTopics::Readable(*partition) == Values{"a"});
}

TEST_CASE("Partition: when the topic is deleted, what is queued fails at once, and what comes later too") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  SyncGate& gate = topics.HoldSyncs();
  auto syncing = FaultyTopics::Append(*partition, MakeBatch({"a"}));
  gate.Await(1);
  auto queued = FaultyTopics::Append(*partition, MakeBatch({"b"}));
  const WakeCounter wakes(*partition);
  REQUIRE(topics.registry->Delete(topics.registry->Find("t")->id).ok());
  REQUIRE(FaultyTopics::IsReady(queued));
  CHECK(FaultyTopics::CodeOfOutcome(queued) == ErrorCode::kUnknownTopicOrPartition);
  CHECK(wakes.count() >= 1);
  auto later = FaultyTopics::Append(*partition, MakeBatch({"c"}));
  CHECK(FaultyTopics::CodeOfOutcome(later) == ErrorCode::kUnknownTopicOrPartition);
  gate.Open();
  CHECK(FaultyTopics::CodeOfOutcome(syncing) == ErrorCode::kUnknownTopicOrPartition);
  storage::ReadCursor cursor;
  CHECK(CodeOf(partition->Read(cursor, 1).status()) == ErrorCode::kUnknownTopicOrPartition);
  CHECK_FALSE(partition->Trim(0).ok());
  CHECK(*partition->ApplyRetention() == 0);
}

TEST_CASE("Partition: a group in its sync while the topic is deleted leaves nothing of it behind") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  REQUIRE(FaultyTopics::Append(*partition, Sequenced(0)).get().ok());
  SyncGate& gate = topics.HoldSyncs();
  auto syncing = FaultyTopics::Append(*partition, Sequenced(1));
  gate.Await(1);
  topics.clock.Advance(std::chrono::seconds(10));  // a checkpoint is due
  partition->MarkDeleted();
  const std::vector<std::string> before = topics.memory.Files();
  gate.Open();
  CHECK_FALSE(syncing.get().ok());
  CHECK(topics.memory.Files() == before);
}

TEST_CASE("Partition: no append waits for the disk while old segments are deleted, of its topic or another") {
  const std::string last = GENERATE("start_offset.new", ".log");  // what is waited for: a sync, an unlink
  const bool by_retention = GENERATE(true, false);
  CAPTURE(last, by_retention);
  OperationGate gate([&](const FileOperation& operation) {
    const Kind kind = last == ".log" ? Kind::kRemove : Kind::kSync;
    return operation.kind == kind && operation.path.ends_with(last);
  });
  FaultyTopics topics;
  const auto other = topics.Create({}, "other");
  const auto partition = topics.Create({{"segment.bytes", "65536"}, {"retention.bytes", "65536"}});
  for (int i = 0; i < 5; ++i) {
    REQUIRE(FaultyTopics::Append(*partition, MakeBatch({std::string(60'000, 'x')})).get().ok());
  }
  topics.files.SetDecide([&](const FileOperation& operation) { return gate.Decide(operation); });
  auto trim = std::async(std::launch::async, [&] {
    return by_retention ? partition->ApplyRetention().status() : partition->Trim(3);
  });
  gate.Await();
  const auto mine = FaultyTopics::Append(*partition, MakeBatch({"mine"}));
  const auto others = FaultyTopics::Append(*other, MakeBatch({"others"}));
  CHECK(FaultyTopics::IsReady(mine, kSoon));
  CHECK(FaultyTopics::IsReady(others, kSoon));
  gate.Open();
  CHECK(trim.get().ok());
  CHECK(partition->offsets().start >= 3);
  REQUIRE(topics.RestartAfterPowerLoss(1).ok());
  CHECK(topics.Find()->offsets().start >= 3);
  CHECK(FaultyTopics::Readable(*topics.Find()).back() == "mine");
}

TEST_CASE("Partition: an append to a deleted topic is refused while its segments are unlinked") {
  OperationGate gate([](const FileOperation& operation) {
    return operation.kind == Kind::kRemove && operation.path.ends_with(".log");
  });
  FaultyTopics topics;
  const auto partition = topics.Create({});
  REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a"})).get().ok());
  topics.files.SetDecide([&](const FileOperation& operation) { return gate.Decide(operation); });
  auto deleted =
      std::async(std::launch::async, [&] { return topics.registry->Delete(topics.registry->Find("t")->id); });
  gate.Await();
  auto refused = std::async(std::launch::async, [&] {
    auto outcome = FaultyTopics::Append(*partition, MakeBatch({"late"}));
    return FaultyTopics::CodeOfOutcome(outcome);
  });
  CHECK(refused.wait_for(kSoon) == std::future_status::ready);
  gate.Open();
  CHECK(refused.get() == ErrorCode::kUnknownTopicOrPartition);
  CHECK(deleted.get().ok());
}

TEST_CASE("Partition: a reader whose topic is deleted under it is told so, and the operator nothing") {
  bool deleted = false;
  FaultyTopics topics;
  const auto partition = topics.Create({});
  REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a"})).get().ok());
  for (int i = 0; i < 20; ++i) {  // until nothing keeps the first one's file open
    const auto other = topics.Create({}, "other-" + std::to_string(i));
    REQUIRE(FaultyTopics::Append(*other, MakeBatch({"b"})).get().ok());
  }
  const std::vector<std::string> before = topics.lines();
  const TopicId id = topics.registry->Find("t")->id;
  topics.files.SetDecide([&](const FileOperation& operation) {
    const bool opens = operation.kind == Kind::kLook && operation.path.ends_with(".log");
    if (opens && !std::exchange(deleted, true)) CHECK(topics.registry->Delete(id).ok());
    return Fault{};
  });
  storage::ReadCursor cursor;
  CHECK(CodeOf(partition->Read(cursor, 100).status()) == ErrorCode::kUnknownTopicOrPartition);
  CHECK(deleted);
  // A reader of the log itself, which a stream may still be.
  CHECK(CodeOf(partition->log().Read(cursor, 100).status()) == ErrorCode::kUnknownTopicOrPartition);
  CHECK(topics.lines() == before);
}

TEST_CASE("Partition: slices of a deleted topic keep their bytes") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a"})).get().ok());
  storage::ReadCursor cursor;
  const auto slice = partition->Read(cursor, 1 << 20);
  REQUIRE(slice.ok());
  REQUIRE(topics.registry->Delete(topics.registry->Find("t")->id).ok());
  std::vector<std::byte> bytes(slice->length);
  REQUIRE(slice->file->ReadAt(slice->position, bytes).ok());
  CHECK(testing::ValuesOf(bytes) == Values{"a"});
}

TEST_CASE("Partition: while the broker stops, appends are refused and may be retried elsewhere") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  topics.stopping.store(true);
  auto refused = FaultyTopics::Append(*partition, MakeBatch({"a"}));
  const auto result = refused.get();
  CHECK(CodeOf(result.status()) == ErrorCode::kShuttingDown);
  CHECK(IsRetriable(CodeOf(result.status())));
}
