// Where groups stand, and when it is forgotten.
#include "broker/group/offset_store.h"

#include <catch2/catch.hpp>

#include <future>
#include <optional>

#include "tests/support/test_topics.h"

namespace headrace::group {
namespace {

using headrace::testing::TestTopics;

// Topics "t" and "u"; group "both" stands in both, group "one" in "t" alone.
class Fixture {
 public:
  Fixture() : store(*topics.registry, topics.clock) {
    topics.Create({});
    topics.Create({}, "u");
    REQUIRE(store.Load().ok());
    t = {topics.registry->Find("t")->id, 0};
    u = {topics.registry->Find("u")->id, 0};
    Commit("both", {{t, 1, kNoLeaderEpoch, ""}, {u, 2, kNoLeaderEpoch, ""}});
    Commit("one", {{t, 3, kNoLeaderEpoch, ""}});
  }

  void Commit(const std::string& group, std::vector<OffsetCommit> commits) {
    std::promise<absl::Status> done;
    store.Commit(group, std::move(commits), [&](const absl::Status& status) { done.set_value(status); });
    REQUIRE(done.get_future().get().ok());
  }
  // Until what was queued is stored: the flusher keeps the order.
  void AwaitStored() { Commit("later", {{u, 0, kNoLeaderEpoch, ""}}); }

  TestTopics topics;
  OffsetStore store;
  TopicPartition t;
  TopicPartition u;
};

void CheckOnlyOthersAreLeft(const OffsetStore& store, const TopicPartition& u) {
  CHECK(store.All("both").size() == 1);
  CHECK(store.Find("both", u)->offset == 2);
  CHECK(store.Groups() == std::vector<std::string>{"both", "later"});
}

}  // namespace

TEST_CASE("OffsetStore: positions go with their topic, and a group with the last of them") {
  Fixture f;
  f.topics.registry->OnDeleted([&] { f.store.ForgetDeletedTopics(); });
  REQUIRE(f.topics.registry->Delete(f.t.topic).ok());
  f.AwaitStored();
  CheckOnlyOthersAreLeft(f.store, f.u);
  OffsetStore again(*f.topics.registry, f.topics.clock);
  REQUIRE(again.Load().ok());
  CheckOnlyOthersAreLeft(again, f.u);
}

TEST_CASE("OffsetStore: a commit that reaches the disk after its topic was deleted is forgotten, too") {
  Fixture f;
  f.topics.registry->OnDeleted([&] { f.store.ForgetDeletedTopics(); });
  REQUIRE(f.topics.registry->Delete(f.t.topic).ok());
  f.Commit("late", {{f.t, 4, kNoLeaderEpoch, ""}});  // whoever sent it had looked the topic up before
  f.AwaitStored();
  CHECK_FALSE(f.store.Has("late"));
  CheckOnlyOthersAreLeft(f.store, f.u);
}

TEST_CASE("OffsetStore: what its topic is compacted to says the same, also of a seek's way back") {
  Fixture f;
  std::promise<absl::Status> moved;
  f.store.Move("one", {{f.t, 9, kNoLeaderEpoch, ""}},
               [&](const absl::Status& status) { moved.set_value(status); });
  REQUIRE(moved.get_future().get().ok());
  for (Offset offset = 0; offset < 600; ++offset) {  // more than two segments of 1 MiB
    f.Commit("both", {{f.t, offset, kNoLeaderEpoch, std::string(4096, 'm')}});
  }
  const auto partition = f.topics.registry->Find(OffsetStore::kTopicName)->partitions.front();
  const auto compacted = partition->Compact({});
  REQUIRE(compacted.ok());
  CHECK(compacted->segments_before >= 2);
  CHECK(compacted->records_dropped > 400);
  OffsetStore again(*f.topics.registry, f.topics.clock);
  REQUIRE(again.Load().ok());
  CHECK(again.Groups() == f.store.Groups());
  for (const std::string& group : f.store.Groups()) {
    CHECK(again.All(group) == f.store.All(group));
    CHECK(again.Former(group) == f.store.Former(group));
  }
  CHECK(again.Find("both", f.t)->offset == 599);
  CHECK(again.Former("one").at(f.t).offset == 3);
}

TEST_CASE("OffsetStore: a crash after a topic was deleted leaves no position in it") {
  Fixture f;
  f.AwaitStored();
  REQUIRE(f.topics.registry->Delete(f.t.topic).ok());
  CHECK(f.store.Groups().size() == 3);
  OffsetStore again(*f.topics.registry, f.topics.clock);
  REQUIRE(again.Load().ok());
  f.AwaitStored();  // the same log, so also behind what `again` has queued
  CheckOnlyOthersAreLeft(again, f.u);
}

TEST_CASE("OffsetStore: positions have a limit in bytes; what replaces a position or frees one has not") {
  TestTopics topics;
  topics.Create({});
  const TopicId t = topics.registry->Find("t")->id;
  std::optional<OffsetStore> store(std::in_place, *topics.registry, topics.clock, 10'000);
  REQUIRE(store->Load().ok());
  const auto commit = [&](PartitionId partition, std::size_t metadata_size) {
    std::promise<absl::Status> done;
    store->Commit("g", {{{t, partition}, 1, kNoLeaderEpoch, std::string(metadata_size, 'm')}},
                  [&](const absl::Status& status) { done.set_value(status); });
    return done.get_future().get();
  };
  CHECK(commit(0, 4'000).ok());
  CHECK(commit(1, 4'000).ok());
  const absl::Status refused = commit(2, 4'000);
  CHECK(CodeOf(refused) == ErrorCode::kInvalidCommitOffsetSize);
  CHECK_THAT(std::string(refused.message()), Catch::Contains("the limit is 10000"));
  CHECK(store->All("g").size() == 2);
  CHECK(commit(1, 4'000).ok());
  CHECK(commit(1, 3'000).ok());
  CHECK(commit(2, 100).ok());

  store.emplace(*topics.registry, topics.clock, 8'000);  // less than it holds
  REQUIRE(store->Load().ok());
  CHECK(store->All("g").size() == 3);
  CHECK(commit(1, 2'900).ok());
  CHECK_FALSE(commit(3, 1'500).ok());
  std::promise<absl::Status> forgotten;
  store->Forget("g", [&](const absl::Status& status) { forgotten.set_value(status); });
  REQUIRE(forgotten.get_future().get().ok());
  CHECK(commit(0, 4'000).ok());
}

TEST_CASE("OffsetStore: a group's name has 1 to 249 bytes, metadata at most 4096") {
  CHECK(OffsetStore::CheckGroup("g").ok());
  CHECK(OffsetStore::CheckGroup(std::string(249, 'g')).ok());
  CHECK(CodeOf(OffsetStore::CheckGroup("")) == ErrorCode::kInvalidGroupId);
  CHECK(CodeOf(OffsetStore::CheckGroup(std::string(250, 'g'))) == ErrorCode::kInvalidGroupId);
  Fixture f;
  ErrorCode code = ErrorCode::kNone;
  f.store.Commit("g", {{f.t, 0, kNoLeaderEpoch, std::string(4097, 'm')}},
                 [&](const absl::Status& status) { code = CodeOf(status); });
  CHECK(code == ErrorCode::kOffsetMetadataTooLarge);
}

}  // namespace headrace::group
