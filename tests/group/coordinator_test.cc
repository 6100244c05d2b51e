// What the coordinator adds to its groups: types, limits, threads, the end.
#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "broker/group/coordinator.h"
#include "tests/support/fake_clock.h"

namespace headrace::group {
namespace {

std::vector<TopicInfo> OneTopic() {
  return {{TopicId{}, "t", 4}};
}

JoinRequest JoinOf(const std::string& group) {
  JoinRequest request;
  request.group_id = group;
  request.protocol_type = "consumer";
  request.protocols = {{"range", ""}};
  return request;
}

ConsumerHeartbeatRequest FirstBeat(const std::string& group) {
  ConsumerHeartbeatRequest request;
  request.group_id = group;
  request.member_id = "m";
  request.rebalance_timeout = Milliseconds(60'000);
  request.topic_names = {{"t"}};
  request.owned = Partitions{};
  return request;
}

ErrorCode JoinError(Coordinator& coordinator, const std::string& group) {
  ErrorCode error = ErrorCode::kNone;
  coordinator.Join(JoinOf(group), [&](const JoinOutcome& outcome) { error = outcome.error; });
  return error;
}

}  // namespace

TEST_CASE("Coordinator: an empty group may be taken over by the other protocol, one with members may not") {
  testing::FakeClock clock;
  Settings settings;
  settings.initial_rebalance_delay = Milliseconds(0);
  Coordinator coordinator(settings, clock, OneTopic);
  CHECK(coordinator.ConsumerHeartbeat(FirstBeat("g")).assignment->size() == 4);
  CHECK(JoinError(coordinator, "g") == ErrorCode::kInconsistentGroupProtocol);
  CHECK(coordinator.Describe("g")->type == GroupType::kConsumer);
  CHECK(coordinator.RemoveMembers("g"));
  CHECK(JoinError(coordinator, "g") == ErrorCode::kNone);
  CHECK(coordinator.Describe("g")->type == GroupType::kClassic);
  CHECK(coordinator.ConsumerHeartbeat(FirstBeat("g")).error == ErrorCode::kGroupIdNotFound);
}

TEST_CASE("Coordinator: no more groups than the limit, but empty ones make room") {
  testing::FakeClock clock;
  Settings settings;
  settings.initial_rebalance_delay = Milliseconds(0);
  settings.groups_max = 1;
  Coordinator coordinator(settings, clock, OneTopic);
  CHECK(JoinError(coordinator, "g") == ErrorCode::kNone);
  CHECK(JoinError(coordinator, "h") == ErrorCode::kGroupMaxSizeReached);
  const auto refused = coordinator.ConsumerHeartbeat(FirstBeat("c"));
  CHECK(refused.error == ErrorCode::kGroupMaxSizeReached);
  CHECK_THAT(refused.message, Catch::Contains("there are 1 groups"));
  coordinator.RemoveMembers("g");
  CHECK(JoinError(coordinator, "h") == ErrorCode::kNone);
}

TEST_CASE("Coordinator: joins that are not finished keep nobody out, and wait for 45 s at most") {
  testing::FakeClock clock;
  Settings settings;
  settings.groups_max = 2;
  Coordinator coordinator(settings, clock, OneTopic);
  std::string id;
  const auto join = [&](JoinRequest request) {
    ErrorCode error = ErrorCode::kNone;
    request.member_id_required = true;
    request.session_timeout = std::chrono::minutes(30);
    coordinator.Join(request, [&](const JoinOutcome& outcome) {
      error = outcome.error;
      id = outcome.member_id;
    });
    return error;
  };
  JoinRequest unfinished = JoinOf("g");
  CHECK(join(unfinished) == ErrorCode::kMemberIdRequired);
  unfinished.member_id = id;
  CHECK(join(JoinOf("h")) == ErrorCode::kMemberIdRequired);
  SECTION("another group takes the room of both") {
    CHECK(coordinator.ConsumerHeartbeat(FirstBeat("c")).error == ErrorCode::kNone);
    CHECK(coordinator.List().size() == 1);
    CHECK(join(unfinished) == ErrorCode::kUnknownMemberId);
  }
  SECTION("time passes") {
    clock.Advance(std::chrono::seconds(45));
    coordinator.Tick();
    CHECK(coordinator.List().empty());
  }
}

TEST_CASE("Coordinator: no more members of a group than the limit, in either protocol") {
  testing::FakeClock clock;
  Settings settings;
  settings.initial_rebalance_delay = Milliseconds(0);
  settings.members_max = 1;
  Coordinator coordinator(settings, clock, OneTopic);
  CHECK(JoinError(coordinator, "g") == ErrorCode::kNone);
  CHECK(JoinError(coordinator, "g") == ErrorCode::kGroupMaxSizeReached);
  coordinator.RemoveMembers("g");
  CHECK(JoinError(coordinator, "g") == ErrorCode::kNone);
  CHECK(coordinator.ConsumerHeartbeat(FirstBeat("c")).error == ErrorCode::kNone);
  ConsumerHeartbeatRequest second = FirstBeat("c");
  second.member_id = "n";
  const auto refused = coordinator.ConsumerHeartbeat(second);
  CHECK(refused.error == ErrorCode::kGroupMaxSizeReached);
  CHECK_THAT(refused.message, Catch::Contains("group c has 1 members"));
  second.member_epoch = kLeaveEpoch;
  second.member_id = "m";
  CHECK(coordinator.ConsumerHeartbeat(second).error == ErrorCode::kNone);
  second = FirstBeat("c");
  second.member_id = "n";
  CHECK(coordinator.ConsumerHeartbeat(second).error == ErrorCode::kNone);
}

TEST_CASE("Coordinator: members have a limit in bytes, over all groups and both protocols") {
  testing::FakeClock clock;
  Settings settings;
  settings.initial_rebalance_delay = Milliseconds(0);
  settings.members_memory_max = 10'000;
  Coordinator coordinator(settings, clock, OneTopic);
  JoinOutcome joined;
  const auto join = [&](const std::string& group, std::size_t metadata_size) {
    JoinRequest request = JoinOf(group);
    request.protocols[0].metadata = std::string(metadata_size, 'm');
    coordinator.Join(request, [&](const JoinOutcome& outcome) { joined = outcome; });
    return joined.error;
  };
  CHECK(join("g", 5'000) == ErrorCode::kNone);
  JoinRequest again = JoinOf("g");
  again.member_id = joined.member_id;
  again.protocols[0].metadata = std::string(5'000, 'm');
  CHECK(join("h", 5'000) == ErrorCode::kGroupMaxSizeReached);
  coordinator.Join(again, [&](const JoinOutcome& outcome) { joined = outcome; });
  CHECK(joined.error == ErrorCode::kNone);  // it holds no more than before
  CHECK(join("h", 1'000) == ErrorCode::kNone);
  const auto refused = coordinator.ConsumerHeartbeat([] {
    ConsumerHeartbeatRequest request = FirstBeat("c");
    request.topic_names = {{std::string(3'000, 't')}};
    return request;
  }());
  CHECK(refused.error == ErrorCode::kGroupMaxSizeReached);
  CHECK_THAT(refused.message, Catch::Contains("the limit is 10000"));
  SyncOutcome synced;
  SyncRequest sync;
  sync.group_id = "h";
  sync.member_id = joined.member_id;
  sync.generation = joined.generation;
  sync.assignments = {{joined.member_id, std::string(5'000, 'a')}};
  coordinator.Sync(sync, [&](const SyncOutcome& outcome) { synced = outcome; });
  CHECK(synced.error == ErrorCode::kGroupMaxSizeReached);
  // Who goes makes room, for any group.
  coordinator.RemoveMembers("g");
  coordinator.Sync(sync, [&](const SyncOutcome& outcome) { synced = outcome; });
  CHECK(synced.error == ErrorCode::kNone);
  CHECK(coordinator.ConsumerHeartbeat(FirstBeat("c")).error == ErrorCode::kNone);
  CHECK(join("g", 5'000) == ErrorCode::kGroupMaxSizeReached);
}

TEST_CASE("Coordinator: ids have at most 255 bytes, also those made of a longer name of a client") {
  testing::FakeClock clock;
  Settings settings;
  settings.initial_rebalance_delay = Milliseconds(0);
  Coordinator coordinator(settings, clock, OneTopic);
  JoinOutcome joined;
  const auto join = [&](const JoinRequest& request) {
    coordinator.Join(request, [&](const JoinOutcome& outcome) { joined = outcome; });
    return joined.error;
  };
  JoinRequest request = JoinOf("g");
  request.instance_id = std::string(256, 'i');
  CHECK(join(request) == ErrorCode::kInvalidRequest);
  request = JoinOf("g");
  request.member_id = std::string(256, 'm');
  CHECK(join(request) == ErrorCode::kInvalidRequest);
  request = JoinOf("g");
  request.client.id = std::string(221, 'c') + "\u00e9";  // one character, of which one byte has room
  CHECK(join(request) == ErrorCode::kNone);
  CHECK(joined.member_id.size() == 221 + 33);
  ConsumerHeartbeatRequest beat = FirstBeat("h");
  beat.instance_id = std::string(256, 'i');
  const auto refused = coordinator.ConsumerHeartbeat(beat);
  CHECK(refused.error == ErrorCode::kInvalidRequest);
  CHECK_THAT(refused.message, Catch::Contains("256 bytes; the limit is 255"));
}

TEST_CASE("Coordinator: a member it does not know is sent to join again, and meanwhile sees positions") {
  testing::FakeClock clock;
  Coordinator coordinator(Settings(), clock, OneTopic);
  const CommitCheck check{"g", "m", std::nullopt, 3};  // as after a restart of the broker
  CHECK(coordinator.Commit(check, [] { FAIL("it may not"); }) == ErrorCode::kUnknownMemberId);
  CHECK(coordinator.CheckFetch(check) == ErrorCode::kNone);
  CHECK(coordinator.Commit({"g", "", std::nullopt, -1}, [] {}) == ErrorCode::kNone);  // is no member
  ConsumerHeartbeatRequest other = FirstBeat("g");
  other.member_id = "n";
  CHECK(coordinator.ConsumerHeartbeat(other).error == ErrorCode::kNone);
  CHECK(coordinator.CheckFetch(check) == ErrorCode::kUnknownMemberId);
}

TEST_CASE("Coordinator: a list of topics that comes late does not replace a newer one") {
  testing::FakeClock clock;
  std::atomic<int> asked = 0;
  std::promise<void> old_asked;
  std::promise<void> new_asked;
  Coordinator coordinator(Settings(), clock, [&]() -> std::vector<TopicInfo> {
    if (++asked == 1) {
      old_asked.set_value();
      new_asked.get_future().wait_for(std::chrono::milliseconds(100));
      return {};
    }
    if (asked == 2) new_asked.set_value();
    return OneTopic();
  });
  std::thread slow([&] { coordinator.Tick(); });
  old_asked.get_future().wait();
  CHECK(coordinator.ConsumerHeartbeat(FirstBeat("g")).error == ErrorCode::kNone);
  slow.join();
  coordinator.Tick();
  CHECK(coordinator.Describe("g")->members.at(0).subscribed.size() == 1);
}

TEST_CASE("Coordinator: who waits when it stops is told so") {
  testing::FakeClock clock;
  Coordinator coordinator(Settings(), clock, OneTopic);
  ErrorCode error = ErrorCode::kNone;
  coordinator.Join(JoinOf("g"), [&](const JoinOutcome& outcome) { error = outcome.error; });
  CHECK(error == ErrorCode::kNone);
  coordinator.Stop();
  CHECK(error == ErrorCode::kCoordinatorNotAvailable);
  CHECK(coordinator.Heartbeat({"g", 1, "m", std::nullopt}) == ErrorCode::kCoordinatorNotAvailable);
}

TEST_CASE("Coordinator: many threads at once, each join answered once") {
  storage::SystemClock clock;
  Settings settings;
  settings.initial_rebalance_delay = Milliseconds(0);
  Coordinator coordinator(settings, clock, OneTopic);
  coordinator.Start();
  std::atomic<int> asked = 0;
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int step = 0; step < 200; ++step) {
        const std::string group = "g" + std::to_string(step % 3);
        ++asked;
        coordinator.Join(JoinOf(group), [&, group](const JoinOutcome& outcome) {
          ++answered;
          coordinator.Leave({group, {{outcome.member_id, std::nullopt}}});  // a callback may call back
        });
        ConsumerHeartbeatRequest beat = FirstBeat("c");
        beat.member_id = std::to_string(i);
        coordinator.ConsumerHeartbeat(beat);
        coordinator.List();
        if (step % 50 == 0) coordinator.RemoveMembers(group);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  coordinator.Stop();
  CHECK(answered == asked);
}

}  // namespace headrace::group
