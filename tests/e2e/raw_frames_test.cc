// Frames that no client library sends, to the real broker: what they cost, and what becomes of them.
#include <signal.h>

#include <fstream>
#include <map>
#include <sstream>

#include <catch2/catch.hpp>

#include "headrace.pb.h"
#include "headrace/admin.h"
#include "headrace/consumer.h"
#include "headrace/producer.h"
#include "protocol/core/crc32c.h"
#include "protocol/core/error_code.h"
#include "tests/support/batches.h"
#include "tests/support/broker_process.h"
#include "tests/support/raw_socket.h"

using namespace headrace;
using headrace::testing::BigEndian32;
using headrace::testing::BrokerProcess;
using headrace::testing::MakeBatch;
using headrace::testing::RawFrame;
using headrace::testing::RawSocket;
using headrace::testing::ReceiveFrame;
using headrace::testing::WaitUntil;
using native::FrameType;

namespace {

ClientOptions Client(const BrokerProcess& broker) {
  ClientOptions client;
  client.broker = broker.address();
  return client;
}

std::string HelloFrame() {
  native::HelloRequest hello;
  hello.set_version_min(1);
  hello.set_version_max(1);
  hello.set_client_id("raw");
  std::string bytes(native::kPreface);
  native::AppendFrame(bytes, FrameType::kHello, 0, 1, hello);
  return bytes;
}

std::string ProduceFrame(const std::string& topic, std::span<const std::byte> batch, std::uint32_t id = 2) {
  native::ProduceRequest request;
  auto* partition = request.add_partitions();
  partition->set_topic(topic);
  partition->set_partition(0);
  partition->set_size(static_cast<std::uint32_t>(batch.size()));
  std::string bytes;
  native::AppendFrame(bytes, FrameType::kProduce, 0, id, request, batch.size());
  bytes += AsText(batch);
  return bytes;
}

// The one entry of a ProduceResponse; an error of its own kind if that is not what came.
native::ProduceResponse::Partition ReceiveProduced(RawSocket& socket) {
  const RawFrame received = ReceiveFrame(socket);
  native::ProduceResponse response;
  if (received.frame.type == FrameType::kProduce &&
      native::ParseHeader(received.frame.header, response).ok() && response.partitions_size() == 1) {
    return response.partitions(0);
  }
  native::ProduceResponse::Partition none;
  none.mutable_error()->set_message("no ProduceResponse came");
  return none;
}

// The begin of a frame of `size` bytes, and as much of it as a broker might read.
std::string LargeFrame(std::uint8_t type, std::uint32_t header_size, std::uint32_t size = 1'000'000) {
  std::string bytes = BigEndian32(size);
  bytes += static_cast<char>(type);
  bytes += std::string(3, '\0') + BigEndian32(7) + BigEndian32(header_size);
  return bytes + std::string(900'000, 'g');
}

std::string Hex(std::uint32_t sum) {
  std::ostringstream text;
  text << std::hex;
  text.width(8);
  text.fill('0');
  text << sum;
  return text.str();
}

std::int64_t EndOf(Admin& admin, const std::string& topic) {
  return admin.DescribeTopic(topic)->partitions.front().end_offset;
}

std::size_t CountLines(const std::string& text, const std::string& what) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) count += line.find(what) != std::string::npos ? 1 : 0;
  return count;
}

#ifndef HEADRACE_SANITIZED
// A line of /proc/<pid>/status, in bytes.
std::uint64_t MemoryOf(const BrokerProcess& broker, const std::string& key) {
  std::ifstream status("/proc/" + std::to_string(broker.pid()) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) return std::stoull(line.substr(key.size() + 1)) * 1024;
  }
  return 0;
}
#endif

}  // namespace

TEST_CASE(
    "A corrupt batch is refused naming both sums, nothing of it is stored, and the connection goes on") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  auto admin = Admin::Connect(Client(broker));
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("t"));
  RawSocket socket(broker.port());
  REQUIRE(socket.Send(HelloFrame()));
  REQUIRE(ReceiveFrame(socket).frame.type == FrameType::kHello);
  const std::vector<std::byte> good = MakeBatch({"first", "second"});
  constexpr std::size_t kCrcAt = 17;
  constexpr std::size_t kCovered = 21;  // the sum is over all bytes from here
  const auto told = LoadBigEndian<std::uint32_t>(good.data() + kCrcAt);
  // One bit each: in a field that is covered, in a record, in the last byte.
  for (const std::size_t at : {std::size_t{24}, kBatchHeaderSize + 8, good.size() - 1}) {
    CAPTURE(at);
    std::vector<std::byte> bad = good;
    bad[at] ^= std::byte{0x10};
    const std::uint32_t sum = Crc32c(ByteSpan(bad).subspan(kCovered));
    REQUIRE(socket.Send(ProduceFrame("t", bad)));
    const auto refused = ReceiveProduced(socket);
    CHECK(refused.error().code() == static_cast<int>(ErrorCode::kCorruptMessage));
    CHECK_THAT(refused.error().message(),
               Catch::Contains("t-0") && Catch::Contains(Hex(sum)) && Catch::Contains(Hex(told)));
    CHECK(refused.base_offset() == -1);
    CHECK(EndOf(*admin, "t") == 0);
  }
  CHECK(admin->DescribeTopic("t")->partitions.front().size == 0);
  REQUIRE(socket.Send(ProduceFrame("t", good)));
  const auto produced = ReceiveProduced(socket);
  CHECK(produced.error().message().empty());
  CHECK(produced.base_offset() == 0);
  CHECK(EndOf(*admin, "t") == 2);
}

TEST_CASE("A batch whose fields do not fit each other is refused, and nothing of it is stored") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  auto admin = Admin::Connect(Client(broker));
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("t"));
  RawSocket socket(broker.port());
  REQUIRE(socket.Send(HelloFrame()));
  REQUIRE(ReceiveFrame(socket).frame.type == FrameType::kHello);
  const std::vector<std::byte> good = MakeBatch({"first", "second"});
  std::vector<std::vector<std::byte>> inputs;
  inputs.emplace_back();                                 // no batch
  inputs.emplace_back(good.begin(), good.begin() + 30);  // less than a header
  inputs.emplace_back(good.begin(), good.end() - 1);     // one byte short
  inputs.push_back(good);
  inputs.back().push_back(std::byte{0});  // one byte behind it
  inputs.push_back(good);
  inputs.back().insert(inputs.back().end(), good.begin(), good.end());  // two batches
  inputs.push_back(good);
  inputs.back()[16] = std::byte{1};  // a magic of long ago
  inputs.push_back(good);
  inputs.back()[8] = std::byte{0x7f};  // a length of 2 GiB
  inputs.push_back(good);
  inputs.back()[8] = std::byte{0xff};  // a negative length
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    CAPTURE(i);
    REQUIRE(socket.Send(ProduceFrame("t", inputs[i])));
    const auto refused = ReceiveProduced(socket);
    CHECK(refused.error().code() != 0);
    CHECK_THAT(refused.error().message(), Catch::Contains("t-0"));
  }
  CHECK(EndOf(*admin, "t") == 0);
  CHECK(admin->DescribeTopic("t")->partitions.front().size == 0);
}

TEST_CASE("A client that ends its sending after its requests still gets its answers, and is then closed") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  auto admin = Admin::Connect(Client(broker));
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("t"));
  REQUIRE(admin->CreateTopic("empty"));
  RawSocket socket(broker.port());
  constexpr std::uint32_t kRequests = 20;
  std::string all = HelloFrame();
  for (std::uint32_t i = 0; i < kRequests; ++i) all += ProduceFrame("t", MakeBatch({"x"}), 2 + i);
  native::FetchRequest fetch;  // waits for bytes that do not come
  fetch.add_partitions()->set_topic("empty");
  fetch.set_min_bytes(1);
  fetch.set_max_wait_ms(500);
  native::AppendFrame(all, FrameType::kFetch, 0, 99, fetch);
  REQUIRE(socket.Send(all));
  socket.EndSending();
  CHECK(ReceiveFrame(socket).frame.type == FrameType::kHello);
  std::map<std::uint32_t, std::int64_t> produced;  // correlation id to offset
  for (std::uint32_t i = 0; i <= kRequests; ++i) {
    const RawFrame received = ReceiveFrame(socket);
    if (received.frame.type == FrameType::kFetch) CHECK(received.frame.correlation_id == 99);
    native::ProduceResponse response;
    if (received.frame.type != FrameType::kProduce) continue;
    REQUIRE(native::ParseHeader(received.frame.header, response).ok());
    REQUIRE(response.partitions_size() == 1);
    produced[received.frame.correlation_id] = response.partitions(0).base_offset();
  }
  REQUIRE(produced.size() == kRequests);
  for (std::uint32_t i = 0; i < kRequests; ++i) CHECK(produced[2 + i] == i);
  CHECK(socket.ClosedByPeer());
}

TEST_CASE("A connection that sends no byte is closed in time, with one log line; an idle one is kept") {
  BrokerProcess broker({"--ephemeral", "--set", "request_timeout_ms=300"});
  REQUIRE(broker.ready());
  RawSocket idle(broker.port());
  REQUIRE(idle.Send(HelloFrame()));
  REQUIRE(ReceiveFrame(idle).frame.type == FrameType::kHello);
  RawSocket silent(broker.port());
  REQUIRE(silent.connected());
  CHECK(silent.ClosedByPeer());
  CHECK(WaitUntil([&] { return CountLines(broker.errors(), "request_timeout_ms") > 0; }));
  CHECK(CountLines(broker.errors(), "request_timeout_ms") == 1);
  CHECK_THAT(broker.errors(), Catch::Contains("sent no byte in time"));
  // Much longer idle than the other was.
  std::string more;
  native::AppendFrame(more, FrameType::kStats, 0, 7, native::StatsRequest());
  REQUIRE(idle.Send(more));
  CHECK(ReceiveFrame(idle).frame.correlation_id == 7);
}

TEST_CASE("Truncated, oversized and garbage frames: closed, one log line, at most 64 KiB each") {
  BrokerProcess broker({"--ephemeral", "--set", "frame_size_max=1048576", "--set", "reactors=1", "--set",
                        "max.message.bytes=65536"});
  REQUIRE(broker.ready());
  const std::string large(1 << 20, 'g');
  struct Case {
    const char* name;
    std::string bytes;
    bool ends_itself;  // the client, as the broker waits for more
  };
  const std::vector<Case> cases = {
      {"truncated", HelloFrame() + BigEndian32(60'000) + std::string(50'000, 'g'), true},
      {"oversized", HelloFrame() + BigEndian32((1 << 20) + 1) + large, false},
      {"oversized by far", HelloFrame() + BigEndian32(0xffff'fff0) + large, false},
      {"garbage header", HelloFrame() + BigEndian32(65'000) + std::string(65'000, '\xee'), false},
      {"garbage from the first byte", std::string(65'000, '\xee'), false},
      // Large ones that would fit, but whose first bytes tell that they are in vain.
      {"of an unknown type", HelloFrame() + LargeFrame(200, 10), false},
      {"with a header that the frame has no room for", HelloFrame() + LargeFrame(8, 0x7fff'ffff), false},
      {"before Hello", std::string(native::kPreface) + LargeFrame(8, 10), false},
      {"of an unknown Kafka API", BigEndian32(1'000'000) + BigEndian32(0x7000'0000) + large, false},
  };
  std::size_t played = 0;
  for (const Case& one : cases) {
    CAPTURE(one.name);
    const auto play = [&](std::size_t count) {
      // All at once, so that what each costs adds up.
      std::vector<std::unique_ptr<RawSocket>> sockets;
      for (std::size_t i = 0; i < count; ++i) {
        sockets.push_back(std::make_unique<RawSocket>(broker.port()));
        static_cast<void>(sockets.back()->Send(one.bytes));  // the broker may have closed meanwhile
        if (one.ends_itself) sockets.back()->EndSending();
      }
      bool closed = true;
      for (const auto& socket : sockets) closed = closed && socket->ClosedByPeer();
      CHECK(closed);
      played += count;
    };
    constexpr std::size_t kConnections = 100;
    play(kConnections);  // what the first of its kind costs, such as the allocator's arenas
#ifndef HEADRACE_SANITIZED
    std::ofstream("/proc/" + std::to_string(broker.pid()) + "/clear_refs") << 5;  // the peak begins anew
    const std::uint64_t before = MemoryOf(broker, "VmRSS");
    play(kConnections);
    const std::uint64_t peak = MemoryOf(broker, "VmHWM");
    CAPTURE(before, peak);
    CHECK(before > 0);
    CHECK(peak < before + kConnections * (64 << 10));
#endif
  }
  // The same address again and again is counted, not repeated: at most one line in a second.
  auto admin = Admin::Connect(Client(broker));
  REQUIRE(admin);
  const auto stats = admin->Stats();
  REQUIRE(stats);
  CHECK(stats->client_errors == played);
  CHECK(CountLines(broker.errors(), "127.0.0.1") <= 2 + static_cast<std::size_t>(stats->uptime_seconds));
  CHECK(stats->connections == 1);
}

TEST_CASE("One bad frame is one log line, which says who and what") {
  struct Case {
    std::string bytes;
    bool ends_itself;
    std::vector<std::string> said;
  };
  const std::vector<Case> cases = {
      {BigEndian32(5'000'000), false, {"5000000", "1048576"}},
      {BigEndian32(60'000) + std::string(1'000, 'g'), true, {"middle of a request", "1004 bytes"}},
      {LargeFrame(200, 10), false, {"frame type 200 is unknown"}},
      {LargeFrame(8, 999'990), false, {"header of 999990 bytes", "room for 999988", "4194304"}},
  };
  for (const Case& one : cases) {
    BrokerProcess broker(
        {"--ephemeral", "--set", "frame_size_max=1048576", "--set", "max.message.bytes=65536"});
    REQUIRE(broker.ready());
    RawSocket socket(broker.port());
    REQUIRE(socket.Send(HelloFrame()));
    REQUIRE(ReceiveFrame(socket).frame.type == FrameType::kHello);
    static_cast<void>(socket.Send(one.bytes));
    if (one.ends_itself) socket.EndSending();
    CHECK(socket.ClosedByPeer());
    CHECK(WaitUntil([&] { return CountLines(broker.errors(), "warn") > 0; }));
    CHECK(CountLines(broker.errors(), "warn") == 1);
    CHECK_THAT(broker.errors(), Catch::Contains("127.0.0.1:"));
    for (const std::string& part : one.said) CHECK_THAT(broker.errors(), Catch::Contains(part));
    auto admin = Admin::Connect(Client(broker));
    REQUIRE(admin);
    CHECK(admin->Stats()->client_errors == 1);
  }
}
