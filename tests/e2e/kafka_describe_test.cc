// What the real broker tells a Kafka client of itself, in every version that it serves.
#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

#include "tests/support/batches.h"
#include "tests/support/broker_process.h"
#include "tests/support/kafka_client.h"

using namespace headrace;
using namespace headrace::kafka;
using headrace::testing::BrokerProcess;
using headrace::testing::KafkaClient;
using headrace::testing::MakeBatch;

namespace {

TopicId Create(KafkaClient& client, const std::string& name, std::int32_t partitions) {
  CreateTopicsRequest request;
  request.topics.push_back({name, partitions, 1, {}, {}});
  const auto response = client.Call<CreateTopicsResponse>(ApiKey::kCreateTopics, 7, request);
  REQUIRE(response);
  REQUIRE(response->topics.at(0).error == ErrorCode::kNone);
  return response->topics[0].id;
}

void Produce(KafkaClient& client, const std::string& topic, std::vector<std::byte> batch) {
  ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 10'000;
  request.topics.push_back({topic, {}, {{0, Records{batch, 0}}}});
  const auto response = client.Call<ProduceResponse>(ApiKey::kProduce, 9, request);
  REQUIRE(response);
  REQUIRE(response->topics.at(0).partitions.at(0).error == ErrorCode::kNone);
}

// Calls visit(version, answer) for every served version.
template <typename Response, typename Request, typename Visit>
void InEveryVersion(KafkaClient& client, ApiKey key, const Request& request, Visit visit) {
  const Api& api = *FindApi(key);
  for (std::int16_t version = api.version_min; version <= api.version_max; ++version) {
    CAPTURE(version);
    const auto response = client.Call<Response>(key, version, request);
    REQUIRE(response);
    visit(version, *response);
  }
}

}  // namespace

TEST_CASE("Kafka: the cluster is this broker alone, and no controller can be asked") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  InEveryVersion<DescribeClusterResponse>(client, ApiKey::kDescribeCluster, DescribeClusterRequest{},
                                          [&](std::int16_t, const auto& answer) {
                                            CHECK(answer.error == ErrorCode::kNone);
                                            CHECK_FALSE(answer.cluster_id.empty());
                                            REQUIRE(answer.brokers.size() == 1);
                                            CHECK(answer.brokers[0].port == broker.port());
                                            CHECK(answer.brokers[0].node_id == answer.controller_id);
                                          });
  DescribeClusterRequest controllers;
  controllers.endpoint_type = 2;
  const auto refused = client.Call<DescribeClusterResponse>(ApiKey::kDescribeCluster, 1, controllers);
  REQUIRE(refused);
  CHECK(refused->error != ErrorCode::kNone);
}

TEST_CASE("Kafka: the log directory tells what each partition takes, of those asked for") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  Create(client, "events", 2);
  const std::vector<std::byte> batch = MakeBatch({"a", "b"});
  Produce(client, "events", batch);
  DescribeLogDirsRequest request;
  request.topics.emplace().push_back({"events", {}, {0}});
  InEveryVersion<DescribeLogDirsResponse>(
      client, ApiKey::kDescribeLogDirs, request, [&](std::int16_t version, const auto& answer) {
        CHECK(answer.error == ErrorCode::kNone);
        REQUIRE(answer.directories.size() == 1);
        const DescribeLogDirsResponse::Directory& directory = answer.directories[0];
        CHECK((version < 4 || directory.total_bytes > 0));
        REQUIRE(directory.topics.size() == 1);
        REQUIRE(directory.topics[0].partitions.size() == 1);
        CHECK(directory.topics[0].partitions[0].size == static_cast<std::int64_t>(batch.size()));
      });
  const auto all =
      client.Call<DescribeLogDirsResponse>(ApiKey::kDescribeLogDirs, 4, DescribeLogDirsRequest{});
  REQUIRE(all);
  const auto& topics = all->directories.at(0).topics;  // the one that keeps positions is among them
  const auto is_events = [](const auto& topic) { return topic.name == "events"; };
  const auto events = std::find_if(topics.begin(), topics.end(), is_events);
  REQUIRE(events != topics.end());
  CHECK(events->partitions.size() == 2);
}

TEST_CASE("Kafka: topics are described in pages, each of which says where the next begins") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  Create(client, "one", 2);
  const TopicId id = Create(client, "two", 3);
  DescribeTopicPartitionsRequest request;
  request.topics = {{"one"}, {"two"}, {"no such"}};
  request.partitions_max = 3;
  const auto ask = [&] {
    return client.Call<DescribeTopicPartitionsResponse>(ApiKey::kDescribeTopicPartitions, 0, request);
  };
  const auto first = ask();
  REQUIRE(first);
  REQUIRE(first->next_cursor);
  request.cursor = first->next_cursor;
  const auto second = ask();
  REQUIRE(second);
  CHECK_FALSE(second->next_cursor);
  std::map<std::string, std::vector<PartitionId>> seen;
  for (const auto& page : {first, second}) {
    for (const DescribeTopicPartitionsResponse::Topic& topic : page->topics) {
      const bool exists = *topic.name != "no such";
      CHECK((topic.error == ErrorCode::kNone) == exists);
      if (*topic.name == "two") CHECK(topic.id == id);
      for (const auto& partition : topic.partitions) seen[*topic.name].push_back(partition.index);
    }
  }
  CHECK(seen == std::map<std::string, std::vector<PartitionId>>{{"one", {0, 1}}, {"two", {0, 1, 2}}});
}

TEST_CASE("Kafka: a group that the broker assigns is described with its member") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  const TopicId id = Create(client, "events", 2);
  ConsumerGroupHeartbeatRequest beat;
  beat.group_id = "readers";
  beat.member_id = "me";
  beat.rebalance_timeout_ms = 5000;
  beat.subscribed_names.emplace().push_back("events");
  beat.owned.emplace();
  const auto joined = client.Call<ConsumerGroupHeartbeatResponse>(ApiKey::kConsumerGroupHeartbeat, 1, beat);
  REQUIRE(joined);
  REQUIRE(joined->error == ErrorCode::kNone);
  ConsumerGroupDescribeRequest request;
  request.group_ids = {"readers", "no such"};
  InEveryVersion<ConsumerGroupDescribeResponse>(
      client, ApiKey::kConsumerGroupDescribe, request, [&](std::int16_t version, const auto& answer) {
        REQUIRE(answer.groups.size() == 2);
        CHECK(answer.groups[0].error == ErrorCode::kNone);
        CHECK(answer.groups[1].error == ErrorCode::kGroupIdNotFound);
        REQUIRE(answer.groups[0].members.size() == 1);
        const ConsumerGroupDescribeResponse::Member& member = answer.groups[0].members[0];
        CHECK(member.member_id == "me");
        CHECK(member.client_id == "test");
        CHECK(member.subscribed_names == std::vector<std::string>{"events"});
        CHECK(member.member_type == (version == 0 ? -1 : 1));
        REQUIRE(member.target_assignment.topics.size() == 1);
        CHECK(member.target_assignment.topics[0].id == id);
        CHECK(member.target_assignment.topics[0].name == "events");
        CHECK(member.target_assignment.topics[0].partitions == std::vector<PartitionId>{0, 1});
      });
}
