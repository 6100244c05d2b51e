// Consumer groups of the native protocol, against the real broker.
#include <signal.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include <catch2/catch.hpp>

#include "client/connection.h"
#include "headrace/admin.h"
#include "headrace/consumer.h"
#include "headrace/producer.h"
#include "tests/support/broker_process.h"
#include "tests/support/kafka_client.h"
#include "tests/support/temp_dir.h"

using namespace headrace;
using headrace::testing::BrokerProcess;
using headrace::testing::KafkaClient;
using headrace::testing::TempDir;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

using Place = std::pair<std::uint32_t, std::int64_t>;

void CreateOrders(const ClientOptions& client, std::uint32_t partitions) {
  auto admin = Admin::Connect(client);
  REQUIRE(admin);
  CreateTopicOptions options;
  options.partitions = partitions;
  REQUIRE(admin->CreateTopic("orders", options));
}

void Produce(const ClientOptions& client, std::uint32_t partitions, int count) {
  auto producer = Producer::Connect(client, "orders");
  REQUIRE(producer);
  for (int i = 0; i < count; ++i) {
    Message message;
    message.value = "v";
    message.partition = static_cast<std::uint32_t>(i) % partitions;
    REQUIRE(producer->Send(message));
  }
  REQUIRE(producer->Close());
}

std::map<std::uint32_t, std::int64_t> Committed(const ClientOptions& client) {
  auto admin = Admin::Connect(client);
  REQUIRE(admin);
  const auto fetched = admin->FetchOffsets("billing", "orders");
  REQUIRE(fetched);
  std::map<std::uint32_t, std::int64_t> offsets;
  for (const CommittedOffset& entry : *fetched) offsets[entry.partition] = entry.offset;
  return offsets;
}

ConsumerOptions InGroup() {
  ConsumerOptions options;
  options.group = "billing";
  options.commit_interval = milliseconds(50);
  return options;
}

// A member that is polled by a thread of its own until told to end, and then closes.
class RunningMember {
 public:
  explicit RunningMember(const ClientOptions& client) {
    auto consumer = Consumer::Connect(client, "orders", InGroup());
    if (!consumer) FAIL(consumer.error().message);
    consumer_.emplace(std::move(*consumer));
    thread_ = std::thread([this] { Run(); });
  }
  ~RunningMember() { Close(); }

  void Close() {
    stop_.store(true);
    if (thread_.joinable()) thread_.join();
  }
  std::size_t partitions() const { return partitions_.load(); }
  std::set<Place> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  // What the member held in the end, with the position after what it was handed.
  const std::map<std::uint32_t, std::int64_t>& positions() const { return positions_; }

 private:
  void Run() {
    while (!stop_.load()) {
      const Result<Records> records = consumer_->Poll(milliseconds(20));
      partitions_.store(consumer_->positions().size());
      if (!records) continue;  // such as a broker that is gone for a while
      const std::lock_guard lock(mutex_);
      for (const Record& record : *records) seen_.emplace(record.partition, record.offset);
    }
    for (const PartitionPosition& at : consumer_->positions()) positions_[at.partition] = at.position;
    consumer_->Close();
  }

  std::optional<Consumer> consumer_;
  std::atomic<bool> stop_{false};
  std::atomic<std::size_t> partitions_{0};
  mutable std::mutex mutex_;
  std::set<Place> seen_;
  std::map<std::uint32_t, std::int64_t> positions_;
  std::thread thread_;
};

std::size_t Union(std::initializer_list<const RunningMember*> members) {
  std::set<Place> all;
  for (const RunningMember* member : members) all.merge(member->seen());
  return all.size();
}

// Looks again every few milliseconds, so that those waited for have the processors.
template <typename Condition>
bool Eventually(Condition condition, seconds wait = seconds(60)) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

TEST_CASE("Two members share six partitions; one leaves, and the other goes on with all") {
  const TempDir directory;
  const BrokerProcess broker({"--data", directory / "data", "--set", "port=0", "--ready-json"});
  REQUIRE(broker.ready());
  const ClientOptions client(broker.address());
  CreateOrders(client, 6);
  Produce(client, 6, 600);
  RunningMember one(client);
  REQUIRE(Eventually([&] { return one.partitions() == 6 && one.seen().size() == 600; }));
  RunningMember two(client);
  REQUIRE(Eventually([&] { return one.partitions() == 3 && two.partitions() == 3; }));
  Produce(client, 6, 600);
  REQUIRE(Eventually([&] { return Union({&one, &two}) == 1'200; }));
  // Given up in order: what the first had read, the second did not read again.
  CHECK(one.seen().size() + two.seen().size() == 1'200);
  two.Close();
  CHECK(two.positions().size() == 3);
  for (const auto& [partition, position] : two.positions()) CHECK(position == 200);
  REQUIRE(Eventually([&] { return one.partitions() == 6; }));
  Produce(client, 6, 600);
  REQUIRE(Eventually([&] { return Union({&one, &two}) == 1'800; }));
  one.Close();
  const auto committed = Committed(client);
  REQUIRE(committed.size() == 6);
  for (const auto& [partition, offset] : committed) CHECK(offset == 300);
}

TEST_CASE("A broker that was killed has lost its members; they join again and go on at the commit") {
  const TempDir directory;
  const std::string data = directory / "data";
  std::optional<BrokerProcess> broker;
  broker.emplace(std::vector<std::string>{"--data", data, "--set", "port=0", "--ready-json"});
  REQUIRE(broker->ready());
  const std::string port = std::to_string(broker->port());
  const ClientOptions client(broker->address());
  CreateOrders(client, 4);
  Produce(client, 4, 400);
  RunningMember one(client);
  REQUIRE(Eventually([&] { return one.seen().size() == 400; }));
  REQUIRE(Eventually([&] {
    return Committed(client) == std::map<std::uint32_t, std::int64_t>{{0, 100}, {1, 100}, {2, 100}, {3, 100}};
  }));
  broker->Kill();
  broker.emplace(std::vector<std::string>{"--data", data, "--set", "port=" + port, "--ready-json"});
  REQUIRE(broker->ready());
  RunningMember two(client);
  REQUIRE(Eventually([&] { return one.partitions() == 2 && two.partitions() == 2; }));
  Produce(client, 4, 400);
  REQUIRE(Eventually([&] { return Union({&one, &two}) == 800; }));
  // Nothing of what was committed before came again.
  for (const Place& place : two.seen()) CHECK(place.second >= 100);
  one.Close();
  two.Close();
  for (const auto& [partition, offset] : Committed(client)) CHECK(offset == 200);
}

TEST_CASE("Members under load that come and go read everything, and commit nothing they were not handed") {
  const TempDir directory;
  const BrokerProcess broker({"--data", directory / "data", "--set", "port=0", "--ready-json"});
  REQUIRE(broker.ready());
  const ClientOptions client(broker.address());
  CreateOrders(client, 6);
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> produced{0};
  std::thread load([&] {
    auto producer = Producer::Connect(client, "orders");
    while (producer && !stop.load()) {
      Message message;
      message.value = "v";
      message.partition = static_cast<std::uint32_t>(produced.load() % 6);
      if (producer->Send(message)) ++produced;
      if (produced.load() % 200 == 0) static_cast<void>(producer->Flush());
    }
    if (producer) static_cast<void>(producer->Close());
  });
  RunningMember one(client);
  RunningMember two(client);
  const bool shared = Eventually([&] { return one.partitions() == 3 && two.partitions() == 3; });
  RunningMember three(client);
  const bool joined = Eventually([&] { return three.partitions() == 2 && !three.seen().empty(); });
  three.Close();
  const bool left = Eventually([&] { return one.partitions() + two.partitions() == 6; });
  stop.store(true);
  load.join();
  CHECK(shared);
  CHECK(joined);
  CHECK(left);
  CHECK(Eventually([&] { return Union({&one, &two, &three}) == produced.load(); }));
  one.Close();
  two.Close();
  auto positions = one.positions();
  positions.insert(two.positions().begin(), two.positions().end());
  CHECK(positions.size() == 6);
  CHECK(Committed(client) == positions);
}

TEST_CASE(
    "A group has one protocol at a time: classic members keep native ones out, and the other way round") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client(broker.address());
  CreateOrders(client, 2);
  KafkaClient kafka(broker.port());
  kafka::JoinGroupRequest join;
  join.group_id = "billing";
  join.session_timeout_ms = 10'000;
  join.rebalance_timeout_ms = 10'000;
  join.protocol_type = "consumer";
  join.protocols = {{"range", {}}};
  const auto joined = kafka.Call<kafka::JoinGroupResponse>(kafka::ApiKey::kJoinGroup, 3, join);
  REQUIRE(joined);
  REQUIRE(joined->error == ErrorCode::kNone);
  const auto refused = Consumer::Connect(client, "orders", InGroup());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_number::kGroupIdNotFound);
  CHECK_THAT(refused.error().message, Catch::Contains("classic"));
  auto admin = Admin::Connect(client);
  REQUIRE(admin);
  CommittedOffset beginning;
  beginning.topic = "orders";
  beginning.offset = 0;
  const auto foreign = admin->CommitOffsets("billing", {beginning});
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().code == error_number::kUnknownMemberId);
  kafka::LeaveGroupRequest leave;
  leave.group_id = "billing";
  leave.member_id = joined->member_id;
  REQUIRE(kafka.Call<kafka::LeaveGroupResponse>(kafka::ApiKey::kLeaveGroup, 1, leave));
  CHECK(admin->CommitOffsets("billing", {beginning}));
  const auto member = Consumer::Connect(client, "orders", InGroup());
  REQUIRE(member);
  const auto late = kafka.Call<kafka::JoinGroupResponse>(kafka::ApiKey::kJoinGroup, 3, join);
  REQUIRE(late);
  CHECK(late->error == ErrorCode::kInconsistentGroupProtocol);
}

TEST_CASE("A member of Kafka's consumer protocol and a native one share a group") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client(broker.address());
  CreateOrders(client, 2);
  RunningMember one(client);
  REQUIRE(Eventually([&] { return one.partitions() == 2; }));
  KafkaClient kafka(broker.port());
  kafka::ConsumerGroupHeartbeatRequest beat;
  beat.group_id = "billing";
  beat.member_id = "a-kafka-member";
  beat.rebalance_timeout_ms = 10'000;
  beat.subscribed_names = {"orders"};
  beat.owned.emplace();
  const auto heartbeat = [&] {
    const auto answer =
        kafka.Call<kafka::ConsumerGroupHeartbeatResponse>(kafka::ApiKey::kConsumerGroupHeartbeat, 0, beat);
    REQUIRE(answer);
    REQUIRE(answer->error == ErrorCode::kNone);
    beat.member_epoch = answer->member_epoch;
    beat.subscribed_names.reset();
    beat.owned.reset();
    return answer->assignment && !answer->assignment->topics.empty();
  };
  REQUIRE(Eventually(heartbeat));
  CHECK(Eventually([&] { return one.partitions() == 1; }));
}

TEST_CASE("A Kafka consumer whose broker was killed sees its positions, and may not commit before it joins") {
  const TempDir directory;
  const std::vector<std::string> arguments = {"--data", directory / "data", "--set", "port=0",
                                              "--ready-json"};
  std::optional<BrokerProcess> broker(std::in_place, arguments);
  REQUIRE(broker->ready());
  CreateOrders(ClientOptions(broker->address()), 1);
  kafka::ConsumerGroupHeartbeatRequest beat;
  beat.group_id = "billing";
  beat.member_id = "me";
  beat.rebalance_timeout_ms = 10'000;
  beat.subscribed_names = {"orders"};
  beat.owned.emplace();
  kafka::OffsetCommitRequest commit;
  commit.group_id = beat.group_id;
  commit.member_id = beat.member_id;
  commit.topics = {{"orders", {}, {{0, 7, -1, {}}}}};
  const auto committed = [&](KafkaClient& kafka) {
    const auto answer = kafka.Call<kafka::OffsetCommitResponse>(kafka::ApiKey::kOffsetCommit, 9, commit);
    REQUIRE(answer);
    return answer->topics.at(0).partitions.at(0).error;
  };
  {
    KafkaClient kafka(broker->port());
    const auto joined =
        kafka.Call<kafka::ConsumerGroupHeartbeatResponse>(kafka::ApiKey::kConsumerGroupHeartbeat, 0, beat);
    REQUIRE(joined);
    commit.generation_or_epoch = joined->member_epoch;
    REQUIRE(committed(kafka) == ErrorCode::kNone);
  }
  broker->Kill();
  broker.emplace(arguments);
  REQUIRE(broker->ready());
  KafkaClient kafka(broker->port());
  CHECK(committed(kafka) == ErrorCode::kUnknownMemberId);
  kafka::OffsetFetchRequest fetch;
  kafka::OffsetFetchRequest::Group& asked = fetch.groups.emplace_back();
  asked.group_id = beat.group_id;
  asked.member_id = beat.member_id;
  asked.member_epoch = commit.generation_or_epoch;
  asked.topics.emplace().push_back({"orders", {}, {0}});
  const auto fetched = kafka.Call<kafka::OffsetFetchResponse>(kafka::ApiKey::kOffsetFetch, 9, fetch);
  REQUIRE(fetched);
  CHECK(fetched->groups.at(0).error == ErrorCode::kNone);
  CHECK(fetched->groups.at(0).topics.at(0).partitions.at(0).offset == 7);
}

TEST_CASE("The example of a group's member reads what is sent; once it is killed, another goes on") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client(broker.address());
  auto admin = Admin::Connect(client);
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("hello"));
  auto producer = Producer::Connect(client, "hello");
  REQUIRE(producer);
  REQUIRE(producer->Send("", "one"));
  REQUIRE(producer->Flush());
  // The shell tells the example's process id first, and ends with it.
  const std::string command = "'" + std::string(HEADRACE_EXAMPLES "group_consumer") + "' " +
                              broker.address() + " & echo $!; wait 2>/dev/null";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char line[100] = {};
  REQUIRE(std::fgets(line, sizeof line, pipe) != nullptr);
  const pid_t example = std::atoi(line);
  const bool read = std::fgets(line, sizeof line, pipe) != nullptr;
  ::kill(example, SIGKILL);
  ::pclose(pipe);
  REQUIRE(read);
  CHECK(std::string(line) == "0-0: one\n");

  ConsumerOptions options;
  options.group = "readers";
  auto next = Consumer::Connect(client, "hello", options);
  REQUIRE(next);
  REQUIRE(producer->Send("", "two"));
  REQUIRE(producer->Flush());
  // The group waits for the dead member's session to end.
  std::string last;
  const auto read_on = [&] {
    const Result<Records> records = next->Poll(seconds(1));
    REQUIRE(records);
    for (const Record& record : *records) last = record.value.value_or("");
    return last == "two";
  };
  REQUIRE(Eventually(read_on, seconds(90)));
}

TEST_CASE("A heartbeat that cannot be right is answered in words, and costs nothing else") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  CreateOrders(ClientOptions(broker.address()), 1);
  auto connection = Connection::Open(ClientOptions(broker.address()), std::make_shared<BufferPool>(1 << 16),
                                     DeadlineAfter(seconds(10)), nullptr);
  REQUIRE(connection);
  native::GroupHeartbeatRequest good;
  good.set_group("billing");
  good.set_member_id("me");
  good.set_rebalance_timeout_ms(1'000);
  good.mutable_subscription()->add_topics("orders");
  good.mutable_owned();
  const auto error = [&](const native::GroupHeartbeatRequest& request) {
    native::GroupHeartbeatResponse response;
    const auto called =
        Call(**connection, native::FrameType::kGroupHeartbeat, request, response, DeadlineAfter(seconds(10)));
    return called ? Error{0, "", false} : called.error();
  };
  const auto with = [&](auto change) {
    native::GroupHeartbeatRequest request = good;
    change(request);
    return error(request);
  };
  CHECK_THAT(with([](auto& r) { r.mutable_owned()->add_partitions()->set_topic_id("abc"); }).message,
             Catch::Contains("3 bytes"));
  CHECK_THAT(with([](auto& r) { r.set_member_id(std::string(256, 'm')); }).message, Catch::Contains("255"));
  CHECK_THAT(with([](auto& r) { r.set_instance_id(std::string(256, 'i')); }).message, Catch::Contains("255"));
  CHECK_THAT(with([](auto& r) { r.set_assignor("sticky"); }).message, Catch::Contains("uniform"));
  CHECK_THAT(with([](auto& r) { r.mutable_subscription()->set_topic_regex("("); }).message,
             Catch::Contains("regex"));
  CHECK_THAT(with([](auto& r) { r.set_rebalance_timeout_ms(0); }).message,
             Catch::Contains("rebalance timeout"));
  CHECK_THAT(with([](auto& r) { r.clear_owned(); }).message, Catch::Contains("owns no partition"));
  CHECK_THAT(with([](auto& r) { r.set_member_epoch(-3); }).message, Catch::Contains("-2 or more"));
  CHECK(with([](auto& r) { r.set_member_epoch(7); }).code == error_number::kUnknownMemberId);
  CHECK_THAT(with([](auto& r) { r.set_group(""); }).message, Catch::Contains("1 to 249"));
  CHECK(error(good).code == 0);
}

TEST_CASE("A group's name that could never commit is refused with the limit") {
  const BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client(broker.address());
  CreateOrders(client, 1);
  ConsumerOptions options;
  options.group = std::string(250, 'g');
  const auto refused = Consumer::Connect(client, "orders", options);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains("250 bytes") && Catch::Contains("1 to 249"));
}

}  // namespace
