#include "client/cli/offline/transfer_loops.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "protocol/core/status_macros.h"

namespace headrace::cli::offline {
namespace {

constexpr std::size_t kReceiveBuffer = 256U << 10;

absl::Status Failed(std::string_view call) {
  return absl::InternalError(std::string(call) + " failed: " + std::generic_category().message(errno));
}

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// CPU time and faults of the calling thread.
SendCost ThreadUse() {
  rusage use{};
  ::getrusage(RUSAGE_THREAD, &use);
  SendCost cost;
  cost.cpu_seconds = SecondsOf(use.ru_utime) + SecondsOf(use.ru_stime);
  cost.page_faults = static_cast<std::uint64_t>(use.ru_minflt);
  return cost;
}

// Each of these moves at most `chunk` bytes from `position`, adds to `cost`, and returns how many it moved.

absl::StatusOr<std::size_t> BySendfile(int file, int socket, std::uint64_t position, std::size_t chunk,
                                       SendCost& cost) {
  auto at = static_cast<off_t>(position);
  const ssize_t sent = ::sendfile(socket, file, &at, chunk);
  ++cost.system_calls;
  if (sent <= 0) return Failed("sendfile");
  return static_cast<std::size_t>(sent);
}

absl::Status WriteSocket(int socket, const char* data, std::size_t size, SendCost& cost) {
  cost.bytes_through_user += size;
  while (size > 0) {
    const ssize_t sent = ::send(socket, data, size, MSG_NOSIGNAL);
    ++cost.system_calls;
    if (sent < 0) return Failed("send");
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> ByMmap(int file, int socket, std::uint64_t position, std::size_t chunk,
                                   SendCost& cost) {
  void* const data = ::mmap(nullptr, chunk, PROT_READ, MAP_SHARED, file, static_cast<off_t>(position));
  ++cost.system_calls;
  if (data == MAP_FAILED) return Failed("mmap");
  const absl::Status sent = WriteSocket(socket, static_cast<const char*>(data), chunk, cost);
  ::munmap(data, chunk);
  ++cost.system_calls;
  RETURN_IF_ERROR(sent);
  return chunk;
}

absl::StatusOr<std::size_t> ByRead(int file, int socket, std::uint64_t position, std::vector<char>& buffer,
                                   std::size_t chunk, SendCost& cost) {
  const ssize_t got = ::pread(file, buffer.data(), chunk, static_cast<off_t>(position));
  ++cost.system_calls;
  if (got <= 0) return Failed("pread");
  RETURN_IF_ERROR(WriteSocket(socket, buffer.data(), static_cast<std::size_t>(got), cost));
  return static_cast<std::size_t>(got);
}

}  // namespace

std::string_view NameOf(Way way) {
  switch (way) {
    case Way::kSendfile:
      return "sendfile";
    case Way::kMmapWrite:
      return "mmap + write";
    case Way::kReadWrite:
      return "read + write";
  }
  return "";
}

Descriptor::Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    Reset();
    value_ = std::exchange(other.value_, -1);
  }
  return *this;
}

Descriptor::~Descriptor() {
  Reset();
}

void Descriptor::Reset() {
  if (value_ >= 0) ::close(std::exchange(value_, -1));
}

absl::StatusOr<SocketPair> ConnectLoopback() {
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (!listener || ::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0) {
    return Failed("listening on 127.0.0.1");
  }
  SocketPair pair{Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), Descriptor()};
  if (!pair.sender || ::connect(pair.sender.get(), generic, size) != 0)
    return Failed("connecting to 127.0.0.1");
  pair.receiver = Descriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!pair.receiver) return Failed("accept");
  const int on = 1;
  ::setsockopt(pair.sender.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return pair;
}

absl::StatusOr<Descriptor> CreateTemporaryFile(const char* directory) {
  std::string path = std::string(directory) + "/headrace-transfer-XXXXXX";
  Descriptor file(::mkostemp(path.data(), O_CLOEXEC));
  if (!file) return Failed("creating a file in " + std::string(directory));
  ::unlink(path.c_str());
  return file;
}

absl::Status WriteAll(int file, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed("writing the test file");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status Warm(int file, std::uint64_t size) {
  std::vector<char> buffer(1U << 20);
  for (std::uint64_t at = 0; at < size;) {
    const ssize_t got = ::pread(file, buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (got <= 0) return Failed("reading the test file");
    at += static_cast<std::uint64_t>(got);
  }
  return absl::OkStatus();
}

absl::StatusOr<SendCost> SendFile(Way way, int file, int socket, std::uint64_t size, std::size_t chunk) {
  std::vector<char> buffer(way == Way::kReadWrite ? chunk : 0);
  SendCost cost;
  const SendCost before = ThreadUse();
  while (cost.bytes < size) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(chunk, size - cost.bytes));
    absl::StatusOr<std::size_t> moved = std::size_t{0};
    switch (way) {
      case Way::kSendfile:
        moved = BySendfile(file, socket, cost.bytes, want, cost);
        break;
      case Way::kMmapWrite:
        moved = ByMmap(file, socket, cost.bytes, want, cost);
        break;
      case Way::kReadWrite:
        moved = ByRead(file, socket, cost.bytes, buffer, want, cost);
        break;
    }
    if (!moved.ok()) return moved.status();
    cost.bytes += *moved;
  }
  const SendCost after = ThreadUse();
  cost.cpu_seconds = after.cpu_seconds - before.cpu_seconds;
  cost.page_faults = after.page_faults - before.page_faults;
  return cost;
}

std::uint64_t ReceiveAll(int socket, Taking taking) {
  std::vector<char> buffer(kReceiveBuffer);
  std::uint64_t total = 0;
  while (true) {
    const ssize_t got =
        ::recv(socket, buffer.data(), buffer.size(), taking == Taking::kDiscarding ? MSG_TRUNC : 0);
    if (got <= 0) return total;
    total += static_cast<std::uint64_t>(got);
  }
}

}  // namespace headrace::cli::offline
