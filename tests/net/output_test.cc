#include "broker/net/output.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <csignal>
#include <random>

#include "tests/support/content_file.h"

using namespace headrace;
using net::Output;
using net::Response;
using net::Transfer;
using testing::ContentFile;
using testing::Pattern;
using testing::TempDir;

namespace {

constexpr std::size_t kFileSize = 6 << 20;

// Two ends of a loopback connection, both non-blocking.
class SocketPair {
 public:
  SocketPair() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener, 1) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    peer_ = ::socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(::connect(peer_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    ours_ = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    REQUIRE(ours_ >= 0);
    ::close(listener);
    ::fcntl(peer_, F_SETFL, O_NONBLOCK);
  }
  ~SocketPair() {
    ::close(ours_);
    ClosePeer();
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;

  int ours() const { return ours_; }
  void ClosePeer() {
    if (peer_ >= 0) ::close(peer_);
    peer_ = -1;
  }
  // What has arrived, waiting for at most `wait_ms` for the first of it.
  std::string Take(int wait_ms) {
    pollfd waiting{peer_, POLLIN, 0};
    std::string taken;
    if (::poll(&waiting, 1, wait_ms) <= 0) return taken;
    char buffer[1 << 16];
    for (ssize_t count = 0; (count = ::recv(peer_, buffer, sizeof buffer, 0)) > 0;)
      taken.append(buffer, static_cast<std::size_t>(count));
    return taken;
  }

 private:
  int ours_ = -1;
  int peer_ = -1;
};

// An output on a socket, and what it should come to.
struct Sender {
  explicit Sender(std::string_view transfer)
      : choice(*net::ParseTransfer(transfer)),
        output(sockets.ours(), choice, net::ResidencyProbe::kOff, own, total) {}

  void Add(const ContentFile& file, std::string_view header, std::uint64_t position, std::uint64_t length) {
    Response response;
    response.pieces.emplace_back(std::string(header));
    response.pieces.emplace_back(file.Slice(position, length));
    output.Add(std::move(response));
    expected.append(header).append(file.Expected(position, length));
  }

  // Sends and takes in turns until all is through.
  std::string Run(std::uint64_t budget) {
    std::string received;
    for (int idle = 0; received.size() < expected.size() && idle < 3;) {
      const Output::Outcome outcome = output.Flush(budget);
      if (outcome == Output::Outcome::kFailed || outcome == Output::Outcome::kPeerGone) break;
      const std::string taken = sockets.Take(outcome == Output::Outcome::kTurnOver ? 0 : 2000);
      received += taken;
      idle = taken.empty() && outcome != Output::Outcome::kTurnOver ? idle + 1 : 0;
    }
    return received;
  }

  SocketPair sockets;
  net::TransferChoice choice;
  net::TransferCounters own;
  net::TransferCounters total;
  std::string expected;
  Output output;
};

net::StrategySnapshot Of(const net::TransferCounters& counters, Transfer transfer) {
  return counters.Snapshot()[static_cast<std::size_t>(transfer)];
}

const char* const kTransfers[] = {"sendfile", "mmap", "read", "auto"};

}  // namespace

TEST_CASE("Output: every way sends the same bytes, for slices of any size and place") {
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(kFileSize, 3));
  for (const char* transfer : kTransfers) {
    CAPTURE(transfer);
    std::mt19937_64 random(11);
    Sender sender(transfer);
    std::uint64_t record_bytes = 0;
    for (int i = 0; i < 60; ++i) {
      const std::uint64_t length = 1 + random() % (i % 10 == 0 ? 1'500'000 : 40'000);
      const std::uint64_t position = random() % (kFileSize - length);
      sender.Add(file, Pattern(random() % 300, random()), position, length);
      record_bytes += length;
    }
    CHECK(sender.output.waiting() == sender.expected.size());
    const std::string received = sender.Run(1 + random() % 300'000);
    CHECK(received.size() == sender.expected.size());
    CHECK((received == sender.expected));
    CHECK(sender.output.waiting() == 0);
    CHECK(sender.output.sent() == sender.expected.size());
    std::uint64_t counted = 0;
    for (const net::StrategySnapshot& strategy : sender.own.Snapshot()) counted += strategy.bytes;
    CHECK(counted == record_bytes);
  }
}

TEST_CASE("Output: a forced way carries all record bytes, and only it is counted") {
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(kFileSize, 3));
  for (const Transfer transfer : {Transfer::kSendfile, Transfer::kMmap, Transfer::kRead}) {
    CAPTURE(NameOf(transfer));
    Sender sender(NameOf(transfer));
    sender.Add(file, "header", 10, 100);
    sender.Add(file, "header", 5000, 2'000'000);
    CHECK((sender.Run(1 << 20) == sender.expected));
    for (const net::TransferCounters* counters : {&sender.own, &sender.total}) {
      const net::TransferSnapshot snapshot = counters->Snapshot();
      for (std::size_t i = 0; i < net::kTransferCount; ++i) {
        const bool used = i == static_cast<std::size_t>(transfer);
        CHECK(snapshot[i].bytes == (used ? 2'000'100U : 0U));
        CHECK((snapshot[i].calls > 0) == used);
      }
    }
  }
}

TEST_CASE("Output: sendfile brings no record byte into user space, the other ways every one") {
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(kFileSize, 3));
  for (const Transfer transfer : {Transfer::kSendfile, Transfer::kMmap, Transfer::kRead}) {
    CAPTURE(NameOf(transfer));
    Sender sender(NameOf(transfer));
    sender.Add(file, "header", 0, kFileSize);
    CHECK((sender.Run(1 << 20) == sender.expected));
    const net::StrategySnapshot counted = Of(sender.own, transfer);
    if (transfer == Transfer::kSendfile) {
      CHECK(counted.bytes_through_user == 0);
    } else {
      CHECK(counted.bytes_through_user >= kFileSize);
    }
  }
}

TEST_CASE("Output: under auto small slices are read and sent with their header in one call") {
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(kFileSize, 3));
  Sender sender("auto");
  sender.Add(file, "header", 0, sender.choice.read_below - 1);
  CHECK(sender.output.Flush(1 << 20) == Output::Outcome::kDrained);
  CHECK(Of(sender.own, Transfer::kRead).calls == 1);
  CHECK(Of(sender.own, Transfer::kRead).bytes == sender.choice.read_below - 1);
  sender.Add(file, "header", 0, sender.choice.read_below);
  CHECK(sender.output.Flush(1 << 20) == Output::Outcome::kDrained);
  CHECK(Of(sender.own, Transfer::kRead).calls == 1);
  CHECK(Of(sender.own, Transfer::kSendfile).calls == 1);
  CHECK((sender.Run(1 << 20) == sender.expected));
}

TEST_CASE("Output: small slices and what stands between them go with one call, as far as the buffer goes") {
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(kFileSize, 3));
  Sender sender("auto");
  for (std::uint64_t i = 0; i < 40; ++i) sender.Add(file, "header " + std::to_string(i), i * 5000, 100 + i);
  CHECK(sender.output.Flush(1 << 20) == Output::Outcome::kDrained);
  CHECK(Of(sender.own, Transfer::kRead).calls == 1);
  CHECK(Of(sender.own, Transfer::kRead).bytes == 40 * 100 + 39 * 40 / 2);
  CHECK(Of(sender.own, Transfer::kRead).bytes_through_user == Of(sender.own, Transfer::kRead).bytes);
  CHECK(Of(sender.own, Transfer::kRead).short_sends == 0);
  for (std::uint64_t i = 0; i < 20; ++i) sender.Add(file, "header", i, 10'000);  // six of them fill 64 KiB
  CHECK(sender.output.Flush(1 << 20) == Output::Outcome::kDrained);
  CHECK(Of(sender.own, Transfer::kRead).calls == 1 + 4);
  sender.Add(file, "small", 7, 1000);
  sender.Add(file, "large", 9, 100'000);
  sender.Add(file, "small", 8, 1000);
  CHECK(sender.output.Flush(1 << 20) == Output::Outcome::kDrained);
  CHECK(Of(sender.own, Transfer::kRead).calls == 1 + 4 + 2);
  CHECK(Of(sender.own, Transfer::kSendfile).bytes == 100'000);
  CHECK(sender.output.waiting_in_memory() == 0);
  CHECK((sender.Run(1 << 20) == sender.expected));
}

TEST_CASE("Output: a small slice that is cold stops a gather before it, and goes when it is warm") {
  const TempDir directory;
  const ContentFile hot(directory / "hot", Pattern(100'000, 3));
  ContentFile cold(directory / "cold", Pattern(100'000, 4));
  for (const net::ResidencyProbe probe : {net::ResidencyProbe::kAuto, net::ResidencyProbe::kNowait}) {
    cold.MakeCold();
    SocketPair sockets;
    const net::TransferChoice choice;
    net::TransferCounters own;
    net::TransferCounters total;
    Output output(sockets.ours(), choice, probe, own, total);
    Response response;
    response.pieces.emplace_back(hot.Slice(10, 500));
    response.pieces.emplace_back(std::string("between"));
    response.pieces.emplace_back(cold.Slice(50'000, 500));
    response.pieces.emplace_back(hot.Slice(20, 500));
    output.Add(std::move(response));
    CHECK(output.Flush(1 << 20) == Output::Outcome::kCold);
    CHECK(output.sent() == 507);
    CHECK(output.cold().file->path() == cold.path());
    net::WarmUp(output.cold());
    output.MarkWarm();
    CHECK(output.Flush(1 << 20) == Output::Outcome::kDrained);
    std::string expected(hot.Expected(10, 500));
    expected.append("between").append(cold.Expected(50'000, 500)).append(hot.Expected(20, 500));
    std::string received;
    while (received.size() < expected.size()) {
      const std::string taken = sockets.Take(2000);
      if (taken.empty()) break;
      received += taken;
    }
    CHECK((received == expected));
  }
}

TEST_CASE("Output: cleared, it keeps nothing") {
  const TempDir directory;
  auto file = std::make_unique<ContentFile>(directory / "log", Pattern(100'000, 3));
  const storage::FileSlice slice = file->Slice(0, 50'000);
  const long before = slice.file.use_count();
  Sender sender("auto");
  sender.Add(*file, "header", 0, 50'000);
  CHECK(slice.file.use_count() == before + 1);
  sender.output.Clear();
  CHECK(slice.file.use_count() == before);
  CHECK(sender.output.waiting() == 0);
  CHECK(sender.output.Flush(1 << 20) == Output::Outcome::kDrained);
}

TEST_CASE("Output: empty pieces are nothing, and many byte runs go together") {
  Sender sender("auto");
  Response response;
  for (int i = 0; i < 1000; ++i) {
    response.pieces.emplace_back(std::string(i % 3 == 0 ? 0U : 5U, 'a'));
    if (i % 3 != 0) sender.expected += "aaaaa";
  }
  sender.output.Add(std::move(response));
  CHECK(sender.output.waiting() == sender.expected.size());
  CHECK((sender.Run(1 << 20) == sender.expected));
}

TEST_CASE("Output: a file shorter than promised fails, naming it") {
  const TempDir directory;
  const ContentFile file(directory / "short.log", Pattern(100'000, 3));
  for (const char* transfer : kTransfers) {
    // One that begins in the file, one small with its header, one behind the end.
    for (const auto& [position, length] : {std::pair{50'000, 200'000}, {99'990, 100}, {400'000, 50'000}}) {
      CAPTURE(transfer, position, length);
      Sender sender(transfer);
      Response response;
      response.pieces.emplace_back(std::string("header"));
      response.pieces.emplace_back(
          file.Slice(static_cast<std::uint64_t>(position), static_cast<std::uint64_t>(length)));
      sender.output.Add(std::move(response));
      Output::Outcome outcome = Output::Outcome::kTurnOver;
      while (outcome == Output::Outcome::kTurnOver || outcome == Output::Outcome::kFull) {
        outcome = sender.output.Flush(1 << 20);
        sender.sockets.Take(0);
      }
      CHECK(outcome == Output::Outcome::kFailed);
      CHECK(sender.output.failure().find(file.path()) != std::string::npos);
      CHECK(sender.output.failure().find("shorter") != std::string::npos);
    }
  }
}

TEST_CASE("Output: a file that was removed is still sent to its end") {
  const TempDir directory;
  for (const char* transfer : kTransfers) {
    CAPTURE(transfer);
    const std::string path = directory / transfer;
    Sender sender(transfer);
    {
      const ContentFile file(path, Pattern(3'000'000, 3));
      sender.Add(file, "header", 1, 2'999'999);
    }
    REQUIRE(sender.output.Flush(1000) != Output::Outcome::kFailed);
    REQUIRE(::unlink(path.c_str()) == 0);
    CHECK((sender.Run(1 << 20) == sender.expected));
  }
}

TEST_CASE("Output: a full socket waits, is counted, and goes on where it was") {
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(kFileSize, 3));
  for (const char* transfer : {"sendfile", "mmap", "read"}) {
    CAPTURE(transfer);
    Sender sender(transfer);
    for (int i = 0; i < 4; ++i) sender.Add(file, "header", 0, kFileSize);
    Output::Outcome outcome = Output::Outcome::kTurnOver;
    while (outcome == Output::Outcome::kTurnOver) outcome = sender.output.Flush(1 << 20);
    REQUIRE(outcome == Output::Outcome::kFull);
    CHECK(sender.output.waiting() > 0);
    const auto strategy = net::ParseTransfer(transfer)->forced;
    CHECK(Of(sender.own, *strategy).waits == 1);
    CHECK((sender.Run(1 << 20) == sender.expected));
  }
}

TEST_CASE("Output: a turn ends near its budget") {
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(kFileSize, 3));
  Sender sender("sendfile");
  sender.Add(file, "header", 0, kFileSize);
  CHECK(sender.output.Flush(10'000) == Output::Outcome::kTurnOver);
  CHECK(sender.output.sent() >= 10'000);
  CHECK(sender.output.sent() <= 10'000 + (512 << 10));  // one system call over it at most
}

TEST_CASE("Output: a peer that went is told from a failure") {
  const TempDir directory;
  const ContentFile file(directory / "log", Pattern(kFileSize, 3));
  ::signal(SIGPIPE, SIG_IGN);
  for (const char* transfer : kTransfers) {
    CAPTURE(transfer);
    Sender sender(transfer);
    for (int i = 0; i < 10; ++i) sender.Add(file, "header", 0, kFileSize);
    sender.sockets.ClosePeer();
    Output::Outcome outcome = Output::Outcome::kTurnOver;
    for (int i = 0; i < 1000 && outcome != Output::Outcome::kPeerGone; ++i) {
      outcome = sender.output.Flush(1 << 20);
      pollfd waiting{sender.sockets.ours(), POLLOUT, 0};
      ::poll(&waiting, 1, 1000);
    }
    CHECK(outcome == Output::Outcome::kPeerGone);
  }
}

TEST_CASE("Output: a cold range is named before it is sent, and sent when it is warm") {
  const TempDir directory;
  ContentFile file(directory / "log", Pattern(2 << 20, 3));
  file.MakeCold();
  SocketPair sockets;
  const net::TransferChoice choice;
  net::TransferCounters own;
  net::TransferCounters total;
  Output output(sockets.ours(), choice, net::ResidencyProbe::kAuto, own, total);
  Response response;
  response.pieces.emplace_back(std::string("header"));
  response.pieces.emplace_back(file.Slice(100, 2'000'000));
  output.Add(std::move(response));
  std::string received;
  int cold = 0;
  while (output.waiting() > 0 && cold < 1000) {
    const Output::Outcome outcome = output.Flush(1 << 20);
    if (outcome == Output::Outcome::kCold) {
      ++cold;
      CHECK(output.cold().position >= 100);
      CHECK(output.cold().position + output.cold().length <= 2'000'100);
      net::WarmUp(output.cold());
      output.MarkWarm();
    }
    received += sockets.Take(outcome == Output::Outcome::kFull ? 2000 : 0);
  }
  for (std::string taken = "?"; !taken.empty() && received.size() < 2'000'006;)
    received += taken = sockets.Take(2000);
  CHECK(cold > 0);
  CHECK((received == "header" + std::string(file.Expected(100, 2'000'000))));
}

TEST_CASE("Transfer: ways are known by name") {
  CHECK_FALSE(net::ParseTransfer("auto")->forced);
  CHECK(net::ParseTransfer("sendfile")->forced == Transfer::kSendfile);
  CHECK(net::ParseTransfer("mmap")->forced == Transfer::kMmap);
  CHECK(net::ParseTransfer("read")->forced == Transfer::kRead);
  CHECK_FALSE(net::ParseTransfer("splice"));
}
