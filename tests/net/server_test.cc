#include "broker/net/server.h"

#include <catch2/catch.hpp>

#include "tests/support/content_file.h"
#include "tests/support/echo_server.h"

using namespace headrace;
using testing::AnsweringWith;
using testing::ContentFile;
using testing::EchoBehaviour;
using testing::EchoServer;
using testing::Eventually;
using testing::Framed;
using testing::kPreface;
using testing::Milliseconds;
using testing::Pattern;
using testing::RawClient;
using testing::TempDir;
using testing::Withholding;

TEST_CASE("Server: frames are answered, in their order, on the port it tells") {
  EchoServer echo;
  REQUIRE(echo.port() != 0);
  RawClient client(echo.port());
  REQUIRE(client.connected());
  for (const std::size_t size : {1U, 100U, 65'532U, 65'533U, 3'000'000U, 7U}) {
    const std::string body = Pattern(size, size);
    REQUIRE(client.Send(Framed(body)));
    CHECK((client.ReceiveFrame() == body));
  }
  const net::ServerStats stats = echo.server().Stats();
  CHECK(stats.connections == 1);
  CHECK(stats.connections_total == 1);
  CHECK(stats.requests == 6);
  CHECK(stats.client_errors == 0);
  const auto connections = echo.server().Connections();
  REQUIRE(connections.size() == 1);
  CHECK(connections.front().peer.starts_with("127.0.0.1:"));
  CHECK(connections.front().bytes_in == stats.bytes_in);
  CHECK(connections.front().requests_in_flight == 0);
}

TEST_CASE("Server: 10,000 frames in a row") {
  EchoServer echo;
  RawClient client(echo.port());
  std::string sent;
  for (int i = 0; i < 10'000; ++i) sent += Framed("frame " + std::to_string(i));
  REQUIRE(client.Send(sent));
  CHECK((client.Receive(sent.size()) == sent));
  CHECK(echo.server().Stats().requests == 10'000);
}

TEST_CASE("Server: one byte at a time, the preface included") {
  EchoServer echo;
  RawClient client(echo.port(), "");
  const std::string bytes = std::string(kPreface) + Framed("drop") + Framed("by drop");
  for (const char byte : bytes) REQUIRE(client.Send({&byte, 1}));
  CHECK(client.ReceiveFrame() == "drop");
  CHECK(client.ReceiveFrame() == "by drop");
}

TEST_CASE("Server: what is no frame is refused at once, and nothing is allocated for it") {
  EchoServer echo({}, {}, 1 << 20);
  const std::uint32_t lengths[] = {0, (1 << 20) + 1, 0x7fffffff, 0x80000000, 0xffffffff};
  std::uint64_t errors = 0;
  for (const std::uint32_t length : lengths) {
    CAPTURE(length);
    RawClient client(echo.port());
    std::string frame(4, '\0');
    StoreBigEndian(reinterpret_cast<std::byte*>(frame.data()), length);
    REQUIRE(client.Send(Framed("before") + frame + "junk"));
    CHECK(client.IsClosedWithin(testing::kPatience));
    CHECK(echo.server().Stats().client_errors == ++errors);
  }
}

TEST_CASE("Server: other protocols are refused by their first bytes") {
  EchoServer echo;
  const std::string_view firsts[] = {{"\x16\x03\x01\x02\x00\x01\x00", 7},
                                     "GET / HTTP/1.1\r\n\r\n",
                                     "POST /topics HTTP/1.1\r\n",
                                     {"\x00\x00\x00\x1a\x00\x12", 6},
                                     "SSH-2.0-OpenSSH_9.2\r\n",
                                     "PROXY TCP4 1.2.3.4 5.6.7.8\r\n",
                                     "\xff\xfe\xfd",
                                     std::string_view("\0\0\0\0", 4),
                                     "G"};
  for (const std::string_view first : firsts) {
    CAPTURE(first);
    RawClient client(echo.port(), first);
    CHECK(client.IsClosedWithin(testing::kPatience));
  }
  CHECK(echo.server().Stats().client_errors == std::size(firsts));
  RawClient client(echo.port());
  REQUIRE(client.Send(Framed("still there")));
  CHECK(client.ReceiveFrame() == "still there");
}

TEST_CASE(
    "Server: a session's error, or its wish, closes the connection after what was answered has gone out") {
  EchoServer echo;
  for (const char* last : {"fail", "close"}) {
    RawClient client(echo.port());
    REQUIRE(client.Send(Framed("one") + Framed("two") + Framed(last)));
    CHECK(client.ReceiveFrame() == "one");
    CHECK(client.ReceiveFrame() == "two");
    CHECK(client.IsClosedWithin(testing::kPatience));
  }
  CHECK(echo.server().Stats().client_errors == 2);
  CHECK(Eventually([&] { return echo.closed() == 2; }));
}

TEST_CASE("Server: the last answers arrive whole though the peer has sent more") {
  EchoServer echo;
  // What is behind the refused frame stays unread: closing at once would reset, and lose what is on its way.
  const std::string answer = Framed(Pattern(3'000'000, 1));
  RawClient client(echo.port(), kPreface, 16 << 10);  // most is still in the server's socket
  REQUIRE(client.Send(answer + Framed("fail") + std::string(100'000, 'x')));
  CHECK((client.Receive(answer.size()) == answer));
  CHECK(client.IsClosedWithin(testing::kPatience));
}

TEST_CASE("Server: a peer that does not end after its connection was refused is cut") {
  EchoServer echo;
  RawClient client(echo.port());
  REQUIRE(client.Send(Framed("fail")));
  CHECK(client.IsClosedWithin(testing::kPatience));
  // The client keeps its side open.
  CHECK(Eventually([&] { return echo.server().Stats().connections == 0; }));
}

TEST_CASE("Server: a port in use and an address that is not ours are named") {
  EchoServer echo;
  storage::FilePool pool(1);
  net::NetOptions options;
  options.port = echo.port();
  net::Server second(options, pool, {});
  const absl::Status in_use = second.Start();
  REQUIRE_FALSE(in_use.ok());
  const std::string text(in_use.message());
  CHECK(text.find("127.0.0.1") != std::string::npos);
  CHECK(text.find(std::to_string(echo.port())) != std::string::npos);
  CHECK(text.find("in use") != std::string::npos);
  for (const char* address : {"192.0.2.1", "not an address"}) {
    options.address = address;
    net::Server third(options, pool, {});
    const absl::Status refused = third.Start();
    REQUIRE_FALSE(refused.ok());
    CHECK(std::string(refused.message()).find(address) != std::string::npos);
  }
}

TEST_CASE("Server: 1,000 connections end within seconds, and what was asked is answered") {
  EchoServer echo;
  std::vector<RawClient> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.emplace_back(echo.port());
    REQUIRE(clients.back().connected());
    REQUIRE(clients.back().Send(Framed(std::to_string(i))));
  }
  REQUIRE(Eventually([&] { return echo.frames() == 1000; }));
  const auto began = std::chrono::steady_clock::now();
  echo.server().StopAccepting();
  CHECK_FALSE(RawClient(echo.port()).connected());
  echo.server().CloseAll(began + std::chrono::seconds(5));
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
  CHECK(echo.server().Stats().connections == 0);
  CHECK(echo.closed() == 1000);
  std::size_t answered = 0;
  for (std::size_t i = 0; i < clients.size(); ++i) answered += clients[i].ReceiveFrame() == std::to_string(i);
  CHECK(answered == clients.size());
}

TEST_CASE("Server: closing waits for requests in flight, and no longer than its deadline") {
  EchoServer echo({}, Withholding());
  RawClient client(echo.port());
  REQUIRE(client.Send(Framed("asked")));
  REQUIRE(Eventually([&] { return echo.frames() == 1; }));
  echo.server().StopAccepting();
  const auto began = std::chrono::steady_clock::now();
  SECTION("answered in time") {
    std::thread answers([&] {
      Eventually([] { return false; }, Milliseconds(100));
      echo.ReleaseAll();
    });
    echo.server().CloseAll(began + testing::kPatience);
    answers.join();
    CHECK(client.ReceiveFrame() == "asked");
    CHECK(std::chrono::steady_clock::now() - began < testing::kPatience);
  }
  SECTION("not answered") {
    echo.server().CloseAll(began + Milliseconds(100));
    CHECK(std::chrono::steady_clock::now() - began >= Milliseconds(100));
    CHECK(client.IsClosedWithin(testing::kPatience));
  }
  CHECK(echo.closed() == 1);
}

TEST_CASE("Server: a cold slice is warmed by the pool, and arrives whole") {
  for (const net::ResidencyProbe probe : {net::ResidencyProbe::kCachestat, net::ResidencyProbe::kNowait}) {
    CAPTURE(static_cast<int>(probe));
    const TempDir directory;
    ContentFile file(directory / "log", Pattern(3 << 20, 1));
    net::NetOptions options;
    options.residency = probe;
    EchoServer echo(options, AnsweringWith(file.Slice(0, 3 << 20)));
    RawClient client(echo.port());
    const std::string expected = "header" + std::string(file.Expected(0, 3 << 20));
    file.MakeCold();
    if (net::IsResident(file.Slice(0, 3 << 20), probe)) continue;  // a kernel without this probe
    // The nowait probe begins to read what it asks for: a quick disk may be done before the kernel looks
    // again.
    std::uint64_t cold = 0;
    for (int attempt = 0; attempt < 10 && cold == 0; ++attempt) {
      file.MakeCold();
      REQUIRE(client.Send(Framed("give")));
      CHECK((client.Receive(expected.size()) == expected));
      cold = echo.server().Stats().cold_reads;
    }
    CHECK(cold > 0);
    REQUIRE(client.Send(Framed("give")));
    CHECK((client.Receive(expected.size()) == expected));
    CHECK(echo.server().Stats().cold_reads == cold);
  }
}

TEST_CASE("Server: a server ends while its pool still warms for it") {
  const TempDir directory;
  ContentFile file(directory / "log", Pattern(8 << 20, 1));
  for (int i = 0; i < 5; ++i) {
    EchoServer echo({}, AnsweringWith(file.Slice(0, 8 << 20)));
    std::vector<RawClient> clients;
    for (int j = 0; j < 8; ++j) clients.emplace_back(echo.port());
    file.MakeCold();
    for (RawClient& client : clients) REQUIRE(client.Send(Framed("give")));
    REQUIRE(Eventually([&] { return echo.frames() > 0; }));
  }
}

TEST_CASE("Server: what other threads post runs on the connection's reactor, also when it is gone") {
  core::Mutex mutex;
  std::vector<std::shared_ptr<net::Channel>> channels;
  std::atomic<int> ran{0};
  std::atomic<int> timers{0};
  EchoBehaviour behaviour;
  behaviour.on_open = [&](const std::shared_ptr<net::Channel>& channel) {
    channel->SetClientId("tester");
    const auto now = std::chrono::steady_clock::now();
    channel->StartTimer(now + Milliseconds(20), [&] { timers.fetch_add(1); });
    channel->CancelTimer(channel->StartTimer(now + Milliseconds(1), [&] { timers.fetch_add(100); }));
    const core::MutexLock lock(mutex);
    channels.push_back(channel);
  };
  EchoServer echo({}, behaviour);
  {
    RawClient client(echo.port());
    REQUIRE(client.Send(Framed("open")));
    CHECK(client.ReceiveFrame() == "open");
    CHECK(echo.server().Connections().front().client_id == "tester");
    CHECK(Eventually([&] { return timers.load() == 1; }));
  }
  REQUIRE(Eventually([&] { return echo.closed() == 1; }));
  std::shared_ptr<net::Channel> channel;
  {
    const core::MutexLock lock(mutex);
    channel = std::move(channels.front());
    channels.clear();
  }
  channel->Post([&ran, channel] {
    channel->Send({{std::string("to nobody")}, 0});
    channel->FinishRequest(10);
    channel->Close("again");
    ran.fetch_add(1);
  });
  CHECK(Eventually([&] { return ran.load() == 1; }));
}
