// Produce requests of both protocols before a disk that stands still: what is answered, and when what they
// hold is given back.
#include <catch2/catch.hpp>

#include "broker/kafka/handlers.h"
#include "broker/native/request.h"
#include "protocol/core/error_code.h"
#include "tests/support/fake_channel.h"
#include "tests/support/faulty_topics.h"

using namespace headrace;
using Catch::Contains;
using headrace::testing::FakeChannel;
using headrace::testing::FaultyTopics;
using headrace::testing::MakeBatch;
using Sizes = std::vector<std::size_t>;

namespace {

constexpr std::size_t kRequestSize = 1'000;  // as the connection counts it

// A front door of either protocol, to the topics "t" and "compacted".
class FrontDoor {
 public:
  FrontDoor() {
    topics.Create({}, "t");
    topics.Create({{"cleanup.policy", "compact"}}, "compacted");
  }
  virtual ~FrontDoor() = default;
  FrontDoor(const FrontDoor&) = delete;
  FrontDoor& operator=(const FrontDoor&) = delete;

  // Sends a batch without keys to partition 0 of `topic`.
  virtual void Produce(const std::string& topic, bool replies) = 0;
  // The code of the one entry, or of the whole, of the answer sent last.
  virtual ErrorCode Answered() const = 0;

  // Of the requests that were answered or ended otherwise.
  Sizes GivenBack() const {
    Sizes sizes = channel->finished;
    for (const net::Response& response : channel->sent) sizes.push_back(response.request_size);
    return sizes;
  }

  FaultyTopics topics;
  const std::shared_ptr<FakeChannel> channel = std::make_shared<FakeChannel>();

 protected:
  std::vector<std::byte> batch_ = MakeBatch({"value"});
};

class NativeDoor final : public FrontDoor {
 public:
  NativeDoor() {
    services_.topics = topics.registry.get();
    services_.clock = &topics.clock;
    services_.count_produced = [](std::uint32_t, std::size_t) {};
  }
  void Produce(const std::string& topic, bool replies) override {
    native::ProduceRequest message;
    message.set_no_reply(!replies);
    auto* partition = message.add_partitions();
    partition->set_topic(topic);
    partition->set_size(static_cast<std::uint32_t>(batch_.size()));
    auto header = std::make_shared<std::string>(message.SerializeAsString());
    native::Request request;
    request.services = &services_;
    request.channel = channel;
    request.owner = header;
    request.frame.type = native::FrameType::kProduce;
    request.frame.header = AsBytes(*header);
    request.frame.attachment = batch_;
    request.size = kRequestSize;
    native::HandleProduce(request);
  }
  ErrorCode Answered() const override {
    std::string bytes = channel->Bytes(channel->sent.size() - 1).substr(native::kFrameLengthSize);
    const auto frame = native::ParseFrame({reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
    native::ErrorResponse whole;
    native::ProduceResponse response;
    if (frame->type == native::FrameType::kError) {
      HEADRACE_CHECK(native::ParseHeader(frame->header, whole).ok());
      return static_cast<ErrorCode>(whole.error().code());
    }
    HEADRACE_CHECK(native::ParseHeader(frame->header, response).ok());
    return static_cast<ErrorCode>(response.partitions(0).error().code());
  }

 private:
  native::Services services_;
};

class KafkaDoor final : public FrontDoor {
 public:
  KafkaDoor() {
    services_.topics = topics.registry.get();
    services_.clock = &topics.clock;
    services_.count_produced = [](std::uint32_t, std::size_t) {};
  }
  void Produce(const std::string& topic, bool replies) override {
    kafka::ProduceRequest message;
    message.acks = replies ? -1 : 0;
    message.timeout_ms = 1'000;
    auto& partition = message.topics.emplace_back();
    partition.name = topic;
    partition.partitions.emplace_back().records.bytes = batch_;
    kafka::Request request;
    request.services = &services_;
    request.channel = channel;
    request.responses = responses_;
    request.ticket = responses_->Open();
    request.api = kafka::FindApi(kafka::ApiKey::kProduce);
    request.version = kVersion;
    request.size = kRequestSize;
    kafka::HandleProduce(request, message);
  }
  ErrorCode Answered() const override {
    std::string bytes = channel->Bytes(channel->sent.size() - 1).substr(8);  // size and correlation id
    kafka::Decoder body({reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}, kVersion, false);
    kafka::ProduceResponse response;
    body(response);
    HEADRACE_CHECK(body.status().ok());
    return response.topics.front().partitions.front().error;
  }

 private:
  static constexpr std::int16_t kVersion = 7;
  kafka::Services services_;
  const std::shared_ptr<kafka::OrderedResponses> responses_ =
      std::make_shared<kafka::OrderedResponses>(channel);
};

std::vector<std::unique_ptr<FrontDoor>> BothDoors() {
  std::vector<std::unique_ptr<FrontDoor>> doors;
  doors.push_back(std::make_unique<NativeDoor>());
  doors.push_back(std::make_unique<KafkaDoor>());
  return doors;
}

}  // namespace

TEST_CASE("Produce request: answered when its batch is on disk, and what it held is given back with that") {
  for (const auto& door : BothDoors()) {
    auto& gate = door->topics.HoldSyncs();
    door->Produce("t", true);
    gate.Await(1);
    CHECK(door->channel->sent.empty());
    CHECK(door->channel->HasTimer());
    gate.Open();
    door->channel->RunPosted();
    REQUIRE(door->channel->sent.size() == 1);
    CHECK(door->Answered() == ErrorCode::kNone);
    CHECK(door->channel->sent[0].request_size == kRequestSize);
    CHECK_FALSE(door->channel->HasTimer());
  }
}

TEST_CASE(
    "Produce request: one that is too late is answered, but holds its memory until its batch has ended") {
  for (const auto& door : BothDoors()) {
    auto& gate = door->topics.HoldSyncs();
    door->Produce("t", true);
    gate.Await(1);
    door->channel->RunTimer();
    REQUIRE(door->channel->sent.size() == 1);
    CHECK(door->Answered() == ErrorCode::kRequestTimedOut);
    CHECK(door->channel->sent[0].request_size == 0);
    CHECK(door->channel->finished.empty());
    gate.Open();
    door->channel->RunPosted();
    CHECK(door->channel->finished == Sizes{kRequestSize});
    CHECK(door->channel->sent.size() == 1);
  }
}

TEST_CASE("Produce request: without a reply, it holds its memory until its batch has ended, however long") {
  for (const auto& door : BothDoors()) {
    auto& gate = door->topics.HoldSyncs();
    door->Produce("t", false);
    gate.Await(1);
    CHECK_FALSE(door->channel->HasTimer());
    CHECK(door->channel->finished.empty());
    gate.Open();
    door->channel->RunPosted();
    CHECK(door->channel->finished == Sizes{kRequestSize});
    CHECK(door->channel->sent.empty());
    CHECK(door->channel->closed.empty());
  }
}

TEST_CASE("Produce request: without a reply, one that fails closes the connection and says what and why") {
  for (const auto& door : BothDoors()) {
    door->Produce("compacted", false);
    CHECK_THAT(door->channel->closed, Contains("no-reply produce failed: compacted-0: ") && Contains("key"));
    door->Produce("nope", false);
    CHECK_THAT(door->channel->closed, Contains("no-reply produce failed: ") && Contains("\"nope\""));
    CHECK(door->GivenBack() == Sizes{kRequestSize, kRequestSize});
    // The same, with a reply, is the request's own matter.
    door->channel->closed.clear();
    door->Produce("compacted", true);
    CHECK(door->Answered() == ErrorCode::kInvalidRecord);
    CHECK(door->channel->closed.empty());
  }
}

TEST_CASE("Produce request: a sync that fails ends one without a reply as well") {
  for (const auto& door : BothDoors()) {
    auto& gate = door->topics.HoldSyncs(absl::InternalError("the disk is gone"));
    door->Produce("t", false);
    gate.Await(1);
    gate.Open();
    door->channel->RunPosted();
    CHECK_THAT(door->channel->closed,
               Contains("no-reply produce failed: t-0: ") && Contains("the disk is gone"));
  }
}
