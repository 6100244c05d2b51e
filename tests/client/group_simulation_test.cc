// Members and the real coordinator on a made-up network: what holds whatever is lost, late, or removed.
#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>

#include "broker/group/coordinator.h"
#include "client/group_member.h"
#include "protocol/core/error_code.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_groups.h"

namespace headrace {
namespace {

using std::chrono::milliseconds;
using Kind = GroupEvent::Kind;

constexpr std::uint32_t kPartitions = 5;

Error Refusal(ErrorCode code) {
  return {static_cast<int>(code), std::string(NameOf(code)), IsRetriable(code)};
}

// The broker: the coordinator, and the positions committed. Records are without end.
struct Broker {
  Broker() { Restart(); }

  void Restart() {
    group::Settings settings;
    coordinator = std::make_unique<group::Coordinator>(
        settings, clock, [] { return std::vector<group::TopicInfo>{test::OrdersOf(kPartitions)}; });
  }

  Result<native::CommitOffsetResponse> Commit(const native::CommitOffsetRequest& request) {
    const ErrorCode refused = test::PutCommitCheck(*coordinator, request);
    if (refused != ErrorCode::kNone) return Refusal(refused);
    native::CommitOffsetResponse response;
    for (const auto& entry : request.partitions()) {
      std::int64_t& kept = committed[entry.partition()];
      if (entry.offset() < kept) went_back = true;
      if (entry.offset() > handed_out[entry.partition()]) ran_ahead = true;
      kept = entry.offset();
      response.add_errors();
    }
    return response;
  }

  testing::FakeClock clock;
  std::unique_ptr<group::Coordinator> coordinator;
  std::map<std::uint32_t, std::int64_t> committed;
  std::map<std::uint32_t, std::int64_t> handed_out;  // all records below this were, to somebody
  bool went_back = false;                            // a position that was behind the one before
  bool ran_ahead = false;                            // a position behind records nobody was handed
  bool skipped = false;                              // a record was left out
};

// A program with a consumer: its member, its connection, and its caller.
class Node {
 public:
  Node(Broker& broker, std::uint64_t seed) : broker_(broker), random_(seed), member_(Options(), Now()) {}

  // The network: one request leaves, or one answer arrives.
  void Send() {
    std::optional<GroupMember::Request> request = member_.NextRequest(Now());
    if (request) under_way_.push_back(*std::move(request));
  }
  void Deliver(bool lose_answer) {
    if (under_way_.empty()) return;
    const GroupMember::Request request = std::move(under_way_.front());
    under_way_.pop_front();
    std::visit([&](const auto& message) { Put(message, lose_answer); }, request);
  }
  void Disconnect() {
    under_way_.clear();
    member_.OnConnectionLost(Now());
  }

  // The caller: what Consumer does with events.
  void Poll() {
    member_.Touch(Now());
    while (const std::optional<GroupEvent> event = member_.NextEvent(Now())) Apply(*event);
    if (positions_.empty()) return;
    auto at = std::next(positions_.begin(), Draw(static_cast<int>(positions_.size())));
    std::int64_t& known = broker_.handed_out[at->first];
    if (at->second > known) broker_.skipped = true;
    at->second += 1 + Draw(5);
    known = std::max(known, at->second);
  }
  void Commit() { static_cast<void>(member_.Commit(positions_)); }
  void Leave() { member_.Leave(); }

  const Positions& positions() const { return positions_; }
  bool settled() const { return member_.settled(); }
  bool left() const { return member_.left(); }

 private:
  static GroupMemberOptions Options() {
    GroupMemberOptions options;
    options.group = "billing";
    options.topic = "orders";
    options.topic_id = test::kOrdersId;
    options.commit_interval = milliseconds(1'000);
    options.max_poll_interval = milliseconds(60'000);
    return options;
  }

  TimePoint Now() const { return broker_.clock.MonotonicNow(); }
  int Draw(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  void Apply(const GroupEvent& event) {
    if (event.kind == Kind::kCommit) Commit();
    if (event.kind == Kind::kRevoked) {
      Positions last;
      for (const std::uint32_t partition : event.partitions) last[partition] = positions_.at(partition);
      static_cast<void>(member_.Commit(last));
      member_.Release(event.partitions);
    }
    if (event.kind == Kind::kRevoked || event.kind == Kind::kLost) {
      for (const std::uint32_t partition : event.partitions) positions_.erase(partition);
    }
    for (const StartingPoint& point : event.points) positions_[point.partition] = point.offset;
  }

  template <typename Response>
  void Answer(Result<Response> response, bool lost) {
    if (lost) return Disconnect();
    member_.OnAnswer(response, Now());
  }
  void Put(const native::GroupHeartbeatRequest& request, bool lost) {
    const auto answer = test::PutHeartbeat(*broker_.coordinator, request);
    Answer(answer.ok() ? Result<native::GroupHeartbeatResponse>(*answer)
                       : Result<native::GroupHeartbeatResponse>(Refusal(CodeOf(answer.status()))),
           lost);
  }
  void Put(const native::CommitOffsetRequest& request, bool lost) { Answer(broker_.Commit(request), lost); }
  void Put(const native::FetchOffsetRequest& request, bool lost) {
    native::FetchOffsetResponse response;
    for (const auto& entry : request.partitions()) {
      auto& answer = *response.add_partitions();
      answer.set_partition(entry.partition());
      const auto known = broker_.committed.find(entry.partition());
      answer.set_offset(known == broker_.committed.end() ? -1 : known->second);
    }
    Answer(Result<native::FetchOffsetResponse>(response), lost);
  }
  void Put(const native::ListOffsetsRequest& request, bool lost) {
    native::ListOffsetsResponse response;
    for (int i = 0; i < request.partitions_size(); ++i) response.add_partitions()->set_offset(0);
    Answer(Result<native::ListOffsetsResponse>(response), lost);
  }

  Broker& broker_;
  std::mt19937_64 random_;
  GroupMember member_;
  std::deque<GroupMember::Request> under_way_;
  Positions positions_;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : random_(seed) {}

  void Step() {
    if (nodes_.empty() || (nodes_.size() < 4 && Chance(200))) Start();
    Node& node = *nodes_[static_cast<std::size_t>(Draw(static_cast<int>(nodes_.size())))];
    const int what = Draw(100);
    if (what < 35) node.Send();
    if (what >= 35 && what < 65) node.Deliver(Chance(40));
    if (what >= 65 && what < 90) node.Poll();
    if (what >= 90 && what < 95) node.Commit();
    if (what >= 95) Pass(milliseconds(Draw(3'000)));
    Disturb();
  }

  // Nothing is lost any more, and everybody who is there comes to rest.
  bool ComesToRest() {
    for (int i = 0; i < 3'000; ++i) {
      if (i % 10 == 0) Pass(milliseconds(1'000));
      for (const auto& node : nodes_) {
        node->Send();
        node->Deliver(false);
        node->Poll();
      }
    }
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return node->settled(); });
  }

  // How many members read each partition.
  std::map<std::uint32_t, int> Owners() const {
    std::map<std::uint32_t, int> owners;
    for (const auto& node : nodes_) {
      for (const auto& [partition, position] : node->positions()) ++owners[partition];
    }
    return owners;
  }

  Broker broker;

 private:
  int Draw(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
  bool Chance(int one_in) { return Draw(one_in) == 0; }
  void Start() { nodes_.push_back(std::make_unique<Node>(broker, random_())); }
  void Pass(milliseconds time) {
    broker.clock.Advance(time);
    broker.coordinator->Tick();
  }

  void Disturb() {
    const auto at = nodes_.begin() + Draw(static_cast<int>(nodes_.size()));
    if (Chance(1'000)) nodes_.erase(at);  // killed
    if (Chance(500)) Pass(milliseconds(Draw(60'000)));
    if (Chance(500)) broker.coordinator->RemoveMembers("billing");
    if (Chance(1'000)) {
      broker.Restart();
      for (const auto& node : nodes_) node->Disconnect();
    }
    if (!nodes_.empty() && Chance(500)) Leave();
  }

  // In order: the member sends what it still has to.
  void Leave() {
    const std::unique_ptr<Node> node = std::move(nodes_.back());
    nodes_.pop_back();
    node->Commit();
    node->Leave();
    for (int i = 0; i < 20 && !node->left(); ++i) {
      node->Send();
      node->Deliver(false);
    }
    if (!node->left()) stuck = true;
  }

  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Node>> nodes_;

 public:
  bool stuck = false;  // a member did not come to leave
};

TEST_CASE(
    "Group simulation: no record is skipped, no position goes back or runs ahead, and all is shared in the "
    "end") {
  const auto seed = GENERATE(range(1, 41));
  CAPTURE(seed);
  Simulation simulation(static_cast<std::uint64_t>(seed));
  for (int i = 0; i < 20'000; ++i) simulation.Step();
  CHECK_FALSE(simulation.broker.skipped);
  CHECK_FALSE(simulation.broker.ran_ahead);
  CHECK_FALSE(simulation.broker.went_back);
  CHECK_FALSE(simulation.stuck);
  CHECK(simulation.broker.committed.size() == kPartitions);
  REQUIRE(simulation.ComesToRest());
  const std::map<std::uint32_t, int> once = {{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}};
  CHECK(simulation.Owners() == once);
}

}  // namespace
}  // namespace headrace
