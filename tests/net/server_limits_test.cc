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

namespace {

double SecondsStalled(const net::Server& server) {
  const auto connections = server.Connections();
  return connections.empty() ? 0 : connections.front().seconds_stalled;
}

}  // namespace

TEST_CASE("Server: too many requests in flight stop the reading until they are answered") {
  net::NetOptions options;
  options.requests_in_flight_max = 8;
  for (const bool when_writable : {false, true}) {
    CAPTURE(when_writable);
    EchoBehaviour behaviour = Withholding();
    behaviour.answers_when_writable = when_writable;
    EchoServer echo(options, behaviour);
    RawClient client(echo.port());
    std::string sent;
    for (int i = 0; i < 1000; ++i) sent += Framed(std::to_string(i));
    REQUIRE(client.Send(sent));
    REQUIRE(Eventually([&] { return echo.frames() == 8; }));
    CHECK(client.Receive(1, Milliseconds(50)).empty());
    CHECK(echo.frames() == 8);
    CHECK(echo.server().Connections().front().requests_in_flight == 8);
    echo.ReleaseAll();
    CHECK((client.Receive(sent.size()) == sent));
  }
}

TEST_CASE("Server: too many bytes in flight stop the reading, but one request may always proceed") {
  net::NetOptions options;
  options.in_flight_bytes_max = 10'000;
  EchoServer echo(options, Withholding());
  RawClient client(echo.port());
  const std::string large = Framed(Pattern(50'000, 1));
  REQUIRE(client.Send(large + large + large));
  REQUIRE(Eventually([&] { return echo.frames() == 1; }));
  CHECK(client.Receive(1, Milliseconds(50)).empty());
  CHECK(echo.frames() == 1);
  echo.ReleaseAll();
  CHECK((client.Receive(3 * large.size()) == large + large + large));
}

TEST_CASE("Server: answers that nobody takes stop the reading") {
  EchoBehaviour behaviour;
  behaviour.answer = [](std::string_view) {
    net::Response response;
    response.pieces.emplace_back(std::string(1 << 20, 'x'));
    return response;
  };
  net::NetOptions options;
  options.in_flight_bytes_max = 4 << 20;
  EchoServer echo(options, behaviour);
  RawClient client(echo.port());
  constexpr std::size_t kRequests = 500;
  std::string sent;
  for (std::size_t i = 0; i < kRequests; ++i) sent += Framed("more");
  REQUIRE(client.Send(sent));
  // The sockets' buffers take some; what waits in memory is bounded.
  REQUIRE(Eventually([&] { return echo.frames() >= 1; }));
  CHECK_FALSE(Eventually([&] { return echo.frames() > 60; }, Milliseconds(300)));
  REQUIRE(echo.server().Connections().size() == 1);
  CHECK(echo.server().Connections().front().bytes_waiting < 2 << 20);
  CHECK(client.Receive(kRequests << 20).size() == kRequests << 20);
}

TEST_CASE("Server: answers that a session holds back stop the reading") {
  std::atomic<std::size_t> held{0};
  EchoBehaviour behaviour = Withholding();
  behaviour.held_bytes = [&] { return held.load(); };
  net::NetOptions options;
  options.in_flight_bytes_max = 10'000;
  EchoServer echo(options, behaviour);
  RawClient client(echo.port());
  const std::string small = Framed("small");
  REQUIRE(client.Send(small));
  REQUIRE(Eventually([&] { return echo.frames() == 1; }));
  held.store(10'000);
  REQUIRE(client.Send(small));
  CHECK(client.Receive(1, Milliseconds(50)).empty());
  CHECK(echo.frames() == 1);
  held.store(0);
  echo.ReleaseAll();
  CHECK(client.Receive(2 * small.size()) == small + small);
}

TEST_CASE("Server: peers that vanish in the middle leave nothing behind") {
  net::NetOptions options;
  options.request_timeout = Milliseconds(500);  // so long a peer that may still read is waited for
  EchoServer echo(options, Withholding());
  for (int i = 0; i < 30; ++i) {
    RawClient in_preface(echo.port(), kPreface.substr(0, 2));
    RawClient in_frame(echo.port());
    REQUIRE(in_frame.Send(Framed(Pattern(1000, 1)).substr(0, 500)));
    RawClient in_large_frame(echo.port());
    REQUIRE(in_large_frame.Send(Framed(Pattern(300'000, 1)).substr(0, 100'000)));
    RawClient in_flight(echo.port());
    REQUIRE(in_flight.Send(Framed(Pattern(300'000, 1))));
    if (i % 2 == 0) in_large_frame.Reset();
  }
  CHECK(Eventually([&] { return echo.server().Stats().connections == 0; }));
  CHECK(echo.server().Connections().empty());
}

TEST_CASE("Server: a request that is not complete in time ends its connection") {
  net::NetOptions options;
  options.request_timeout = Milliseconds(200);
  EchoServer echo(options);
  RawClient whole(echo.port());
  REQUIRE(whole.Send(Framed("whole")));
  RawClient in_preface(echo.port(), kPreface.substr(0, 3));
  RawClient in_frame(echo.port());
  REQUIRE(in_frame.Send(Framed("whole") + Framed("partial").substr(0, 5)));
  CHECK(in_frame.IsClosedWithin(testing::kPatience));
  CHECK(in_preface.IsClosedWithin(testing::kPatience));
  CHECK(echo.server().Stats().client_errors == 2);
  // An idle connection may stay.
  CHECK(whole.ReceiveFrame() == "whole");
  REQUIRE(whole.Send(Framed("again")));
  CHECK(whole.ReceiveFrame() == "again");
}

TEST_CASE("Server: who sends no byte at all is closed in time; who has begun may be idle") {
  net::NetOptions options;
  options.request_timeout = Milliseconds(200);
  EchoServer echo(options);
  RawClient idle(echo.port());  // only its preface
  REQUIRE(Eventually([&] { return echo.server().Stats().bytes_in == kPreface.size(); }));
  for (int i = 1; i <= 2; ++i) {
    RawClient silent(echo.port(), "");
    REQUIRE(silent.connected());
    CHECK(silent.IsClosedWithin(testing::kPatience));
    CHECK(echo.server().Stats().client_errors == static_cast<std::uint64_t>(i));
  }
  CHECK(Eventually([&] { return echo.server().Stats().connections == 1; }));
  REQUIRE(idle.Send(Framed("at last")));
  CHECK(idle.ReceiveFrame() == "at last");
}

TEST_CASE("Server: who ends its requests is still answered, and then closed") {
  for (const bool when_writable : {false, true}) {
    CAPTURE(when_writable);
    EchoBehaviour behaviour = Withholding();
    behaviour.answers_when_writable = when_writable;
    EchoServer echo({}, behaviour);
    RawClient client(echo.port());
    const std::string sent = Framed("one") + Framed(Pattern(300'000, 1)) + Framed("three");
    REQUIRE(client.Send(sent + "\0"));  // and the first byte of a fourth, which will never come
    REQUIRE(::shutdown(client.socket(), SHUT_WR) == 0);
    REQUIRE(Eventually([&] { return echo.frames() == 3; }));
    CHECK_FALSE(client.IsClosedWithin(Milliseconds(50)));
    echo.ReleaseAll();
    CHECK((client.Receive(sent.size()) == sent));
    CHECK(client.IsClosedWithin(testing::kPatience));
    CHECK(Eventually([&] { return echo.server().Stats().connections == 0; }));
    CHECK(echo.server().Stats().client_errors == 0);
  }
}

TEST_CASE("Server: who ends its requests gets answers whole that are larger than its sockets hold") {
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(8 << 20, 1));
  EchoServer echo({}, AnsweringWith(file.Slice(0, 8 << 20)));
  RawClient client(echo.port(), kPreface, 64 << 10);
  REQUIRE(client.Send(Framed("give") + Framed("give")));
  REQUIRE(::shutdown(client.socket(), SHUT_WR) == 0);
  CHECK(client.Receive(2 * ((8 << 20) + 6)).size() == 2 * ((8 << 20) + 6));
  CHECK(client.IsClosedWithin(testing::kPatience));
}

TEST_CASE("Server: who ends its requests, and is never answered, is not kept for ever") {
  net::NetOptions options;
  options.request_timeout = Milliseconds(200);
  EchoServer echo(options, Withholding());
  RawClient client(echo.port());
  REQUIRE(client.Send(Framed("one")));
  REQUIRE(::shutdown(client.socket(), SHUT_WR) == 0);
  REQUIRE(Eventually([&] { return echo.frames() == 1; }));
  CHECK(Eventually([&] { return echo.server().Stats().connections == 0; }));
  CHECK(echo.closed() == 1);
}

TEST_CASE("Server: who ends its requests is told to its session, also while it is not read") {
  EchoBehaviour behaviour = Withholding();
  behaviour.answers_at_end = true;
  net::NetOptions options;
  options.requests_in_flight_max = 2;
  EchoServer echo(options, behaviour);
  for (const bool whole_close : {false, true}) {
    CAPTURE(whole_close);
    for (const std::uint64_t count : std::vector<std::uint64_t>{1, 2, 5}) {
      CAPTURE(count);
      auto client = std::make_unique<RawClient>(echo.port());
      std::string sent;
      for (std::uint64_t i = 0; i < count; ++i) sent += Framed(std::to_string(i));
      const std::uint64_t before = echo.frames();
      REQUIRE(client->Send(sent));
      REQUIRE(Eventually([&] { return echo.frames() == before + std::min<std::uint64_t>(count, 2); }));
      if (whole_close) {
        client.reset();
      } else {
        REQUIRE(::shutdown(client->socket(), SHUT_WR) == 0);
        CHECK(client->Receive(sent.size()) == sent);
      }
      CHECK(Eventually([&] { return echo.server().Stats().connections == 0; }));
    }
  }
}

TEST_CASE("Server: what a closed connection had queued is let go, whoever still holds the connection") {
  const TempDir directory;
  std::shared_ptr<net::Channel> held;
  EchoBehaviour behaviour;
  behaviour.on_open = [&held](const std::shared_ptr<net::Channel>& channel) { held = channel; };
  const auto slice = std::make_shared<storage::FileSlice>(
      ContentFile(directory / "log", Pattern(8 << 20, 1)).Slice(0, 8 << 20));
  const std::weak_ptr<const storage::File> pinned = slice->file;
  behaviour.answer = [slice](std::string_view) {
    net::Response response;
    response.pieces.emplace_back(std::move(*slice));
    return response;
  };
  EchoServer echo({}, behaviour);
  RawClient client(echo.port(), kPreface, 4096);
  REQUIRE(client.Send(Framed("give")));
  REQUIRE(Eventually([&] { return SecondsStalled(echo.server()) > 0; }));
  CHECK_FALSE(pinned.expired());
  client.Reset();
  REQUIRE(Eventually([&] { return echo.server().Stats().connections == 0; }));
  CHECK(Eventually([&] { return pinned.expired(); }));
  held.reset();
}

TEST_CASE("Server: bytes that come now and then do not hold the time of a request off") {
  net::NetOptions options;
  options.request_timeout = Milliseconds(200);
  EchoServer echo(options);
  RawClient client(echo.port());
  REQUIRE(client.Send(Framed(Pattern(100'000, 1)).substr(0, 4)));
  bool closed = false;
  for (int i = 0; i < 1000 && !closed; ++i) {
    client.Send("x");
    closed = client.IsClosedWithin(Milliseconds(20));
  }
  CHECK(closed);
}

TEST_CASE("Server: the time in which the broker does not read is not the peer's") {
  net::NetOptions options;
  options.request_timeout = Milliseconds(100);
  options.requests_in_flight_max = 1;
  EchoServer echo(options, Withholding());
  RawClient client(echo.port());
  REQUIRE(client.Send(Framed("first") + Framed("second").substr(0, 6)));
  REQUIRE(Eventually([&] { return echo.frames() == 1; }));
  CHECK_FALSE(client.IsClosedWithin(Milliseconds(400)));
  echo.ReleaseAll();
  REQUIRE(client.Send(Framed("second").substr(6)));
  CHECK(client.ReceiveFrame() == "first");
  CHECK(client.ReceiveFrame() == "second");
}

TEST_CASE("Server: a peer that takes nothing is closed, with what it pins") {
  net::NetOptions options;
  options.stall_timeout = Milliseconds(200);
  const TempDir directory;
  auto file = std::make_unique<ContentFile>(directory / "log", Pattern(8 << 20, 1));
  EchoServer echo(options, AnsweringWith(file->Slice(0, 8 << 20)));
  RawClient client(echo.port(), kPreface, 4096);
  REQUIRE(client.Send(Framed("give") + Framed("give") + Framed("give")));
  REQUIRE(Eventually([&] { return echo.frames() == 3; }));
  CHECK(Eventually([&] { return echo.server().Stats().connections == 0; }));
  CHECK(echo.server().Stats().client_errors == 1);
}

TEST_CASE("Server: a slow reader that takes a little keeps its connection") {
  net::NetOptions options;
  options.stall_timeout = Milliseconds(500);
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(8 << 20, 1));
  EchoServer echo(options, AnsweringWith(file.Slice(0, 8 << 20)));
  // So little that the server's socket does not become writable within the stall time.
  RawClient client(echo.port(), kPreface, 16 << 10);
  REQUIRE(client.Send(Framed("give")));
  const auto until = std::chrono::steady_clock::now() + Milliseconds(2500);
  while (std::chrono::steady_clock::now() < until) {
    if (client.Receive(4 << 10).size() < 4 << 10) break;
    Eventually([] { return false; }, Milliseconds(50));  // the reader's pace
  }
  CHECK(std::chrono::steady_clock::now() >= until);
  CHECK(echo.server().Stats().connections == 1);
}

TEST_CASE("Server: a slow reader does not stop others on its reactor") {
  net::NetOptions options;
  options.reactors = 1;
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(8 << 20, 1));
  EchoBehaviour behaviour = AnsweringWith(file.Slice(0, 8 << 20));
  behaviour.answer = [slices = behaviour.answer](std::string_view body) {
    if (body == "give") return slices(body);
    net::Response response;
    response.pieces.emplace_back(Framed(body));
    return response;
  };
  EchoServer echo(options, behaviour);
  RawClient slow(echo.port());
  REQUIRE(slow.Send(Framed("give") + Framed("give")));
  REQUIRE(Eventually([&] { return SecondsStalled(echo.server()) > 0; }));
  CHECK(echo.server().Connections().front().bytes_waiting > 0);
  RawClient quick(echo.port());
  for (int i = 0; i < 100; ++i) {
    REQUIRE(quick.Send(Framed("quick")));
    REQUIRE(quick.ReceiveFrame() == "quick");
  }
  CHECK(slow.Receive(2 * ((8 << 20) + 6)).size() == 2 * ((8 << 20) + 6));
}

TEST_CASE("Server: connections over the limit are refused, and places come back") {
  net::NetOptions options;
  options.connections_max = 2;
  EchoServer echo(options);
  RawClient first(echo.port());
  REQUIRE(first.Send(Framed("1")));
  CHECK(first.ReceiveFrame() == "1");
  {
    RawClient second(echo.port());
    REQUIRE(second.Send(Framed("2")));
    CHECK(second.ReceiveFrame() == "2");
    RawClient third(echo.port());
    CHECK(third.IsClosedWithin(testing::kPatience));
    CHECK(echo.server().Stats().connections == 2);
    CHECK(echo.server().Stats().client_errors == 1);
  }
  REQUIRE(Eventually([&] { return echo.server().Stats().connections == 1; }));
  RawClient fourth(echo.port());
  REQUIRE(fourth.Send(Framed("4")));
  CHECK(fourth.ReceiveFrame() == "4");
}

TEST_CASE("Server: large requests share a budget: over it they wait their turn, and all come through") {
  net::NetOptions options;
  options.request_memory_max = 1 << 20;
  EchoServer echo(options, Withholding());
  const std::string large = Framed(Pattern(900'000, 1));
  RawClient first(echo.port());
  RawClient second(echo.port());
  REQUIRE(first.Send(large));
  REQUIRE(Eventually([&] { return echo.frames() == 1; }));
  // The second is read up to a chunk and what its sockets hold; small requests are not held up by it.
  second.SendSome(large, Milliseconds(50));
  RawClient small(echo.port());
  REQUIRE(small.Send(Framed("small")));
  REQUIRE(Eventually([&] { return echo.frames() == 2; }));
  CHECK_FALSE(Eventually([&] { return echo.frames() > 2; }, Milliseconds(100)));
  const auto began = std::chrono::steady_clock::now();
  echo.ReleaseAll();
  CHECK((first.Receive(large.size()) == large));
  REQUIRE(Eventually([&] { return echo.frames() == 3; }));
  CHECK(std::chrono::steady_clock::now() - began < Milliseconds(900));
  CHECK((second.Receive(large.size()) == large));
}

TEST_CASE("Server: who keeps others from their memory by sending nothing is closed; alone he has his time") {
  net::NetOptions options;
  options.request_memory_max = 1 << 20;
  options.request_timeout = Milliseconds(16'000);
  options.stall_timeout = Milliseconds(1000);  // so that deadlines are looked at often
  EchoServer echo(options);
  const std::string large = Framed(Pattern(900'000, 1));
  RawClient quiet(echo.port());
  REQUIRE(quiet.Send(large.substr(0, 70'000)));
  CHECK_FALSE(quiet.IsClosedWithin(Milliseconds(1500)));
  const auto began = std::chrono::steady_clock::now();
  RawClient other(echo.port());
  REQUIRE(other.Send(large));
  CHECK((other.Receive(large.size()) == large));
  CHECK(std::chrono::steady_clock::now() - began < Milliseconds(12'000));
  CHECK(quiet.IsClosedWithin(testing::kPatience));
  CHECK(echo.server().Stats().client_errors == 1);
}

TEST_CASE("Server: small requests share a budget: over it who has many in flight is not read") {
  net::NetOptions options;
  options.small_requests_max = 1 << 20;
  EchoServer echo(options, Withholding());
  const std::string request = Framed(Pattern(50'000, 1));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(std::make_unique<RawClient>(echo.port()));
    for (int n = 0; n < 40; ++n) clients.back()->SendSome(request, Milliseconds(0));
  }
  // Each has two in flight at least, which are over 64 KiB; all of them together what fits beside.
  REQUIRE(Eventually([&] { return echo.frames() >= 20; }));
  CHECK_FALSE(Eventually([&] { return echo.frames() > 21 + 20; }, Milliseconds(200)));
  const std::uint64_t before = echo.frames();
  RawClient late(echo.port());
  REQUIRE(late.Send(Framed("late")));
  REQUIRE(Eventually([&] { return echo.frames() > before; }));
  clients.resize(5);  // what others had in flight is over with them
  echo.ReleaseAll();
  CHECK(Eventually([&] { return echo.server().Stats().connections == 6; }));
  for (const auto& client : clients) CHECK(client->ReceiveFrame().size() == 50'000);
  CHECK(late.ReceiveFrame() == "late");
}

TEST_CASE("Server: connections that close give their request memory back") {
  net::NetOptions options;
  options.request_memory_max = 1 << 20;
  EchoServer echo(options, Withholding());
  const std::string large = Framed(Pattern(900'000, 1));
  for (int i = 0; i < 4; ++i) {
    RawClient in_flight(echo.port());
    const std::uint64_t before = echo.frames();
    REQUIRE(in_flight.Send(large));
    REQUIRE(Eventually([&] { return echo.frames() == before + 1; }));
    in_flight.Reset();
    RawClient partial(echo.port());
    partial.SendSome(large.substr(0, 400'000), Milliseconds(50));
    partial.Reset();
  }
  CHECK(Eventually([&] { return echo.server().Stats().connections == 0; }));
  echo.ReleaseAll();
  RawClient after(echo.port());
  REQUIRE(after.Send(large));
  CHECK((after.Receive(large.size()) == large));
}
