// Moving a group: which positions that is, what is kept of the former ones, and who may commit meanwhile.
#include "broker/group/group_seek.h"

#include <catch2/catch.hpp>

#include <future>
#include <thread>

#include "broker/group/group_view.h"
#include "tests/support/test_topics.h"

namespace headrace::group {
namespace {

using headrace::testing::FakeClock;
using headrace::testing::MakeBatch;
using headrace::testing::TestTopics;

// Topics "t" with ten records and "u" with none, and a group "g".
class Fixture {
 public:
  Fixture() : store(*topics.registry, topics.clock), groups(Settings(), topics.clock, Infos()) {
    const auto partition = topics.Create({});
    topics.Create({}, "u");
    for (int i = 0; i < 10; ++i) {
      REQUIRE(TestTopics::Produce(*partition, MakeBatch({"v"})).ok());
    }
    REQUIRE(store.Load().ok());
    t = {topics.registry->Find("t")->id, 0};
    u = {topics.registry->Find("u")->id, 0};
  }

  void Commit(const TopicPartition& partition, Offset offset) {
    std::promise<absl::Status> done;
    store.Commit("g", {{partition, offset, kNoLeaderEpoch, ""}}, Into(done));
    REQUIRE(done.get_future().get().ok());
  }
  absl::StatusOr<std::vector<SeekMove>> Plan(SeekTarget target, std::int64_t value = 0,
                                             std::vector<std::string> names = {}) {
    SeekRequest request;
    request.group_id = "g";
    request.target = target;
    request.value = value;
    request.topics = std::move(names);
    request.decompressed_size_max = 1 << 20;
    return PlanSeek(groups, store, *topics.registry, request);
  }
  absl::StatusOr<SeekOutcome> Move(std::vector<SeekMove> moves) {
    std::promise<absl::StatusOr<SeekOutcome>> done;
    Seek(groups, store, "g", std::move(moves),
         [&](const absl::StatusOr<SeekOutcome>& outcome) { done.set_value(outcome); });
    return done.get_future().get();
  }
  absl::StatusOr<SeekOutcome> Move(SeekTarget target, std::int64_t value = 0) {
    const auto plan = Plan(target, value);
    REQUIRE(plan.ok());
    return Move(*plan);
  }
  Offset At(const TopicPartition& partition) const {
    const auto found = store.Find("g", partition);
    return found ? found->offset : -1;
  }
  // A member of the consumer protocol, reading "t", or what a regex matches.
  ConsumerHeartbeatOutcome Beat(std::int32_t epoch, std::optional<std::string> regex = std::nullopt) {
    ConsumerHeartbeatRequest request;
    request.group_id = "g";
    request.member_id = "m";
    request.member_epoch = epoch;
    if (epoch == kJoinEpoch) {
      request.rebalance_timeout = Milliseconds(60'000);
      if (!regex) request.topic_names = {{"t"}};
      request.topic_regex = std::move(regex);
      request.owned = Partitions{};
    }
    return groups.ConsumerHeartbeat(request);
  }

  static OffsetStore::Done Into(std::promise<absl::Status>& done) {
    return [&done](const absl::Status& status) { done.set_value(status); };
  }

  TestTopics topics;
  OffsetStore store;
  Coordinator groups;
  TopicPartition t;
  TopicPartition u;

 private:
  Coordinator::TopicSource Infos() {
    return [this] {
      std::vector<TopicInfo> infos;
      for (const topic::TopicPtr& each : topics.registry->All()) infos.push_back({each->id, each->name, 1});
      return infos;
    };
  }
};

}  // namespace

TEST_CASE("Seek: earliest, latest, an offset, a time: each within what the partition has") {
  Fixture f;
  f.Commit(f.t, 4);
  CHECK(f.Plan(SeekTarget::kEarliest)->at(0).offset == 0);
  CHECK(f.Plan(SeekTarget::kEarliest)->at(0).previous == 4);
  CHECK(f.Plan(SeekTarget::kLatest)->at(0).offset == 10);
  CHECK(f.Plan(SeekTarget::kOffset, 7)->at(0).offset == 7);
  CHECK(f.Plan(SeekTarget::kOffset, 700)->at(0).offset == 10);
  CHECK(f.Plan(SeekTarget::kTimestamp, 0)->at(0).offset == 0);
  CHECK(f.Plan(SeekTarget::kTimestamp, std::numeric_limits<std::int64_t>::max())->at(0).offset == 10);
  CHECK(f.At(f.t) == 4);  // all this only plans
}

TEST_CASE("Seek: without topics it is all that the group has committed or reads, else what is named") {
  Fixture f;
  CHECK(CodeOf(f.Plan(SeekTarget::kEarliest).status()) == ErrorCode::kGroupIdNotFound);
  CHECK(CodeOf(f.Plan(SeekTarget::kEarliest, 0, {"nothing"}).status()) ==
        ErrorCode::kUnknownTopicOrPartition);
  CHECK(f.Plan(SeekTarget::kLatest, 0, {"u"})->size() == 1);
  f.Commit(f.u, 0);
  CHECK(f.Plan(SeekTarget::kLatest)->size() == 1);
  CHECK(f.Beat(kJoinEpoch).error == ErrorCode::kNone);
  CHECK(f.Plan(SeekTarget::kLatest)->size() == 2);
}

TEST_CASE("Seek: a member that reads by regex reads all that matches, but nothing of the broker's own") {
  Fixture f;
  CHECK(f.Beat(kJoinEpoch, ".*").error == ErrorCode::kNone);
  const auto plan = f.Plan(SeekTarget::kLatest);
  REQUIRE(plan.ok());
  REQUIRE(plan->size() == 2);
  CHECK(plan->at(0).partition == f.t);
  CHECK(plan->at(1).partition == f.u);
}

TEST_CASE("Seek: undo goes back, also to nowhere; once more goes forth again") {
  Fixture f;
  CHECK(CodeOf(f.Plan(SeekTarget::kUndo).status()) == ErrorCode::kGroupIdNotFound);
  f.Commit(f.t, 4);
  std::vector<SeekMove> both = *f.Plan(SeekTarget::kLatest, 0, {"t", "u"});
  REQUIRE(both.size() == 2);
  REQUIRE(f.Move(both).ok());
  CHECK(f.At(f.t) == 10);
  CHECK(f.At(f.u) == 0);
  REQUIRE(f.Move(SeekTarget::kUndo).ok());
  CHECK(f.At(f.t) == 4);
  CHECK(f.At(f.u) == -1);
  REQUIRE(f.Move(SeekTarget::kUndo).ok());
  CHECK(f.At(f.t) == 10);
  CHECK(f.At(f.u) == 0);
}

TEST_CASE("Seek: a group of which only the way back is kept is a group: listed, and deleted as a whole") {
  Fixture f;
  REQUIRE(f.Move(*f.Plan(SeekTarget::kLatest, 0, {"t"})).ok());
  REQUIRE(f.Move(SeekTarget::kUndo).ok());  // to nowhere
  CHECK(f.store.All("g").empty());
  f.groups.Delete("g");
  CHECK(DescribeAny(f.groups, f.store, "g").has_value());
  CHECK(ListAll(f.groups, f.store).size() == 1);
  std::promise<absl::Status> forgotten;
  f.store.Forget("g", Fixture::Into(forgotten));
  REQUIRE(forgotten.get_future().get().ok());
  CHECK_FALSE(f.store.Has("g"));
  CHECK(ListAll(f.groups, f.store).empty());
}

TEST_CASE("Seek: what undo goes back to is there after a restart, and gone with the group") {
  Fixture f;
  f.Commit(f.t, 4);
  REQUIRE(f.Move(SeekTarget::kEarliest).ok());
  OffsetStore again(*f.topics.registry, f.topics.clock);
  REQUIRE(again.Load().ok());
  CHECK(again.All("g") == f.store.All("g"));
  CHECK(again.Former("g").at(f.t).offset == 4);

  std::promise<absl::Status> forgotten;
  f.store.Forget("g", Fixture::Into(forgotten));
  REQUIRE(forgotten.get_future().get().ok());
  OffsetStore empty(*f.topics.registry, f.topics.clock);
  REQUIRE(empty.Load().ok());
  CHECK(empty.All("g").empty());
  CHECK(empty.Former("g").empty());
  CHECK(empty.Groups().empty());
}

TEST_CASE("Seek: a commit that is on its way to the disk is where the group stood") {
  Fixture f;
  f.Commit(f.t, 0);
  for (Offset offset = 1; offset < 10; ++offset) {
    CAPTURE(offset);
    const auto plan = f.Plan(SeekTarget::kLatest);
    REQUIRE(plan.ok());
    std::promise<absl::Status> committed;
    f.store.Commit("g", {{f.t, offset, kNoLeaderEpoch, ""}}, Fixture::Into(committed));
    const auto moved = f.Move(*plan);
    REQUIRE(moved.ok());
    REQUIRE(committed.get_future().get().ok());
    CHECK(moved->moves.at(0).previous == offset);
    CHECK(f.At(f.t) == 10);
    REQUIRE(f.Move(SeekTarget::kUndo).ok());
    CHECK(f.At(f.t) == offset);
  }
}

TEST_CASE("Seek: every member is removed, and none commits under its former id") {
  Fixture f;
  const std::int32_t epoch = f.Beat(kJoinEpoch).member_epoch;
  CHECK(f.groups.Commit({"g", "m", {}, epoch}, [] {}) == ErrorCode::kNone);
  const auto outcome = f.Move(SeekTarget::kOffset, 3);
  REQUIRE(outcome.ok());
  CHECK(outcome->members_removed == 1);
  CHECK(f.Beat(epoch).error == ErrorCode::kUnknownMemberId);
  CHECK(f.groups.Commit({"g", "m", {}, epoch}, [] { FAIL("it may not"); }) != ErrorCode::kNone);
  CHECK(f.At(f.t) == 3);
}

TEST_CASE("Seek: a partition that cannot be moved stays, the others go; two at once are refused") {
  Fixture f;
  f.Commit(f.t, 4);
  std::vector<SeekMove> moves = *f.Plan(SeekTarget::kLatest, 0, {"t", "u"});
  for (SeekMove& move : moves) {
    if (move.partition == f.t) move.status = MakeError(ErrorCode::kStorageError, "no");
  }
  REQUIRE(f.Move(moves).ok());
  CHECK(f.At(f.t) == 4);
  CHECK(f.At(f.u) == 0);

  REQUIRE(f.groups.BeginSeek("g", [] {}));
  CHECK(CodeOf(f.Move(SeekTarget::kLatest).status()) == ErrorCode::kRebalanceInProgress);
  CHECK(f.groups.Commit({"g", "", {}, -1}, [] { FAIL("it may not"); }) ==
        ErrorCode::kCoordinatorLoadInProgress);
  CHECK(f.groups.EndSeek("g", false) == 0);
  CHECK(f.Move(SeekTarget::kLatest).ok());
}

TEST_CASE("Seek: a store that refuses at once moves nothing and removes nobody") {
  Fixture f;
  const std::int32_t epoch = f.Beat(kJoinEpoch).member_epoch;
  const std::vector<SeekMove> moves = *f.Plan(SeekTarget::kLatest);
  f.topics.registry->Find(OffsetStore::kTopicName)->partitions.front()->MarkDeleted();
  CHECK_FALSE(f.Move(moves).ok());
  CHECK(f.Beat(epoch).error == ErrorCode::kNone);
  CHECK(f.groups.Commit({"g", "m", {}, epoch}, [] {}) == ErrorCode::kNone);
}

// Members that commit as fast as they can, on threads of their own, against one seek: whatever was let in
// before is below it in the log, and nothing of theirs is above.
TEST_CASE("Seek: no commit of a former member lands after it") {
  Fixture f;
  for (int round = 0; round < 20; ++round) {
    const std::int32_t epoch = f.Beat(kJoinEpoch).member_epoch;
    std::atomic<bool> refused{false};
    std::atomic<int> landed{0};
    std::thread member([&] {
      while (!refused.load()) {
        const ErrorCode error = f.groups.Commit({"g", "m", {}, epoch}, [&] {
          f.store.Commit("g", {{f.t, 9, kNoLeaderEpoch, ""}}, [&](const absl::Status&) { ++landed; });
        });
        if (error != ErrorCode::kNone && error != ErrorCode::kCoordinatorLoadInProgress) refused.store(true);
      }
    });
    while (landed.load() == 0) std::this_thread::yield();
    REQUIRE(f.Move(SeekTarget::kOffset, 2).ok());
    member.join();
    // Behind everything that was queued before it.
    f.Commit(f.u, round);
    CHECK(f.At(f.t) == 2);
  }
}

}  // namespace headrace::group
