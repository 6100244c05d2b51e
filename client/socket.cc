#include "client/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "client/error.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

constexpr std::string_view kDefaultPort = "9092";

Error Cancelled() {
  return {error_number::kClosed, "the client is closing", false};
}

struct AddressListDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using AddressList = std::unique_ptr<addrinfo, AddressListDeleter>;

addrinfo Hints(int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  return hints;
}

// A look-up under way; glibc's thread writes into it, so it must outlive a look-up that was given up.
struct Lookup {
  HostPort name;
  addrinfo hints = Hints(0);
  gaicb request{};
};

Error LookupError(const HostPort& name, int code) {
  return NetworkError("cannot find the address of broker " + name.host + ": " + gai_strerror(code));
}

// getaddrinfo has no deadline of its own, and a name server that is gone costs it many seconds.
Result<AddressList> LookUpName(const HostPort& name, TimePoint deadline, const Wakeup* cancel) {
  auto lookup = std::make_unique<Lookup>();
  lookup->name = name;
  lookup->request.ar_name = lookup->name.host.c_str();
  lookup->request.ar_service = lookup->name.port.c_str();
  lookup->request.ar_request = &lookup->hints;
  gaicb* list[] = {&lookup->request};
  if (const int code = getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr); code != 0) return LookupError(name, code);
  while (gai_error(&lookup->request) == EAI_INPROGRESS) {
    const bool cancelled = cancel != nullptr && cancel->signalled();
    if (cancelled || SteadyClock::now() >= deadline) {
      // What cannot be called off any more is left to glibc's thread: the few bytes are not freed.
      if (gai_cancel(&lookup->request) == EAI_NOTCANCELED) static_cast<void>(lookup.release());
      if (cancelled) return Cancelled();
      return NetworkError("looking up the address of broker " + name.host + " took too long");
    }
    const timespec slice{0, 20'000'000};  // gai_suspend cannot watch an eventfd beside the look-up
    gai_suspend(list, 1, &slice);
  }
  if (const int code = gai_error(&lookup->request); code != 0) return LookupError(name, code);
  return AddressList(lookup->request.ar_result);
}

Result<AddressList> FindAddresses(const HostPort& name, TimePoint deadline, const Wakeup* cancel) {
  const addrinfo hints = Hints(AI_NUMERICHOST);
  addrinfo* numeric = nullptr;
  if (getaddrinfo(name.host.c_str(), name.port.c_str(), &hints, &numeric) == 0) return AddressList(numeric);
  return LookUpName(name, deadline, cancel);
}

// So that a machine that vanished is noticed within a minute also where nothing is asked of it.
void SetKeepAlive(int fd) {
  const int on = 1;
  const int idle_seconds = 30;
  const int interval_seconds = 10;
  const int probes = 3;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

Result<FileDescriptor> ConnectTo(const addrinfo& address, const std::string& broker, TimePoint deadline,
                                 const Wakeup* cancel) {
  FileDescriptor fd(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SystemError("cannot open a socket", errno);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  SetKeepAlive(fd.get());
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) return SystemError("cannot connect to broker " + broker, errno);
  const Result<bool> ready = WaitFor(fd.get(), POLLOUT, deadline, cancel);
  if (!ready) return ready.error();
  if (!*ready)
    return NetworkError("cannot connect to broker " + broker + ": no answer within the connect timeout");
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return SystemError("cannot connect to broker " + broker, error);
  return fd;
}

bool IsPort(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port > 0 && port < 65'536;
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Wakeup::Wakeup() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  HEADRACE_CHECK(fd_.valid());
}

void Wakeup::Signal() const noexcept {
  const int saved = errno;  // may run in a signal handler
  const std::uint64_t one = 1;
  // A full counter is refused with EAGAIN, and is as good as signalled.
  if (::write(fd_.get(), &one, sizeof one) < 0) errno = saved;
}

void Wakeup::Drain() const noexcept {
  std::uint64_t count = 0;
  if (::read(fd_.get(), &count, sizeof count) < 0) errno = 0;  // EAGAIN: was not signalled
}

bool Wakeup::signalled() const noexcept {
  pollfd entry{fd_.get(), POLLIN, 0};
  return ::poll(&entry, 1, 0) > 0;
}

Result<HostPort> ParseHostPort(std::string_view text) {
  HostPort result{std::string(text), std::string(kDefaultPort)};
  const std::size_t colon = text.rfind(':');
  const std::size_t bracket = text.find(']');
  if (text.starts_with('[') && bracket != std::string_view::npos) {
    result.host = text.substr(1, bracket - 1);
    if (bracket + 1 < text.size())
      result.port = text.substr(bracket + 1, 1) == ":" ? text.substr(bracket + 2) : "";
  } else if (colon != std::string_view::npos && text.find(':') == colon) {  // two colons: a v6 address
    result.host = text.substr(0, colon);
    result.port = text.substr(colon + 1);
  }
  if (result.host.empty() || !IsPort(result.port)) {
    return Error{error_number::kInvalidRequest,
                 "broker address \"" + std::string(text) + "\" is not host:port with a port from 1 to 65535"};
  }
  return result;
}

Result<FileDescriptor> ConnectTcp(const std::string& broker, TimePoint deadline, const Wakeup* cancel) {
  const Result<HostPort> name = ParseHostPort(broker);
  if (!name) return name.error();
  const Result<AddressList> addresses = FindAddresses(*name, deadline, cancel);
  if (!addresses) return addresses.error();
  long count = 0;
  for (const addrinfo* a = addresses->get(); a != nullptr; a = a->ai_next) ++count;
  Error last = NetworkError("broker " + broker + " has no address");
  for (const addrinfo* a = addresses->get(); a != nullptr; a = a->ai_next, --count) {
    // An address that does not answer leaves time for those after it.
    const TimePoint share = SteadyClock::now() + (deadline - SteadyClock::now()) / count;
    Result<FileDescriptor> connected = ConnectTo(*a, broker, share, cancel);
    if (connected || connected.error().code == error_number::kClosed) return connected;
    last = connected.error();
  }
  return last;
}

Result<bool> WaitFor(int fd, short events, TimePoint deadline, const Wakeup* cancel) {
  while (true) {
    std::array<pollfd, 2> entries{pollfd{fd, events, 0},
                                  pollfd{cancel == nullptr ? -1 : cancel->fd(), POLLIN, 0}};
    const int ready = ::poll(entries.data(), entries.size(), PollTimeoutMs(deadline));
    if (ready < 0 && errno != EINTR) return SystemError("poll", errno);
    if (ready <= 0 && SteadyClock::now() >= deadline) return false;
    if (ready > 0 && entries[1].revents != 0) return Cancelled();
    if (ready > 0) return true;
  }
}

}  // namespace headrace
