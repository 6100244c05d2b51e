// The consumer protocol, spoken to the pure state machine.
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "broker/group/consumer_group.h"

namespace headrace::group {
namespace {

using std::chrono::seconds;

TopicId Id(std::uint8_t number) {
  TopicId id;
  id.bytes[15] = number;
  return id;
}

TopicTablePtr ListOf(const std::vector<TopicInfo>& topics) {
  return std::make_shared<const TopicTable>(topics);
}

// A member as a client library keeps it: it owns what it was told, and says so with the next heartbeat.
struct Consumer {
  std::string id;
  std::int32_t epoch = 0;
  Partitions owned;
  std::optional<std::string> instance = std::nullopt;
};

struct Group {
  Settings settings;
  std::size_t memory = 0;
  ConsumerGroup group{"g", settings, memory};
  TopicTablePtr topics = ListOf({{Id(1), "t", 4}});
  Time now{};

  ConsumerHeartbeatRequest Request(const Consumer& client) {
    ConsumerHeartbeatRequest request;
    request.member_id = client.id;
    request.member_epoch = client.epoch;
    request.instance_id = client.instance;
    request.owned = client.owned;
    if (client.epoch == 0) {
      request.owned = Partitions{};
      request.topic_names = {{"t"}};
      request.rebalance_timeout = seconds(60);
    }
    return request;
  }
  ErrorCode Beat(Consumer& client) { return Take(client, group.Heartbeat(Request(client), topics, now)); }
  static ErrorCode Take(Consumer& client, const ConsumerHeartbeatOutcome& outcome) {
    if (outcome.error != ErrorCode::kNone) return outcome.error;
    client.epoch = outcome.member_epoch;
    if (outcome.assignment) client.owned = *outcome.assignment;
    return ErrorCode::kNone;
  }
};

}  // namespace

TEST_CASE("Consumer: a partition passes on only after its former owner gave it up") {
  Group g;
  Consumer a{"a", 0, {}};
  Consumer b{"b", 0, {}};
  CHECK(g.Beat(a) == ErrorCode::kNone);
  CHECK(a.owned.size() == 4);
  CHECK(g.Beat(b) == ErrorCode::kNone);
  CHECK(b.owned.empty());
  const Partitions before = a.owned;
  CHECK(g.Beat(a) == ErrorCode::kNone);  // told to give up two
  CHECK(a.owned.size() == 2);
  CHECK(a.epoch == 1);
  CHECK(g.Beat(b) == ErrorCode::kNone);
  CHECK(b.owned.empty());
  CHECK(g.Beat(a) == ErrorCode::kNone);  // confirmed
  CHECK(a.epoch == 2);
  CHECK(g.Beat(b) == ErrorCode::kNone);
  CHECK(b.owned.size() == 2);
  CHECK(g.group.state() == GroupState::kStable);
}

TEST_CASE("Consumer: who does not give up in its rebalance time is removed") {
  Group g;
  Consumer a{"a", 0, {}};
  Consumer b{"b", 0, {}};
  g.Beat(a);
  g.Beat(b);
  const Consumer stubborn = a;
  g.Beat(a);
  g.now += seconds(40);
  Consumer still = stubborn;
  still.epoch = a.epoch;
  CHECK(g.Beat(still) == ErrorCode::kNone);  // alive, but it keeps everything
  CHECK(g.Beat(b) == ErrorCode::kNone);
  g.now += seconds(20);
  g.group.Expire(g.now);
  CHECK(g.Beat(still) == ErrorCode::kUnknownMemberId);
  CHECK(g.Beat(b) == ErrorCode::kNone);
  CHECK(b.owned.size() == 4);
}

TEST_CASE("Consumer: epochs, sessions, leaving") {
  Group g;
  Consumer a{"a", 0, {}};
  g.Beat(a);
  Consumer wrong = a;
  wrong.epoch = 7;
  CHECK(g.Beat(wrong) == ErrorCode::kFencedMemberEpoch);
  CHECK(g.group.CheckCommit({"g", "a", std::nullopt, a.epoch}, g.now) == ErrorCode::kNone);
  CHECK(g.group.CheckCommit({"g", "a", std::nullopt, 7}, g.now) == ErrorCode::kStaleMemberEpoch);
  SECTION("leaves") {
    a.epoch = kLeaveEpoch;
    CHECK(g.Beat(a) == ErrorCode::kNone);
    CHECK(g.group.empty());
  }
  SECTION("falls silent") {
    g.group.Expire(g.now + seconds(45));
    CHECK(g.Beat(a) == ErrorCode::kUnknownMemberId);
  }
  SECTION("is removed") {
    g.group.RemoveMembers();
    CHECK(g.group.CheckCommit({"g", "a", std::nullopt, a.epoch}, g.now) == ErrorCode::kUnknownMemberId);
  }
}

TEST_CASE("Consumer: a static member that left for a while gets back what it had") {
  Group g;
  Consumer a{"a", 0, {}};
  ConsumerHeartbeatRequest request = g.Request(a);
  request.instance_id = "one";
  g.Take(a, g.group.Heartbeat(request, g.topics, g.now));
  request.member_id = "b";
  CHECK(g.group.Heartbeat(request, g.topics, g.now).error == ErrorCode::kUnreleasedInstanceId);
  ConsumerHeartbeatRequest leave = request;
  leave.member_id = "a";
  leave.member_epoch = kStaticLeaveEpoch;
  CHECK(g.group.Heartbeat(leave, g.topics, g.now).error == ErrorCode::kNone);
  const auto back = g.group.Heartbeat(request, g.topics, g.now);
  CHECK(back.error == ErrorCode::kNone);
  CHECK(back.member_epoch == a.epoch);
  CHECK(back.assignment == a.owned);
  CHECK(g.group.Heartbeat(leave, g.topics, g.now).error == ErrorCode::kFencedInstanceId);
}

TEST_CASE("Consumer: topics that come, grow and go; names and regexes") {
  Group g;
  Consumer a{"a", 0, {}};
  ConsumerHeartbeatRequest request = g.Request(a);
  request.topic_names.reset();
  request.topic_regex = "t.*";
  g.Take(a, g.group.Heartbeat(request, g.topics, g.now));
  CHECK(a.owned.size() == 4);
  g.topics = ListOf({{Id(1), "t", 6}, {Id(2), "tt", 1}, {Id(3), "other", 1}});
  g.Beat(a);
  CHECK(a.owned.size() == 7);
  g.topics = ListOf({{Id(2), "tt", 1}});
  g.Beat(a);
  CHECK(a.owned.size() == 1);
  request.topic_regex = "(";
  CHECK(g.group.Heartbeat(request, g.topics, g.now).error == ErrorCode::kInvalidRegularExpression);
  request.topic_regex = "t";
  request.assignor = "best";
  CHECK(g.group.Heartbeat(request, g.topics, g.now).error == ErrorCode::kUnsupportedAssignor);
}

// Six clients, two of them static, that join, beat, leave, leave for a while, and die.
class Crowd {
 public:
  explicit Crowd(unsigned seed) : random_(seed) {}

  void Step() {
    const std::string name(1, static_cast<char>('a' + random_() % 6));
    const auto what = random_() % 20;
    if (what == 0) {
      Leave(name);
    } else if (what == 1) {
      g.topics = ListOf({{Id(1), "t", static_cast<std::int32_t>(random_() % 20)}});
    } else if (what == 2 && random_() % 4 == 0) {
      clients.erase(name);  // nobody tells the group
    } else {
      Beat(name);
    }
    Pass(Milliseconds(random_() % 300));
  }
  // Nothing happens any more, for longer than a session of those who died.
  void Rest() {
    for (int i = 0; i < 20; ++i) {
      for (auto& [name, client] : clients) BeatOnce(client);
      Pass(g.settings.consumer_heartbeat_interval);
    }
  }

  Group g;
  std::map<std::string, Consumer> clients;
  int doubled = 0;  // partitions that two clients held at a time

 private:
  void Pass(Milliseconds time) {
    g.now += time;
    g.group.Expire(g.now);
  }
  void Beat(const std::string& name) {
    if (!clients.contains(name)) {
      Consumer& fresh = clients[name];
      fresh.id = name + std::to_string(++incarnations_);
      if (name >= "e") fresh.instance = name;
    }
    BeatOnce(clients[name]);
  }
  void BeatOnce(Consumer& client) {
    if (g.Beat(client) != ErrorCode::kNone) client = {client.id, 0, {}, client.instance};
    std::set<TopicPartition> seen;
    for (const auto& [name, each] : clients) {
      for (const TopicPartition& partition : each.owned) doubled += seen.insert(partition).second ? 0 : 1;
    }
  }
  void Leave(const std::string& name) {
    const auto leaving = clients.find(name);
    if (leaving == clients.end()) return;
    Consumer& client = leaving->second;
    client.epoch = client.instance && random_() % 2 == 0 ? kStaticLeaveEpoch : kLeaveEpoch;
    g.Beat(client);
    clients.erase(leaving);
  }

  std::mt19937 random_;
  int incarnations_ = 0;
};

TEST_CASE("Consumer: no partition has two owners, and all converge when it is quiet") {
  const unsigned seed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u);
  CAPTURE(seed);
  Crowd crowd(seed);
  for (int i = 0; i < 3000; ++i) crowd.Step();
  crowd.Rest();
  CHECK(crowd.doubled == 0);
  CHECK(crowd.g.group.state() == (crowd.clients.empty() ? GroupState::kEmpty : GroupState::kStable));
  std::size_t total = 0;
  for (const auto& [name, client] : crowd.clients) total += client.owned.size();
  CHECK(total == static_cast<std::size_t>(crowd.clients.empty() ? 0 : crowd.g.topics->partitions.at(Id(1))));
}

}  // namespace headrace::group
