// The classic protocol, spoken to the coordinator under a fake clock.
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <random>

#include "broker/group/coordinator.h"
#include "tests/support/fake_clock.h"

namespace headrace::group {
namespace {

using std::chrono::seconds;

struct Answered {
  int joins = 0;
  int syncs = 0;
  JoinOutcome join;
  SyncOutcome sync;
};

class Broker {
 public:
  explicit Broker(Milliseconds delay = Milliseconds(0))
      : coordinator_(
            Make(delay), clock_, [] { return std::vector<TopicInfo>{}; },
            [this](const std::string& client) { return client + "#" + std::to_string(++ids_); }) {}

  JoinRequest Request(const std::string& client, const std::string& member = "") {
    JoinRequest request;
    request.group_id = "g";
    request.member_id = member;
    request.client = {client, "host"};
    request.protocol_type = "consumer";
    request.protocols = {{"range", "of " + client}};
    request.session_timeout = seconds(10);
    request.rebalance_timeout = seconds(60);
    return request;
  }
  std::shared_ptr<Answered> Join(const JoinRequest& request) {
    auto answered = std::make_shared<Answered>();
    coordinator_.Join(request, [answered](const JoinOutcome& outcome) {
      ++answered->joins;
      answered->join = outcome;
    });
    return answered;
  }
  std::shared_ptr<Answered> Sync(const JoinOutcome& joined, bool leads = false) {
    SyncRequest request;
    request.group_id = "g";
    request.generation = joined.generation;
    request.member_id = joined.member_id;
    if (leads) {
      for (const auto& each : joined.members)
        request.assignments.emplace_back(each.member_id, "for " + each.member_id);
    }
    auto answered = std::make_shared<Answered>();
    coordinator_.Sync(request, [answered](const SyncOutcome& outcome) {
      ++answered->syncs;
      answered->sync = outcome;
    });
    return answered;
  }
  ErrorCode Beat(const JoinOutcome& joined) {
    return coordinator_.Heartbeat({"g", joined.generation, joined.member_id, std::nullopt});
  }
  ErrorCode Commit(const JoinOutcome& joined) {
    return coordinator_.Commit({"g", joined.member_id, std::nullopt, joined.generation}, [] {});
  }
  void Pass(Milliseconds time) {
    clock_.Advance(time);
    coordinator_.Tick();
  }
  GroupState State() { return coordinator_.Describe("g")->state; }
  Coordinator& coordinator() { return coordinator_; }

 private:
  static Settings Make(Milliseconds delay) {
    Settings settings;
    settings.initial_rebalance_delay = delay;
    return settings;
  }
  testing::FakeClock clock_;
  int ids_ = 0;
  Coordinator coordinator_;
};

// A subscription to one topic with a name of two bytes, and what a client writes behind the topics.
std::string SubscriptionTo(const std::string& topic, const std::string& bookkeeping) {
  return std::string("\0\1\0\0\0\1\0\2", 8) + topic + bookkeeping;
}

}  // namespace

TEST_CASE("Classic: a dynamic member is first told its id") {
  Broker broker;
  JoinRequest request = broker.Request("a");
  request.member_id_required = true;
  const auto first = broker.Join(request);
  CHECK(first->join.error == ErrorCode::kMemberIdRequired);
  request.member_id = first->join.member_id;
  const auto second = broker.Join(request);
  CHECK(second->join.error == ErrorCode::kNone);
  CHECK(second->join.generation == 1);
  CHECK(second->join.leader == first->join.member_id);
}

TEST_CASE("Classic: two join, the leader assigns, both are told") {
  Broker broker;
  auto a = broker.Join(broker.Request("a"));
  REQUIRE(a->joins == 1);
  CHECK(broker.Sync(a->join, true)->sync.assignment == "for a#1");
  CHECK(broker.State() == GroupState::kStable);
  auto b = broker.Join(broker.Request("b"));
  CHECK(b->joins == 0);
  CHECK(broker.Beat(a->join) == ErrorCode::kRebalanceInProgress);
  a = broker.Join(broker.Request("a", "a#1"));
  REQUIRE(a->joins == 1);
  REQUIRE(b->joins == 1);
  CHECK(a->join.members.size() == 2);
  CHECK(b->join.members.empty());
  CHECK(broker.Commit(b->join) == ErrorCode::kRebalanceInProgress);
  const auto follower = broker.Sync(b->join);
  CHECK(follower->syncs == 0);
  broker.Sync(a->join, true);
  CHECK(follower->sync.assignment == "for b#2");
  CHECK(broker.Commit(b->join) == ErrorCode::kNone);
  JoinOutcome old = b->join;
  old.generation = 1;
  CHECK(broker.Beat(old) == ErrorCode::kIllegalGeneration);
}

TEST_CASE("Classic: the first rebalance waits for more members, but not for ever") {
  Broker broker(seconds(3));
  const auto a = broker.Join(broker.Request("a"));
  broker.Pass(seconds(2));
  const auto b = broker.Join(broker.Request("b"));
  broker.Pass(seconds(1));
  CHECK(a->joins == 0);  // b came: once more
  broker.Pass(seconds(3));
  CHECK(a->joins == 1);
  CHECK(b->joins == 1);
}

TEST_CASE("Classic: who does not rejoin in the rebalance time, or is silent for a session, is gone") {
  Broker broker;
  const auto a = broker.Join(broker.Request("a"));
  broker.Sync(a->join, true);
  const auto b = broker.Join(broker.Request("b"));
  broker.Pass(seconds(10));  // a's session
  REQUIRE(b->joins == 1);
  CHECK(b->join.leader == b->join.member_id);
  CHECK(broker.Beat(a->join) == ErrorCode::kUnknownMemberId);
  broker.Pass(seconds(60));  // b never syncs
  CHECK(broker.State() == GroupState::kEmpty);
}

TEST_CASE("Classic: a static member comes back without a rebalance, and its former self is fenced") {
  Broker broker;
  JoinRequest request = broker.Request("a");
  request.instance_id = "one";
  request.skip_assignment_supported = true;
  const auto a = broker.Join(request);
  broker.Sync(a->join, true);
  const auto again = broker.Join(request);
  REQUIRE(again->joins == 1);
  CHECK(again->join.generation == a->join.generation);
  CHECK(again->join.member_id != a->join.member_id);
  CHECK(again->join.skip_assignment);
  CHECK(broker.State() == GroupState::kStable);
  CHECK(broker.coordinator().Heartbeat({"g", 1, a->join.member_id, "one"}) == ErrorCode::kFencedInstanceId);
  CHECK(broker.Sync(again->join)->sync.assignment == "for " + a->join.member_id);
}

TEST_CASE("Classic: a static member's own bookkeeping may differ when it is back, but not its topics") {
  Broker broker;
  JoinRequest request = broker.Request("a");
  request.instance_id = "one";
  request.protocols = {{"range", SubscriptionTo("t1", "generation -1")}};
  const auto a = broker.Join(request);
  broker.Sync(a->join, true);
  request.protocols = {{"range", SubscriptionTo("t1", "generation 1")}, {"sticky", ""}};
  const auto again = broker.Join(request);
  REQUIRE(again->joins == 1);
  CHECK(again->join.error == ErrorCode::kNone);
  CHECK(again->join.generation == a->join.generation);
  CHECK(broker.State() == GroupState::kStable);
  CHECK(broker.coordinator().Describe("g")->members.at(0).metadata == request.protocols[0].metadata);
  CHECK(broker.Sync(again->join)->sync.assignment == "for " + a->join.member_id);
  SECTION("other topics") {
    request.protocols = {{"range", SubscriptionTo("t2", "generation 1")}};
  }
  SECTION("another protocol is chosen") {
    request.protocols = {{"sticky", SubscriptionTo("t1", "generation 1")}};
  }
  CHECK(broker.Join(request)->join.generation == a->join.generation + 1);
}

TEST_CASE("Classic: each of many that leave is told its own, and who may go goes") {
  Broker broker;
  const auto a = broker.Join(broker.Request("a"));
  JoinRequest request = broker.Request("b");
  request.instance_id = "one";
  const auto b = broker.Join(request);
  broker.Join(broker.Request("a", a->join.member_id));
  const LeaveOutcome left = broker.coordinator().Leave({"g",
                                                        {{a->join.member_id, std::nullopt},
                                                         {"nobody", std::nullopt},
                                                         {a->join.member_id, std::nullopt},
                                                         {"former", "one"},
                                                         {"", "two"}}});
  CHECK(left.error == ErrorCode::kNone);
  CHECK(left.members == std::vector<ErrorCode>{ErrorCode::kNone, ErrorCode::kUnknownMemberId,
                                               ErrorCode::kUnknownMemberId, ErrorCode::kFencedInstanceId,
                                               ErrorCode::kUnknownMemberId});
  const auto described = broker.coordinator().Describe("g");
  REQUIRE(described->members.size() == 1);
  CHECK(described->members[0].instance_id == "one");
  CHECK(broker.coordinator().Leave({"g", {{"", "one"}}}).members.at(0) == ErrorCode::kNone);
  CHECK(broker.State() == GroupState::kEmpty);
}

TEST_CASE("Classic: refusals") {
  Broker broker;
  const auto a = broker.Join(broker.Request("a"));
  JoinRequest request = broker.Request("b");
  SECTION("another protocol") {
    request.protocols = {{"sticky", ""}};
    CHECK(broker.Join(request)->join.error == ErrorCode::kInconsistentGroupProtocol);
  }
  SECTION("another type") {
    request.protocol_type = "connect";
    CHECK(broker.Join(request)->join.error == ErrorCode::kInconsistentGroupProtocol);
  }
  SECTION("too short a session") {
    request.session_timeout = Milliseconds(5'999);
    CHECK(broker.Join(request)->join.error == ErrorCode::kInvalidSessionTimeout);
  }
  SECTION("an id that was never given") {
    request.member_id = "made up";
    CHECK(broker.Join(request)->join.error == ErrorCode::kUnknownMemberId);
  }
  SECTION("no group id, or too long a one") {
    request.group_id = GENERATE(std::string(), std::string(kGroupIdSizeMax + 1, 'g'));
    CHECK(broker.Join(request)->join.error == ErrorCode::kInvalidGroupId);
  }
  SECTION("the consumer protocol, while members are there") {
    ConsumerHeartbeatRequest heartbeat;
    heartbeat.group_id = "g";
    CHECK(broker.coordinator().ConsumerHeartbeat(heartbeat).error == ErrorCode::kGroupIdNotFound);
  }
  CHECK(broker.coordinator().Delete("g") == ErrorCode::kNonEmptyGroup);
  CHECK(broker.coordinator().Delete("h") == ErrorCode::kGroupIdNotFound);
}

TEST_CASE("Classic: once its members are removed, nobody commits under a former id") {
  Broker broker;
  const auto a = broker.Join(broker.Request("a"));
  broker.Sync(a->join, true);
  CHECK(broker.Commit(a->join) == ErrorCode::kNone);
  CHECK(broker.coordinator().RemoveMembers("g"));
  CHECK(broker.Commit(a->join) == ErrorCode::kUnknownMemberId);
  CHECK(broker.Beat(a->join) == ErrorCode::kUnknownMemberId);
  CHECK(broker.coordinator().Commit({"g", "", std::nullopt, -1}, [] {}) == ErrorCode::kNone);
}

TEST_CASE("Classic: every join and sync is answered exactly once, whatever happens") {
  const unsigned seed = GENERATE(1u, 2u, 3u, 4u, 5u);
  CAPTURE(seed);
  std::mt19937 random(seed);
  Broker broker(seconds(seed % 2 == 0 ? 3 : 0));
  std::vector<std::shared_ptr<Answered>> joins;
  std::vector<std::shared_ptr<Answered>> syncs;
  for (int step = 0; step < 2000; ++step) {
    const std::string client(1, static_cast<char>('a' + random() % 5));
    const auto known = joins.empty() ? JoinOutcome{} : joins[random() % joins.size()]->join;
    const auto what = random() % 6;
    JoinRequest request = broker.Request(client, what == 1 ? known.member_id : "");
    if (client >= "d") request.instance_id = client;
    if (what <= 1) joins.push_back(broker.Join(request));
    if (what == 2) syncs.push_back(broker.Sync(known, known.leader == known.member_id));
    if (what == 3) broker.Beat(known);
    if (what == 4 && random() % 3 == 0) {
      const bool by_instance = request.instance_id && random() % 2 == 0;
      broker.coordinator().Leave({"g", {{by_instance ? "" : known.member_id, request.instance_id}}});
    }
    if (what == 5) broker.Pass(Milliseconds(random() % 4000));
  }
  for (int i = 0; i < 10; ++i) broker.Pass(seconds(301));
  int wrong = 0;
  for (const auto& each : joins) wrong += each->joins != 1;
  for (const auto& each : syncs) wrong += each->syncs != 1;
  CHECK(wrong == 0);
  CHECK(broker.coordinator().List().size() <= 1);
}

}  // namespace headrace::group
