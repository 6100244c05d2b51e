// The native protocol, message by message, over a raw socket: what the client library never sends, and what
// it relies on.
#include <sstream>

#include <catch2/catch.hpp>

#include "headrace.pb.h"
#include "headrace/admin.h"
#include "protocol/core/error_code.h"
#include "tests/support/batches.h"
#include "tests/support/broker_process.h"
#include "tests/support/raw_socket.h"

using namespace headrace;
using Catch::Contains;
using headrace::testing::BrokerProcess;
using headrace::testing::MakeBatch;
using headrace::testing::RawFrame;
using headrace::testing::RawSocket;
using headrace::testing::ReceiveFrame;
using headrace::testing::RunProgram;
using headrace::testing::ValuesOf;
using headrace::testing::WaitUntil;
using native::FrameType;
using Values = std::vector<std::string>;

namespace {

ErrorCode CodeOfError(const native::Error& error) {
  return static_cast<ErrorCode>(error.code());
}

// A connection to a broker that has said Hello.
class Peer {
 public:
  explicit Peer(const BrokerProcess& broker) : socket_(broker.port()) {
    native::HelloRequest hello;
    hello.set_version_min(1);
    hello.set_version_max(1);
    REQUIRE(socket_.Send(native::kPreface));
    hello_ = Ask<native::HelloResponse>(FrameType::kHello, hello);
  }

  // Returns the request's correlation id.
  std::uint32_t Send(FrameType type, const google::protobuf::MessageLite& header,
                     const std::vector<std::byte>& attachment = {}) {
    std::string bytes;
    native::AppendFrame(bytes, type, 0, ++id_, header, attachment.size());
    bytes += AsText(attachment);
    REQUIRE(socket_.Send(bytes));
    return id_;
  }
  RawFrame Receive() { return ReceiveFrame(socket_); }
  RawFrame Call(FrameType type, const google::protobuf::MessageLite& header,
                const std::vector<std::byte>& attachment = {}) {
    const std::uint32_t id = Send(type, header, attachment);
    RawFrame received = Receive();
    CHECK(received.frame.correlation_id == id);
    return received;
  }
  template <typename Response>
  Response Ask(FrameType type, const google::protobuf::MessageLite& header,
               const std::vector<std::byte>& attachment = {}) {
    const RawFrame received = Call(type, header, attachment);
    CHECK(received.frame.type == type);
    return Parse<Response>(received);
  }
  // The error that answers the request as a whole.
  native::Error Refused(FrameType type, const google::protobuf::MessageLite& header) {
    const RawFrame received = Call(type, header);
    CHECK(received.frame.type == FrameType::kError);
    return Parse<native::ErrorResponse>(received).error();
  }
  template <typename Message>
  static Message Parse(const RawFrame& received) {
    Message message;
    CHECK(native::ParseHeader(received.frame.header, message).ok());
    return message;
  }

  void CreateTopic(const std::string& topic, std::uint32_t partitions = 1, const std::string& policy = "") {
    native::CreateTopicRequest request;
    request.set_topic(topic);
    request.set_partitions(partitions);
    if (!policy.empty()) {
      request.add_configs()->set_key("cleanup.policy");
      request.mutable_configs(0)->set_value(policy);
    }
    CHECK(Ask<native::DescribeTopicsResponse>(FrameType::kCreateTopic, request).topics_size() == 1);
  }
  native::ProduceResponse::Partition Produce(const std::string& topic, std::uint32_t partition,
                                             const std::vector<std::byte>& batch) {
    const native::ProduceRequest request = ProduceOf(topic, partition, batch);
    return Ask<native::ProduceResponse>(FrameType::kProduce, request, batch).partitions(0);
  }
  static native::ProduceRequest ProduceOf(const std::string& topic, std::uint32_t partition,
                                          const std::vector<std::byte>& batch) {
    native::ProduceRequest request;
    auto* entry = request.add_partitions();
    entry->set_topic(topic);
    entry->set_partition(partition);
    entry->set_size(static_cast<std::uint32_t>(batch.size()));
    return request;
  }
  void Grant(std::uint32_t stream, std::uint64_t bytes) {
    native::CreditRequest credit;
    credit.set_stream(stream);
    credit.set_bytes(bytes);
    Send(FrameType::kCredit, credit);
  }

  RawSocket& socket() { return socket_; }
  const native::HelloResponse& hello() const { return hello_; }

 private:
  RawSocket socket_;
  std::uint32_t id_ = 0;
  native::HelloResponse hello_;
};

native::FetchRequest FetchOf(const std::string& topic, std::uint32_t partitions) {
  native::FetchRequest request;
  for (std::uint32_t p = 0; p < partitions; ++p) {
    auto* entry = request.add_partitions();
    entry->set_topic(topic);
    entry->set_partition(p);
  }
  return request;
}

// Opens a stream of one partition from its start; the frame that answers.
RawFrame Subscribe(Peer& peer, const std::string& topic, std::uint64_t credit) {
  native::SubscribeRequest request;
  request.add_partitions()->set_topic(topic);
  request.set_credit(credit);
  return peer.Call(FrameType::kSubscribe, request);
}

std::size_t CountLines(const std::string& text, const std::string& what) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) count += line.find(what) != std::string::npos ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("Native Hello: a version that is not spoken is refused, and says which is") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  RawSocket socket(broker.port());
  native::HelloRequest hello;
  hello.set_version_min(2);
  hello.set_version_max(3);
  std::string bytes(native::kPreface);
  native::AppendFrame(bytes, FrameType::kHello, 0, 1, hello);
  REQUIRE(socket.Send(bytes));
  const RawFrame received = ReceiveFrame(socket);
  REQUIRE(received.frame.type == FrameType::kError);
  const auto error = Peer::Parse<native::ErrorResponse>(received).error();
  CHECK(CodeOfError(error) == ErrorCode::kUnsupportedVersion);
  CHECK_THAT(error.message(), Contains("2 to 3") && Contains("speaks 1"));
  CHECK(socket.ClosedByPeer());
}

TEST_CASE("Native: a request before Hello, and a frame of an unknown type, end the connection") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  RawSocket early(broker.port());
  std::string bytes(native::kPreface);
  native::AppendFrame(bytes, FrameType::kStats, 0, 1, native::StatsRequest());
  REQUIRE(early.Send(bytes));
  CHECK(early.ClosedByPeer());
  Peer peer(broker);
  for (const auto type : {FrameType{99}, FrameType::kPush, FrameType{0}}) {
    Peer strange(broker);
    strange.Send(type, native::EmptyResponse());
    CHECK(strange.socket().ClosedByPeer());
  }
  CHECK(peer.Ask<native::StatsResponse>(FrameType::kStats, native::StatsRequest()).client_errors() == 4);
}

TEST_CASE("Native: fields that are not known are ignored, and a topic id has 16 bytes") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  native::CreateTopicRequest request;
  request.set_topic("t");
  std::string future = request.SerializeAsString() + "\xc2\x3e\x03new";  // field 1000
  native::CreateTopicRequest with_more;
  REQUIRE(with_more.ParseFromString(future));
  REQUIRE(with_more.SerializeAsString() == future);
  CHECK(peer.Ask<native::DescribeTopicsResponse>(FrameType::kCreateTopic, with_more).topics(0).topic() ==
        "t");
  native::DeleteTopicRequest bad;
  bad.set_topic_id("short");
  CHECK_THAT(peer.Refused(FrameType::kDeleteTopic, bad).message(), Contains("topic id of 5 bytes"));
  native::ProduceRequest produce = Peer::ProduceOf("", 0, {});
  produce.mutable_partitions(0)->set_topic_id(std::string(17, 'x'));
  const auto answer = peer.Ask<native::ProduceResponse>(FrameType::kProduce, produce);
  CHECK_THAT(answer.partitions(0).error().message(), Contains("topic id of 17 bytes"));
}

TEST_CASE("Native Fetch: whole batches of several partitions, within its limits") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  peer.CreateTopic("t", 2);
  const std::size_t size = MakeBatch({"0-0"}).size();
  for (const std::uint32_t p : {0U, 1U}) {
    for (int i = 0; i < 3; ++i) {
      const auto batch = MakeBatch({std::to_string(p) + "-" + std::to_string(i)});
      CHECK(peer.Produce("t", p, batch).base_offset() == i);
    }
  }
  native::FetchRequest fetch = FetchOf("t", 2);
  fetch.mutable_partitions(1)->set_offset(2);
  RawFrame received = peer.Call(FrameType::kFetch, fetch);
  auto response = Peer::Parse<native::FetchResponse>(received);
  REQUIRE(response.partitions_size() == 2);
  CHECK(response.partitions(0).size() == 3 * size);
  CHECK(response.partitions(0).high_watermark() == 3);
  CHECK(response.partitions(1).size() == size);
  CHECK(ValuesOf(received.frame.attachment) == Values{"0-0", "0-1", "0-2", "1-2"});

  fetch = FetchOf("t", 2);
  fetch.mutable_partitions(0)->set_max_bytes(static_cast<std::uint32_t>(2 * size));
  received = peer.Call(FrameType::kFetch, fetch);
  CHECK(ValuesOf(received.frame.attachment) == Values{"0-0", "0-1", "1-0", "1-1", "1-2"});
  fetch = FetchOf("t", 2);
  fetch.set_max_bytes(1);  // the first batch goes whole all the same
  received = peer.Call(FrameType::kFetch, fetch);
  CHECK(ValuesOf(received.frame.attachment) == Values{"0-0"});

  // Waits for as much as was asked for.
  fetch = FetchOf("t", 1);
  fetch.set_min_bytes(static_cast<std::uint32_t>(4 * size));
  fetch.set_max_wait_ms(20'000);
  const std::uint32_t waiting = peer.Send(FrameType::kFetch, fetch);
  Peer other(broker);
  other.Produce("t", 0, MakeBatch({"0-3"}));
  received = peer.Receive();
  CHECK(received.frame.correlation_id == waiting);
  CHECK(ValuesOf(received.frame.attachment).size() == 4);
  fetch.set_min_bytes(1 << 20);
  fetch.set_max_wait_ms(10);
  CHECK(ValuesOf(peer.Call(FrameType::kFetch, fetch).frame.attachment).size() == 4);  // what there is by then

  fetch = FetchOf("t", 3);
  fetch.mutable_partitions(0)->set_offset(99);
  fetch.set_max_wait_ms(20'000);
  response = peer.Ask<native::FetchResponse>(FrameType::kFetch, fetch);
  CHECK(CodeOfError(response.partitions(0).error()) == ErrorCode::kOffsetOutOfRange);
  CHECK_THAT(response.partitions(2).error().message(), Contains("\"t\" has no partition 2"));
}

TEST_CASE("Native: what is the broker's own is not for clients to trim, alter, delete or write") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  peer.CreateTopic("t");
  native::CommitOffsetRequest commit;
  commit.set_consumer("billing");
  commit.add_partitions()->set_topic("t");
  CHECK(peer.Ask<native::CommitOffsetResponse>(FrameType::kCommitOffset, commit).errors(0).code() == 0);
  const std::string own = "__consumer_offsets";
  native::TrimTopicRequest trim;
  trim.set_topic(own);
  trim.set_offset(-1);
  CHECK(CodeOfError(peer.Refused(FrameType::kTrimTopic, trim)) == ErrorCode::kInvalidTopic);
  native::AlterTopicRequest alter;
  alter.set_topic(own);
  alter.set_partitions(2);
  CHECK(CodeOfError(peer.Refused(FrameType::kAlterTopic, alter)) == ErrorCode::kInvalidTopic);
  native::DeleteTopicRequest remove;
  remove.set_topic(own);
  CHECK(CodeOfError(peer.Refused(FrameType::kDeleteTopic, remove)) == ErrorCode::kInvalidTopic);
  CHECK(CodeOfError(peer.Produce(own, 0, MakeBatch({"x"})).error()) == ErrorCode::kInvalidTopic);
  native::DescribeTopicsRequest describe;
  describe.add_topics(own);
  describe.set_with_partitions(true);
  const auto described = peer.Ask<native::DescribeTopicsResponse>(FrameType::kDescribeTopics, describe);
  REQUIRE(described.topics(0).partitions_size() == 1);
  CHECK(described.topics(0).partitions(0).start_offset() == 0);
  CHECK(described.topics(0).partitions(0).end_offset() > 0);
}

TEST_CASE("Native CommitOffset: an offset below 0 is refused, and the others are kept") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  peer.CreateTopic("t", 3);
  native::CommitOffsetRequest commit;
  commit.set_consumer("billing");
  for (const std::int64_t offset : {-5, 7, -1}) {
    auto* entry = commit.add_partitions();
    entry->set_topic("t");
    entry->set_partition(static_cast<std::uint32_t>(commit.partitions_size() - 1));
    entry->set_offset(offset);
  }
  const auto answer = peer.Ask<native::CommitOffsetResponse>(FrameType::kCommitOffset, commit);
  CHECK(CodeOfError(answer.errors(0)) == ErrorCode::kInvalidRequest);
  CHECK_THAT(answer.errors(0).message(), Contains("t-0") && Contains("-5"));
  CHECK(answer.errors(1).code() == 0);
  CHECK_THAT(answer.errors(2).message(), Contains("t-2") && Contains("-1"));
  native::FetchOffsetRequest fetch;
  fetch.set_consumer("billing");
  const auto kept = peer.Ask<native::FetchOffsetResponse>(FrameType::kFetchOffset, fetch);
  REQUIRE(kept.partitions_size() == 1);
  CHECK(kept.partitions(0).offset() == 7);
}

TEST_CASE("Native InitProducer: a former id is never assumed, and an epoch has 16 bits") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  const auto init = [&](const native::InitProducerRequest& request) {
    return peer.Ask<native::InitProducerResponse>(FrameType::kInitProducer, request);
  };
  const auto first = init({});
  const auto second = init({});
  CHECK(first.producer_id() != second.producer_id());
  CHECK(second.producer_epoch() == 0);
  native::InitProducerRequest again;
  again.set_producer_id(first.producer_id());
  again.set_producer_epoch(0);
  CHECK(init(again).producer_id() == first.producer_id());
  CHECK(init(again).producer_epoch() == 1);
  for (const std::int32_t epoch : {65'536, 32'768, -2}) {
    again.set_producer_epoch(epoch);
    const native::Error error = peer.Refused(FrameType::kInitProducer, again);
    CHECK(CodeOfError(error) == ErrorCode::kInvalidRequest);
    CHECK_THAT(error.message(), Contains(std::to_string(epoch)) && Contains("32767"));
  }
}

TEST_CASE("Native Produce: without a reply, a request that fails ends the connection and says why, once") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  peer.CreateTopic("t");
  peer.CreateTopic("k", 1, "compact");
  const auto batch = MakeBatch({"value"});
  native::ProduceRequest produce = Peer::ProduceOf("t", 0, batch);
  produce.set_no_reply(true);
  peer.Send(FrameType::kProduce, produce, batch);
  native::FetchRequest fetch = FetchOf("t", 1);
  fetch.set_max_wait_ms(20'000);
  CHECK(ValuesOf(peer.Call(FrameType::kFetch, fetch).frame.attachment) == Values{"value"});
  produce.mutable_partitions(0)->set_topic("k");
  const RawFrame end = peer.Call(FrameType::kProduce, produce, batch);
  CHECK(end.frame.type == FrameType::kError);
  const auto error = Peer::Parse<native::ErrorResponse>(end).error();
  CHECK_THAT(error.message(), Contains("k-0: ") && Contains("key"));
  CHECK(peer.socket().ClosedByPeer());
  CHECK(WaitUntil([&] { return CountLines(broker.errors(), "no-reply produce failed: k-0: ") == 1; }));
  Peer other(broker);
  CHECK(other.Ask<native::StatsResponse>(FrameType::kStats, native::StatsRequest()).client_errors() == 1);
}

TEST_CASE("headrace produce --no-ack: what the broker refuses is not taken for done") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  peer.CreateTopic("t");
  peer.CreateTopic("k", 1, "compact");
  const auto produce = [&](const std::string& topic) {
    return RunProgram({HEADRACE_PROGRAM, "--broker", broker.address(), "produce", topic, "--no-ack"},
                      "a\nb\n");
  };
  CHECK(produce("t").exit_code == 0);
  const auto refused = produce("k");
  CHECK(refused.exit_code != 0);
  CHECK_THAT(refused.output,
             Contains("2 messages were not delivered") && Contains("k-0: ") && Contains("key"));
}

TEST_CASE("Native stream: a batch goes whole while there is credit, and a push is no larger than that was") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  peer.CreateTopic("t");
  const auto batch = MakeBatch({std::string(50'000, 'v')});
  constexpr std::size_t kBatches = 60;
  for (std::size_t i = 0; i < kBatches; ++i) peer.Produce("t", 0, batch);
  RawFrame opened = Subscribe(peer, "t", 1);
  REQUIRE(opened.frame.type == FrameType::kSubscribe);
  const std::uint32_t stream = opened.frame.correlation_id;
  std::size_t pushed = 0;
  std::size_t granted = 1;
  std::size_t window = 1;  // the most that was left of it at any time
  // Reads what comes until all that was granted is used up; each push within the window, or one batch.
  const auto take = [&] {
    window = std::max(window, granted - std::min(granted, pushed));
    const std::size_t push_max = std::max(batch.size(), window);
    while (pushed < granted) {
      const RawFrame push = peer.Receive();
      REQUIRE(push.frame.type == FrameType::kPush);
      CHECK(push.frame.attachment.size() % batch.size() == 0);
      CHECK(push.frame.attachment.size() <= push_max);
      pushed += push.frame.attachment.size();
    }
    CHECK(pushed < granted + push_max);
  };
  take();
  for (const std::size_t more :
       {batch.size(), 3 * batch.size(), std::size_t{200'000}, std::size_t{1'000'000}}) {
    peer.Grant(stream, more);
    granted += more;
    take();
  }
  CHECK(pushed < kBatches * batch.size());
}

TEST_CASE("Native stream: those that have ended make room for others") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  constexpr int kStreams = 200;  // of the 256 that a connection may have
  for (const std::string topic : {"first", "second"}) {
    CAPTURE(topic);
    peer.CreateTopic(topic);
    for (int i = 0; i < kStreams; ++i) REQUIRE(Subscribe(peer, topic, 1).frame.type == FrameType::kSubscribe);
    Peer other(broker);
    native::DeleteTopicRequest remove;
    remove.set_topic(topic);
    other.Ask<native::EmptyResponse>(FrameType::kDeleteTopic, remove);
    for (int i = 0; i < kStreams; ++i) REQUIRE(peer.Receive().frame.type == FrameType::kStreamEnd);
  }
  peer.CreateTopic("third");
  for (int i = 0; i < 256; ++i) REQUIRE(Subscribe(peer, "third", 0).frame.type == FrameType::kSubscribe);
  const RawFrame refused = Subscribe(peer, "third", 0);
  REQUIRE(refused.frame.type == FrameType::kError);
  CHECK_THAT(Peer::Parse<native::ErrorResponse>(refused).error().message(), Contains("256 streams"));
}

TEST_CASE("Native: a request of very many entries is refused before they cost anything") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  peer.CreateTopic("t");
  constexpr int kMany = 300'000;
  native::DescribeTopicsRequest describe;
  native::ListOffsetsRequest list;
  native::CommitOffsetRequest commit;
  native::FetchOffsetRequest committed;
  native::SubscribeRequest subscribe;
  native::ProduceRequest produce;
  for (int i = 0; i < kMany; ++i) {
    describe.add_topics("");
    list.add_partitions();
    commit.add_partitions();
    committed.add_partitions();
    subscribe.add_partitions();
    produce.add_partitions();
  }
  const std::vector<std::pair<FrameType, const google::protobuf::MessageLite*>> requests = {
      {FrameType::kDescribeTopics, &describe}, {FrameType::kListOffsets, &list},
      {FrameType::kCommitOffset, &commit},     {FrameType::kFetchOffset, &committed},
      {FrameType::kSubscribe, &subscribe},     {FrameType::kProduce, &produce}};
  for (const auto& [type, message] : requests) {
    CAPTURE(type);
    const native::Error error = peer.Refused(type, *message);
    CHECK(CodeOfError(error) == ErrorCode::kInvalidRequest);
    CHECK_THAT(error.message(), Contains("300000 entries") && Contains("100000"));
  }
  // A header above the limit that Hello tells is not even read.
  CHECK(peer.hello().request_header_size_max() == 4 << 20);
  for (int i = 0; i < 1'200'000; ++i) list.add_partitions()->set_partition(1);
  std::string bytes;
  native::AppendFrame(bytes, FrameType::kListOffsets, 0, 1, list);
  static_cast<void>(peer.socket().Send(bytes));
  CHECK(peer.socket().ClosedByPeer());
}

TEST_CASE("Native DescribeTopics: all topics come in order, from behind a name on") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  Peer peer(broker);
  for (const std::string topic : {"c", "a", "b"}) peer.CreateTopic(topic);
  native::DescribeTopicsRequest request;
  request.set_after("a");
  const auto response = peer.Ask<native::DescribeTopicsResponse>(FrameType::kDescribeTopics, request);
  REQUIRE(response.topics_size() == 2);
  CHECK(response.topics(0).topic() == "b");
  CHECK(response.topics(1).topic() == "c");
  CHECK_FALSE(response.more());
}
