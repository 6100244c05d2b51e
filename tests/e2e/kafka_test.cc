// The Kafka protocol against the real broker, byte by byte: what each request gets for an answer.
#include <signal.h>

#include <random>

#include <catch2/catch.hpp>

#include "tests/support/batches.h"
#include "tests/support/broker_process.h"
#include "tests/support/kafka_client.h"
#include "tests/support/temp_dir.h"

using namespace headrace;
using namespace headrace::kafka;
using headrace::testing::BrokerProcess;
using headrace::testing::KafkaClient;
using headrace::testing::MakeBatch;
using headrace::testing::TempDir;
using headrace::testing::ValuesOf;

namespace {

void Create(KafkaClient& client, const std::string& name, std::int32_t partitions = 1,
            std::vector<CreateTopicsRequest::Config> configs = {}) {
  CreateTopicsRequest request;
  request.topics.push_back({name, partitions, 1, {}, std::move(configs)});
  const auto response = client.Call<CreateTopicsResponse>(ApiKey::kCreateTopics, 7, request);
  REQUIRE(response);
  REQUIRE(response->topics.at(0).error == ErrorCode::kNone);
}

ProduceRequest Producing(const std::string& topic, std::vector<std::byte>& batch, std::int16_t acks = -1) {
  ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 10'000;
  request.topics.push_back({topic, {}, {{0, Records{batch, 0}}}});
  return request;
}

ProduceResponse::Partition Produce(KafkaClient& client, const std::string& topic,
                                   std::vector<std::byte> batch, std::int16_t version = 9) {
  const auto response = client.Call<ProduceResponse>(ApiKey::kProduce, version, Producing(topic, batch));
  REQUIRE(response);
  return response->topics.at(0).partitions.at(0);
}

FetchRequest Fetching(const std::string& topic, Offset offset, std::int32_t wait_ms = 0) {
  FetchRequest request;
  request.wait_max_ms = wait_ms;
  request.size_min = 1;
  FetchRequest::Partition partition;
  partition.fetch_offset = offset;
  partition.size_max = 1 << 20;
  request.topics.push_back({topic, {}, {partition}});
  return request;
}

MetadataRequest AskingFor(const std::string& topic) {
  MetadataRequest request;
  request.topics.emplace().push_back({{}, topic});
  return request;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("Kafka: what is appended is not refused for a time-out of 0, nor for one that came with acks=1") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  Create(client, "events");
  for (const std::int16_t acks : {std::int16_t{1}, std::int16_t{-1}}) {
    for (int i = 0; i < 20; ++i) {  // each waits for the disk
      std::vector<std::byte> batch = MakeBatch({"a"});
      ProduceRequest request = Producing("events", batch, acks);
      request.timeout_ms = acks == 1 ? i % 2 : 0;
      const auto response = client.Call<ProduceResponse>(ApiKey::kProduce, 9, request);
      REQUIRE(response);
      CHECK(response->topics.at(0).partitions.at(0).error == ErrorCode::kNone);
    }
  }
}

TEST_CASE("Kafka: every served version of Produce and Fetch moves the same records") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  Create(client, "events");
  const auto metadata = client.Call<MetadataResponse>(ApiKey::kMetadata, 12, AskingFor("events"));
  REQUIRE(metadata);
  const TopicId id = metadata->topics.at(0).id;
  CHECK_FALSE(id.IsNone());
  Offset next = 0;
  for (std::int16_t version = 3; version <= 13; ++version) {
    CAPTURE(version);
    std::vector<std::byte> batch = MakeBatch({"a", "b"});
    ProduceRequest request = Producing("events", batch);
    request.topics[0].id = id;
    const auto response = client.Call<ProduceResponse>(ApiKey::kProduce, version, request);
    REQUIRE(response);
    CHECK(response->topics.at(0).partitions.at(0).error == ErrorCode::kNone);
    CHECK(response->topics.at(0).partitions.at(0).base_offset == next);
    next += 2;
  }
  for (std::int16_t version = 4; version <= 17; ++version) {
    CAPTURE(version);
    FetchRequest request = Fetching("events", 4);
    request.topics[0].id = id;
    const auto response = client.Call<FetchResponse>(ApiKey::kFetch, version, request);
    REQUIRE(response);
    const FetchResponse::Partition& partition = response->topics.at(0).partitions.at(0);
    CHECK(partition.high_watermark == next);
    CHECK(ValuesOf(partition.records.bytes).size() == static_cast<std::size_t>(next - 4));
  }
}

TEST_CASE(
    "Kafka: an unserved version of ApiVersions is answered in version 0, all others end the connection") {
  BrokerProcess broker({"--ephemeral"});
  {
    KafkaClient client(broker.port());
    const std::int32_t id = client.Send(ApiKey::kApiVersions, 99, ApiVersionsRequest{"test", "1"});
    const auto response = client.Receive<ApiVersionsResponse>(ApiKey::kApiVersions, 0, id);
    REQUIRE(response);
    CHECK(response->error == ErrorCode::kUnsupportedVersion);
    REQUIRE(response->apis.size() == 1);
    CHECK(response->apis[0].key == 18);
    const auto again = client.Call<ApiVersionsResponse>(ApiKey::kApiVersions, response->apis[0].version_max,
                                                        ApiVersionsRequest{"test", "1"});
    REQUIRE(again);
    CHECK(again->apis.size() == kApis.size());
  }
  for (const Api& api : kApis) {
    if (api.key == ApiKey::kApiVersions) continue;
    CAPTURE(std::string(api.name));
    KafkaClient above(broker.port());
    above.Send(api.key, static_cast<std::int16_t>(api.version_max + 1), ApiVersionsRequest{"test", "1"});
    CHECK(above.IsClosed());
    if (api.version_min == 0) continue;
    KafkaClient below(broker.port());
    below.Send(api.key, static_cast<std::int16_t>(api.version_min - 1), ApiVersionsRequest{"test", "1"});
    CHECK(below.IsClosed());
  }
  KafkaClient unknown(broker.port());
  unknown.Send(static_cast<ApiKey>(500), 0, ApiVersionsRequest{"test", "1"});
  CHECK(unknown.IsClosed());
}

TEST_CASE("Kafka: answers leave in the order of requests, also behind a long poll") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  Create(client, "events");
  const std::int32_t poll = client.Send(ApiKey::kFetch, 11, Fetching("events", 0, 20'000));
  const std::int32_t versions = client.Send(ApiKey::kApiVersions, 3, ApiVersionsRequest{"test", "1"});
  KafkaClient producer(broker.port());
  Produce(producer, "events", MakeBatch({"hello"}));
  const auto fetched = client.Receive<FetchResponse>(ApiKey::kFetch, 11, poll);
  REQUIRE(fetched);
  CHECK(ValuesOf(fetched->topics.at(0).partitions.at(0).records.bytes) == Strings{"hello"});
  CHECK(client.Receive<ApiVersionsResponse>(ApiKey::kApiVersions, 3, versions));
}

TEST_CASE("Kafka: acks=0 gets no answer; a failure without one ends the connection") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  Create(client, "events");
  std::vector<std::byte> batch = MakeBatch({"quiet"});
  client.Send(ApiKey::kProduce, 9, Producing("events", batch, 0));
  const auto fetched = client.Call<FetchResponse>(ApiKey::kFetch, 11, Fetching("events", 0, 10'000));
  REQUIRE(fetched);
  CHECK(ValuesOf(fetched->topics.at(0).partitions.at(0).records.bytes) == Strings{"quiet"});
  batch.back() ^= std::byte{1};
  client.Send(ApiKey::kProduce, 9, Producing("events", batch, 0));
  CHECK(client.IsClosed());
}

TEST_CASE("Kafka: what is wrong with a batch is said by its code") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  Create(client, "small", 1, {{"max.message.bytes", "2000"}});
  const std::string large(3000, 'x');
  CHECK(Produce(client, "small", MakeBatch({large})).error == ErrorCode::kMessageTooLarge);
  std::vector<std::byte> damaged = MakeBatch({"x"});
  damaged.back() ^= std::byte{1};
  CHECK(Produce(client, "small", damaged).error == ErrorCode::kCorruptMessage);
  std::vector<std::byte> two = MakeBatch({"x"});
  two.insert(two.end(), two.begin(), two.end());
  CHECK(Produce(client, "small", two).error == ErrorCode::kInvalidRecord);
  std::vector<std::byte> old = MakeBatch({"x"});
  old[16] = std::byte{1};
  CHECK(Produce(client, "small", old, 3).error == ErrorCode::kUnsupportedForMessageFormat);
  testing::BatchOptions zstd;
  zstd.compression = Compression::kZstd;
  CHECK(Produce(client, "small", MakeBatch({"x"}, zstd), 6).error == ErrorCode::kUnsupportedCompressionType);
  const auto unknown = Produce(client, "smal", MakeBatch({"x"}));
  CHECK(unknown.error == ErrorCode::kUnknownTopicOrPartition);
  CHECK(unknown.error_message == "there is no topic \"smal\"");  // the nearest is not searched for each time
  const auto good = Produce(client, "small", MakeBatch({"x"}));
  CHECK(good.error == ErrorCode::kNone);
  CHECK(good.base_offset == 0);
}

TEST_CASE("Kafka: the last five batches of a producer are known again, gaps and old epochs are refused") {
  const TempDir data;
  std::optional<BrokerProcess> broker(
      std::in_place, std::vector<std::string>{"--data", data.path(), "--ready-json", "--set", "port=0"});
  std::optional<KafkaClient> client(std::in_place, broker->port());
  Create(*client, "events");
  const auto identity =
      client->Call<InitProducerIdResponse>(ApiKey::kInitProducerId, 4, InitProducerIdRequest());
  REQUIRE(identity);
  const auto batch = [&](std::int32_t sequence, std::int16_t epoch = 0, std::string_view value = "v") {
    testing::BatchOptions options;
    options.producer_id = identity->producer_id;
    options.producer_epoch = epoch;
    options.base_sequence = sequence;
    return MakeBatch({value}, options);
  };
  for (std::int32_t i = 0; i < 7; ++i) CHECK(Produce(*client, "events", batch(i)).base_offset == i);
  const auto check_known = [&] {
    for (std::int32_t i = 2; i < 7; ++i) {
      const auto again = Produce(*client, "events", batch(i));
      CHECK(again.error == ErrorCode::kNone);
      CHECK(again.base_offset == i);
    }
    CHECK(Produce(*client, "events", batch(1)).error == ErrorCode::kOutOfOrderSequence);
    CHECK(Produce(*client, "events", batch(9)).error == ErrorCode::kOutOfOrderSequence);
    // The same sequence for another batch, which is not stored: clients take 46 for success.
    const auto other = Produce(*client, "events", batch(6, 0, "w"));
    CHECK(other.error == ErrorCode::kInvalidRecord);
    CHECK_THAT(other.error_message.value_or(""), Catch::Contains("used sequences 6 to 6 twice"));
  };
  check_known();
  broker->Kill();
  broker.emplace(std::vector<std::string>{"--data", data.path(), "--ready-json", "--set", "port=0"});
  client.emplace(broker->port());
  check_known();
  CHECK(Produce(*client, "events", batch(5, 1)).error == ErrorCode::kOutOfOrderSequence);
  CHECK(Produce(*client, "events", batch(0, 1)).base_offset == 7);
  CHECK(Produce(*client, "events", batch(7, 0)).error == ErrorCode::kInvalidProducerEpoch);
}

TEST_CASE("Kafka: a fetch session tells what has changed, and nothing else") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  Create(client, "a");
  Create(client, "b");
  FetchRequest full = Fetching("a", 0);
  full.topics.push_back(Fetching("b", 0).topics[0]);
  full.session_epoch = 0;
  const auto first = client.Call<FetchResponse>(ApiKey::kFetch, 12, full);
  REQUIRE(first);
  REQUIRE(first->session_id != 0);
  CHECK(first->topics.size() == 2);
  FetchRequest next;
  next.session_id = first->session_id;
  next.session_epoch = 1;
  const auto quiet = client.Call<FetchResponse>(ApiKey::kFetch, 12, next);
  REQUIRE(quiet);
  CHECK(quiet->topics.empty());
  Produce(client, "b", MakeBatch({"news"}));
  next.session_epoch = 2;
  const auto news = client.Call<FetchResponse>(ApiKey::kFetch, 12, next);
  REQUIRE(news);
  REQUIRE(news->topics.size() == 1);
  CHECK(news->topics[0].name == "b");
  CHECK(ValuesOf(news->topics[0].partitions.at(0).records.bytes) == Strings{"news"});
  const auto repeated = client.Call<FetchResponse>(ApiKey::kFetch, 12, next);
  REQUIRE(repeated);
  CHECK(repeated->error == ErrorCode::kInvalidFetchSessionEpoch);
  FetchRequest last;
  last.session_id = first->session_id;
  last.session_epoch = 3;
  last.size_min = 1;
  last.wait_max_ms = 60'000;
  last.forgotten_topics = {{"a", {}, {0}}, {"b", {}, {0}}};
  const auto began = std::chrono::steady_clock::now();
  const auto closed = client.Call<FetchResponse>(ApiKey::kFetch, 12, last);
  REQUIRE(closed);
  CHECK(closed->session_id == 0);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(30));  // there is nothing to wait for
  next.session_id ^= 1;
  const auto strange = client.Call<FetchResponse>(ApiKey::kFetch, 12, next);
  REQUIRE(strange);
  CHECK(strange->error == ErrorCode::kFetchSessionIdNotFound);
}

TEST_CASE("Kafka: offsets by time, by their ends, and where an epoch ends") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  Create(client, "events");
  for (const TimestampMs time : {1000, 5000, 3000}) {
    testing::BatchOptions options;
    options.timestamp = time;
    Produce(client, "events", MakeBatch({"v"}, options));
  }
  const auto offset_of = [&](TimestampMs timestamp) {
    ListOffsetsRequest request;
    request.topics.push_back({"events", {}, {{0, -1, timestamp}}});
    const auto response = client.Call<ListOffsetsResponse>(ApiKey::kListOffsets, 9, request);
    REQUIRE(response);
    CHECK(response->topics.at(0).partitions.at(0).error == ErrorCode::kNone);
    return response->topics.at(0).partitions.at(0);
  };
  CHECK(offset_of(kEarliestTimestamp).offset == 0);
  CHECK(offset_of(kLatestTimestamp).offset == 3);
  CHECK(offset_of(kMaxTimestamp).offset == 1);
  CHECK(offset_of(kMaxTimestamp).timestamp == 5000);
  CHECK(offset_of(2000).offset == 1);
  CHECK(offset_of(6000).offset == -1);
  CHECK(offset_of(kEarliestTimestamp).leader_epoch == offset_of(2000).leader_epoch);
  OffsetForLeaderEpochRequest request;
  request.topics.push_back({"events", {}, {{0, -1, offset_of(kLatestTimestamp).leader_epoch}}});
  const auto end = client.Call<OffsetForLeaderEpochResponse>(ApiKey::kOffsetForLeaderEpoch, 4, request);
  REQUIRE(end);
  CHECK(end->topics.at(0).partitions.at(0).end_offset == 3);
}

TEST_CASE("Kafka: a topic is created for a producer that asks for it, unless the broker says otherwise") {
  {
    BrokerProcess broker({"--ephemeral", "--set", "partitions=3"});
    KafkaClient client(broker.port());
    const auto created = client.Call<MetadataResponse>(ApiKey::kMetadata, 4, AskingFor("fresh"));
    REQUIRE(created);
    CHECK(created->topics.at(0).error == ErrorCode::kNone);
    CHECK(created->topics.at(0).partitions.size() == 3);
    CHECK(created->brokers.at(0).port == broker.port());
    const auto refused = client.Call<MetadataResponse>(ApiKey::kMetadata, 4, AskingFor("not/a/name"));
    REQUIRE(refused);
    CHECK(refused->topics.at(0).error == ErrorCode::kInvalidTopic);
  }
  BrokerProcess broker(
      {"--ephemeral", "--set", "auto_create_topics=false", "--set", "advertised=example.org:1234"});
  KafkaClient client(broker.port());
  const auto missing = client.Call<MetadataResponse>(ApiKey::kMetadata, 4, AskingFor("fresh"));
  REQUIRE(missing);
  CHECK(missing->topics.at(0).error == ErrorCode::kUnknownTopicOrPartition);
  CHECK(missing->brokers.at(0).host == "example.org");
  CHECK(missing->brokers.at(0).port == 1234);
}

TEST_CASE("Kafka: transactions are refused in words, at once") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  FindCoordinatorRequest find;
  find.key_type = 1;
  find.keys = {"mine"};
  const auto found = client.Call<FindCoordinatorResponse>(ApiKey::kFindCoordinator, 4, find);
  REQUIRE(found);
  CHECK(found->coordinators.at(0).error == ErrorCode::kTransactionalIdAuthorizationFailed);
  CHECK(found->coordinators.at(0).error_message.value_or("").find("transactions") != std::string::npos);
  InitProducerIdRequest init;
  init.transactional_id = "mine";
  const auto refused = client.Call<InitProducerIdResponse>(ApiKey::kInitProducerId, 4, init);
  REQUIRE(refused);
  CHECK(refused->error == ErrorCode::kTransactionalIdAuthorizationFailed);
}

TEST_CASE("Kafka: a mutated frame costs its connection at most") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient healthy(broker.port());
  Create(healthy, "events");
  std::vector<std::byte> batch = MakeBatch({"value"});
  const Api& api = *FindApi(ApiKey::kProduce);
  const std::string frame =
      EncodeRequest(api, {ApiKey::kProduce, 9, 1, "test"}, Producing("events", batch)).bytes;
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    std::string mutated = frame;
    // Not the size: a shorter frame would only be waited for.
    const std::size_t at = 4 + random() % (mutated.size() - 4);
    mutated[at] = static_cast<char>(random());
    KafkaClient client(broker.port());
    client.SendBytes(mutated);
    client.SendBytes(EncodeRequest(*FindApi(ApiKey::kApiVersions), {ApiKey::kApiVersions, 0, 2, "test"},
                                   ApiVersionsRequest())
                         .bytes);
    while (client.Receive()) {
      if (client.last_correlation_id() == 2) break;
    }
  }
  CHECK(Produce(healthy, "events", MakeBatch({"after"})).error == ErrorCode::kNone);
}

TEST_CASE("Kafka: topics, partitions, records and configurations are administered") {
  BrokerProcess broker({"--ephemeral"});
  KafkaClient client(broker.port());
  CreateTopicsRequest create;
  create.topics.push_back({"three", 3, -1, {}, {{"retention.ms", "1000"}}});
  create.topics.push_back({"copies", 1, 3, {}, {}});
  create.topics.push_back({"bad", 1, 1, {}, {{"retention.msec", "1"}}});
  const auto created = client.Call<CreateTopicsResponse>(ApiKey::kCreateTopics, 7, create);
  REQUIRE(created);
  CHECK(created->topics.at(0).error == ErrorCode::kNone);
  CHECK(created->topics.at(0).partitions == 3);
  CHECK(created->topics.at(1).error == ErrorCode::kInvalidReplicationFactor);
  CHECK(created->topics.at(2).error == ErrorCode::kInvalidConfig);
  create.topics.resize(1);
  CHECK(client.Call<CreateTopicsResponse>(ApiKey::kCreateTopics, 7, create)->topics.at(0).error ==
        ErrorCode::kTopicAlreadyExists);
  create.topics[0].name = "dry";
  create.validate_only = true;
  CHECK(client.Call<CreateTopicsResponse>(ApiKey::kCreateTopics, 7, create)->topics.at(0).error ==
        ErrorCode::kNone);

  CreatePartitionsRequest grow;
  grow.topics = {{"three", 5, std::nullopt}, {"tree", 2, std::nullopt}};
  const auto grown = client.Call<CreatePartitionsResponse>(ApiKey::kCreatePartitions, 3, grow);
  REQUIRE(grown);
  CHECK(grown->topics.at(0).error == ErrorCode::kNone);
  CHECK(grown->topics.at(1).error == ErrorCode::kUnknownTopicOrPartition);
  CHECK_THAT(grown->topics.at(1).error_message.value_or(""), Catch::Contains("did you mean \"three\"?"));

  for (int i = 0; i < 4; ++i) Produce(client, "three", MakeBatch({"v"}));
  IncrementalAlterConfigsRequest alter;
  alter.resources.push_back(
      {kTopicResource, "three", {{"cleanup.policy", 2, "compact"}, {"retention.ms", 1, {}}}});
  const auto altered = client.Call<AlterConfigsResponse>(ApiKey::kIncrementalAlterConfigs, 1, alter);
  REQUIRE(altered);
  CHECK(altered->results.at(0).error == ErrorCode::kNone);
  DescribeConfigsRequest describe;
  describe.resources.push_back(
      {kTopicResource, "three", std::vector<std::string>{"cleanup.policy", "retention.ms"}});
  const auto described = client.Call<DescribeConfigsResponse>(ApiKey::kDescribeConfigs, 4, describe);
  REQUIRE(described);
  for (const auto& config : described->results.at(0).configs) {
    if (config.name == "cleanup.policy") CHECK(config.value == "compact,delete");
    if (config.name == "retention.ms") CHECK(config.source == 5);
  }
  CHECK(described->results.at(0).configs.size() == 2);

  Create(client, "compacted", 1, {{"cleanup.policy", "compact"}});
  DeleteRecordsRequest cut;
  cut.topics.push_back({"three", {}, {{0, 3}, {1, 9}}});
  cut.topics.push_back({"compacted", {}, {{0, 0}}});
  const auto deleted = client.Call<DeleteRecordsResponse>(ApiKey::kDeleteRecords, 2, cut);
  REQUIRE(deleted);
  CHECK(deleted->topics.at(0).partitions.at(0).low_watermark == 3);
  CHECK(deleted->topics.at(0).partitions.at(1).error == ErrorCode::kOffsetOutOfRange);
  CHECK(deleted->topics.at(1).partitions.at(0).error == ErrorCode::kPolicyViolation);
  const auto below = client.Call<FetchResponse>(ApiKey::kFetch, 11, Fetching("three", 1));
  REQUIRE(below);
  CHECK(below->topics.at(0).partitions.at(0).error == ErrorCode::kOffsetOutOfRange);

  DeleteTopicsRequest remove;
  remove.topics = {{"three", {}}, {"none", {}}};
  const auto removed = client.Call<DeleteTopicsResponse>(ApiKey::kDeleteTopics, 6, remove);
  REQUIRE(removed);
  CHECK(removed->topics.at(0).error == ErrorCode::kNone);
  CHECK(removed->topics.at(1).error == ErrorCode::kUnknownTopicOrPartition);
}

TEST_CASE("Kafka: keys that a topic keeps without effect are named in the broker's log") {
  const TempDir data;
  BrokerProcess broker({"--data", data.path(), "--ready-json", "--set", "port=0"});
  KafkaClient client(broker.port());
  Create(client, "events", 1, {{"flush.ms", "5"}, {"retention.ms", "1000"}, {"preallocate", "false"}});
  const std::string kept = "topic \"events\": kept, and without effect on this broker: ";
  CHECK(testing::WaitUntil(
      [&] { return broker.errors().find(kept + "flush.ms, preallocate\n") != std::string::npos; }));
  IncrementalAlterConfigsRequest alter;
  alter.resources.push_back({kTopicResource,
                             "events",
                             {{"flush.ms", 1, {}}, {"segment.jitter.ms", 0, "7"}, {"segment.ms", 0, "9"}}});
  REQUIRE(client.Call<AlterConfigsResponse>(ApiKey::kIncrementalAlterConfigs, 1, alter));
  CHECK(testing::WaitUntil(
      [&] { return broker.errors().find(kept + "segment.jitter.ms\n") != std::string::npos; }));
}
