// `headrace group` against the real broker, with groups of both protocols: what it shows, and what a seek
// does to members that commit.
#include <atomic>
#include <set>
#include <thread>

#include <catch2/catch.hpp>

#include "headrace/admin.h"
#include "headrace/consumer.h"
#include "headrace/producer.h"
#include "tests/support/broker_process.h"
#include "tests/support/kafka_client.h"
#include "tests/support/temp_dir.h"

using namespace headrace;
using headrace::testing::BrokerProcess;
using headrace::testing::KafkaClient;
using headrace::testing::ProgramResult;
using headrace::testing::RunProgram;
using headrace::testing::TempDir;
using headrace::testing::WaitUntil;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

void Fill(const ClientOptions& client, int count) {
  auto admin = Admin::Connect(client);
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("orders"));
  auto producer = Producer::Connect(client, "orders");
  REQUIRE(producer);
  for (int i = 0; i < count; ++i) REQUIRE(producer->Send("", std::to_string(i)));
  REQUIRE(producer->Close());
}

ProgramResult Group(const BrokerProcess& broker, const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {HEADRACE_PROGRAM, "--broker", broker.address(), "group"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return RunProgram(command);
}

// A member of a classic group, with the one partition of "orders"; static if it has an instance id.
class ClassicMember {
 public:
  ClassicMember(std::uint16_t port, std::optional<std::string> instance_id)
      : kafka_(port), instance_id_(std::move(instance_id)) {
    kafka::JoinGroupRequest join;
    join.group_id = "billing";
    join.session_timeout_ms = 30'000;
    join.rebalance_timeout_ms = 30'000;
    join.instance_id = instance_id_;
    join.protocol_type = "consumer";
    join.protocols = {{"range", {std::string("\0\0\0\0\0\1\0\6orders\xff\xff\xff\xff", 18)}}};
    auto joined = kafka_.Call<kafka::JoinGroupResponse>(kafka::ApiKey::kJoinGroup, 5, join);
    REQUIRE(joined);
    if (joined->error == ErrorCode::kMemberIdRequired) {
      join.member_id = joined->member_id;
      joined = kafka_.Call<kafka::JoinGroupResponse>(kafka::ApiKey::kJoinGroup, 5, join);
      REQUIRE(joined);
    }
    REQUIRE(joined->error == ErrorCode::kNone);
    member_id_ = joined->member_id;
    generation_ = joined->generation_id;
    kafka::SyncGroupRequest sync;
    sync.group_id = "billing";
    sync.generation_id = generation_;
    sync.member_id = member_id_;
    sync.instance_id = instance_id_;
    sync.assignments = {
        {member_id_, {std::string("\0\0\0\0\0\1\0\6orders\0\0\0\1\0\0\0\0\xff\xff\xff\xff", 26)}}};
    const auto synced = kafka_.Call<kafka::SyncGroupResponse>(kafka::ApiKey::kSyncGroup, 3, sync);
    REQUIRE(synced);
    REQUIRE(synced->error == ErrorCode::kNone);
  }

  ErrorCode Commit(Offset offset) {
    kafka::OffsetCommitRequest commit;
    commit.group_id = "billing";
    commit.generation_or_epoch = generation_;
    commit.member_id = member_id_;
    commit.instance_id = instance_id_;
    commit.topics = {{"orders", {}, {{0, offset, -1, {}}}}};
    const auto answer = kafka_.Call<kafka::OffsetCommitResponse>(kafka::ApiKey::kOffsetCommit, 7, commit);
    REQUIRE(answer);
    return answer->topics.at(0).partitions.at(0).error;
  }
  ErrorCode Heartbeat() {
    const kafka::HeartbeatRequest beat{"billing", generation_, member_id_, instance_id_};
    const auto answer = kafka_.Call<kafka::HeartbeatResponse>(kafka::ApiKey::kHeartbeat, 3, beat);
    REQUIRE(answer);
    return answer->error;
  }
  const std::string& id() const { return member_id_; }

 private:
  KafkaClient kafka_;
  std::optional<std::string> instance_id_;
  std::string member_id_;
  std::int32_t generation_ = -1;
};

std::int64_t Committed(const ClientOptions& client) {
  auto admin = Admin::Connect(client);
  REQUIRE(admin);
  const auto fetched = admin->FetchOffsets("billing", "orders");
  REQUIRE(fetched);
  return fetched->empty() ? -1 : fetched->front().offset;
}

}  // namespace

TEST_CASE("group describe: members, assignment, and the lag in messages and in time") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Fill(ClientOptions(broker.address()), 10);
  ClassicMember member(broker.port(), "till-1");
  CHECK(member.Commit(4) == ErrorCode::kNone);

  auto admin = Admin::Connect(ClientOptions(broker.address()));
  REQUIRE(admin);
  const auto info = admin->DescribeGroup("billing");
  REQUIRE(info);
  CHECK(info->summary.type == "classic");
  CHECK(info->summary.state == "Stable");
  CHECK(info->assignor == "range");
  REQUIRE(info->members.size() == 1);
  CHECK(info->members[0].member_id == member.id());
  CHECK(info->members[0].instance_id == "till-1");
  REQUIRE(info->members[0].assignment.size() == 1);
  CHECK(info->members[0].assignment[0].topic == "orders");
  REQUIRE(info->positions.size() == 1);
  CHECK(info->positions[0].offset == 4);
  CHECK(info->positions[0].high_watermark == 10);
  CHECK(info->positions[0].lag == 6);
  CHECK(info->positions[0].member_id == member.id());
  // The fifth message gets older while nobody commits it.
  const std::int64_t age = info->positions[0].lag_ms;
  CHECK(age < 60'000);
  CHECK(WaitUntil([&] { return admin->DescribeGroup("billing")->positions[0].lag_ms > age; }));

  const ProgramResult list = Group(broker, {"list"});
  CHECK(list.exit_code == 0);
  CHECK_THAT(list.output, Catch::Matches("(.|\\n)*billing +classic +Stable +1\\n"));
  const ProgramResult shown = Group(broker, {"describe", "billing"});
  CHECK(shown.exit_code == 0);
  CHECK_THAT(shown.output, Catch::Matches("(.|\\n)*orders +0 +4 +0 +10 +6 (.|\\n)*"));
  const ProgramResult json = Group(broker, {"describe", "billing", "--json"});
  CHECK_THAT(json.output, Catch::Contains("\"lag\":6") && Catch::Contains("\"lag_seconds\":"));
}

TEST_CASE("group delete: a group with members stays, one without goes with its positions") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client(broker.address());
  Fill(client, 10);
  {
    ClassicMember member(broker.port(), std::nullopt);
    CHECK(member.Commit(4) == ErrorCode::kNone);
    const ProgramResult refused = Group(broker, {"delete", "billing"});
    CHECK(refused.exit_code == 1);
    CHECK_THAT(refused.output, Catch::Contains("has members"));
    CHECK(Group(broker, {"seek", "billing", "--to", "7"}).exit_code == 0);  // and nobody joins again
  }
  CHECK(Committed(client) == 7);
  CHECK(Group(broker, {"delete", "billing"}).exit_code == 0);
  CHECK(Committed(client) == -1);
  const ProgramResult gone = Group(broker, {"describe", "billing"});
  CHECK(gone.exit_code == 1);
  CHECK_THAT(gone.output, Catch::Contains("there is no group billing"));
  CHECK(Group(broker, {"seek", "billing", "--undo"}).exit_code == 1);
}

TEST_CASE("group seek: a classic member, dynamic or static, is removed and commits no more under its id") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client(broker.address());
  Fill(client, 10);
  const bool is_static = GENERATE(false, true);
  const auto instance = is_static ? std::optional<std::string>("till-1") : std::nullopt;
  ClassicMember member(broker.port(), instance);
  CHECK(member.Commit(9) == ErrorCode::kNone);
  CHECK(Group(broker, {"seek", "billing", "--to", "earliest", "--dry-run"}).exit_code == 0);
  CHECK(member.Heartbeat() == ErrorCode::kNone);
  CHECK(Committed(client) == 9);

  const ProgramResult sought = Group(broker, {"seek", "billing", "--to", "earliest"});
  CHECK(sought.exit_code == 0);
  CHECK_THAT(sought.output, Catch::Matches("(.|\\n)*orders +0 +9 +0 *\\n(.|\\n)*"));
  CHECK(member.Heartbeat() == ErrorCode::kUnknownMemberId);
  CHECK(member.Commit(10) == ErrorCode::kUnknownMemberId);
  CHECK(Committed(client) == 0);
  ClassicMember again(broker.port(), instance);
  CHECK(again.Commit(1) == ErrorCode::kNone);

  CHECK(Group(broker, {"seek", "billing", "--undo"}).exit_code == 0);
  CHECK(Committed(client) == 9);
  CHECK(again.Commit(2) == ErrorCode::kUnknownMemberId);
}

// A member that reads and commits by itself all the time.
TEST_CASE("group seek: a native member under auto-commit begins again where it was sent") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client(broker.address());
  constexpr int kRecords = 500;
  Fill(client, kRecords);
  ConsumerOptions options;
  options.group = "billing";
  options.commit_interval = milliseconds(5);
  auto consumer = Consumer::Connect(client, "orders", options);
  REQUIRE(consumer);
  std::atomic<bool> stop{false};
  std::atomic<int> from_beginning{0};  // how often record 0 was read
  std::thread reader([&] {
    while (!stop.load()) {
      const auto records = consumer->Poll(milliseconds(5));
      if (!records) continue;
      for (const Record& record : *records) from_beginning += record.offset == 0;
    }
  });
  CHECK(WaitUntil([&] { return Committed(client) == kRecords; }, seconds(60)));
  CHECK(Group(broker, {"seek", "billing", "--to", "earliest"}).exit_code == 0);
  CHECK(WaitUntil([&] { return from_beginning.load() == 2; }, seconds(60)));
  CHECK(WaitUntil([&] { return Committed(client) == kRecords; }, seconds(60)));
  CHECK(Group(broker, {"seek", "billing", "--undo"}).exit_code == 0);
  stop.store(true);
  reader.join();
}

TEST_CASE("group seek: where a group was before is known after kill -9") {
  const TempDir data;
  const std::vector<std::string> arguments = {"--data", data.path(), "--ready-json", "--set", "port=0"};
  std::optional<BrokerProcess> broker(std::in_place, arguments);
  REQUIRE(broker->ready());
  Fill(ClientOptions(broker->address()), 10);
  {
    ClassicMember member(broker->port(), std::nullopt);
    CHECK(member.Commit(6) == ErrorCode::kNone);
  }
  CHECK(Group(*broker, {"seek", "billing", "--to", "2"}).exit_code == 0);
  broker->Kill();
  broker.emplace(arguments);
  REQUIRE(broker->ready());
  CHECK(Committed(ClientOptions(broker->address())) == 2);
  CHECK(Group(*broker, {"seek", "billing", "--undo"}).exit_code == 0);
  CHECK(Committed(ClientOptions(broker->address())) == 6);
}

TEST_CASE("Kafka's OffsetDelete: a topic that members read keeps its positions, named or matched") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Fill(ClientOptions(broker.address()), 1);
  auto admin = Admin::Connect(ClientOptions(broker.address()));
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("invoices"));
  KafkaClient kafka(broker.port());
  kafka::ConsumerGroupHeartbeatRequest beat;
  beat.group_id = "billing";
  beat.member_id = "me";
  beat.rebalance_timeout_ms = 10'000;
  beat.owned.emplace();
  if (GENERATE(false, true)) {
    beat.subscribed_regex = "ord.*";
  } else {
    beat.subscribed_names = {"orders"};
  }
  const auto joined =
      kafka.Call<kafka::ConsumerGroupHeartbeatResponse>(kafka::ApiKey::kConsumerGroupHeartbeat, 1, beat);
  REQUIRE(joined);
  REQUIRE(joined->error == ErrorCode::kNone);
  kafka::OffsetCommitRequest commit;
  commit.group_id = beat.group_id;
  commit.member_id = beat.member_id;
  commit.generation_or_epoch = joined->member_epoch;
  commit.topics = {{"orders", {}, {{0, 1, -1, {}}}}, {"invoices", {}, {{0, 0, -1, {}}}}};
  REQUIRE(kafka.Call<kafka::OffsetCommitResponse>(kafka::ApiKey::kOffsetCommit, 9, commit));

  kafka::OffsetDeleteRequest remove;
  remove.group_id = beat.group_id;
  remove.topics = {{"orders", {}, {{0}}}, {"invoices", {}, {{0}}}};
  const auto removed = kafka.Call<kafka::OffsetDeleteResponse>(kafka::ApiKey::kOffsetDelete, 0, remove);
  REQUIRE(removed);
  REQUIRE(removed->topics.size() == 2);
  CHECK(removed->topics[0].partitions.at(0).error == ErrorCode::kGroupSubscribedToTopic);
  CHECK(removed->topics[1].partitions.at(0).error == ErrorCode::kNone);
  CHECK(Committed(ClientOptions(broker.address())) == 1);
}

TEST_CASE("group: what is wrong is said") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Fill(ClientOptions(broker.address()), 1);
  CHECK(Group(broker, {"seek", "billing"}).exit_code == 2);
  CHECK(Group(broker, {"seek", "billing", "--to", "earliest", "--undo"}).exit_code == 2);
  CHECK(Group(broker, {"seek", "billing", "--to", "yesterday"}).exit_code == 2);
  CHECK(Group(broker, {"seek", "billing", "--to", "0", "--partition", "0"}).exit_code == 2);
  const ProgramResult unknown = Group(broker, {"seek", "billing", "--to", "0", "--topic", "order"});
  CHECK(unknown.exit_code == 1);
  CHECK_THAT(unknown.output, Catch::Contains("orders"));
  const ProgramResult partition =
      Group(broker, {"seek", "billing", "--to", "0", "--topic", "orders", "--partition", "3"});
  CHECK(partition.exit_code == 1);
  CHECK_THAT(partition.output, Catch::Contains("no partition 3"));
  CHECK(Group(broker, {"seek", "billing", "--to", "0", "--topic", "orders"}).exit_code == 0);
  const ProgramResult near = Group(broker, {"describe", "biling"});
  CHECK(near.exit_code == 1);
  CHECK_THAT(near.output, Catch::Contains("did you mean billing?"));
}
