#include "broker/net/server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <thread>

#include <boost/asio/ip/tcp.hpp>

#include "absl/strings/str_cat.h"
#include "broker/net/connection.h"
#include "broker/net/reactor.h"
#include "protocol/core/status_macros.h"

namespace headrace::net {
namespace {

using tcp = boost::asio::ip::tcp;

constexpr int kBacklog = 4096;
// Descriptors that connections leave to files: a log must be able to open its next segment.
constexpr rlim_t kKeptForFiles = 32;
// After an accept that failed for want of descriptors or memory: time for some to come back.
constexpr std::chrono::milliseconds kAcceptPause{100};
// Without a failure for this long, the next one is of another shortage.
constexpr std::chrono::seconds kShortageEnds{60};

absl::Status ListenError(const NetOptions& options, const boost::system::error_code& error) {
  std::string advice;
  if (error == boost::asio::error::address_in_use)
    advice = "; another program has it: stop that, or choose a port";
  if (error == boost::asio::error::access_denied) advice = "; ports below 1024 need a privilege";
  return absl::UnavailableError(absl::StrCat("cannot listen on ", options.address, " port ", options.port,
                                             ": ", error.message(), advice, " (settings listen and port)"));
}

}  // namespace

class Server::Impl {
 public:
  Impl(const NetOptions& options, storage::FilePool& pool, std::vector<Protocol> protocols)
      : shared_(std::make_shared<SharedState>(options, std::move(protocols))) {
    shared_->pool = &pool;
    std::uint32_t count = options.reactors;
    if (count == 0) count = std::max(1U, std::thread::hardware_concurrency());
    for (std::uint32_t i = 0; i < count; ++i) reactors_.push_back(std::make_shared<Reactor>(shared_));
  }

  ~Impl() {
    StopAccepting();
    CloseAll(std::chrono::steady_clock::now());
  }

  absl::Status Bind() {
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(shared_->options.address, error);
    if (error) return ListenError(shared_->options, error);
    const tcp::endpoint endpoint(address, shared_->options.port);
    acceptor_.emplace(reactors_.front()->context());
    acceptor_->open(endpoint.protocol(), error);
    if (!error) acceptor_->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_->bind(endpoint, error);
    if (error) return ListenError(shared_->options, error);
    port_ = acceptor_->local_endpoint().port();
    return absl::OkStatus();
  }

  absl::Status Start() {
    // sendfile has no MSG_NOSIGNAL: a peer that is gone must not end the process.
    ::signal(SIGPIPE, SIG_IGN);
    if (!acceptor_) RETURN_IF_ERROR(Bind());
    boost::system::error_code error;
    acceptor_->listen(kBacklog, error);
    if (error) return ListenError(shared_->options, error);
    for (const auto& reactor : reactors_) reactor->Start();
    started_ = true;
    reactors_.front()->Post([this] { Accept(); });
    return absl::OkStatus();
  }

  std::uint16_t port() const { return port_; }

  void StopAccepting() {
    if (!started_ || std::exchange(stopped_, true)) return;
    shared_->draining.store(true);
    std::promise<void> done;
    reactors_.front()->Post([this, &done] {
      boost::system::error_code ignored;
      acceptor_->close(ignored);
      done.set_value();
    });
    done.get_future().wait();
  }

  void CloseAll(std::chrono::steady_clock::time_point deadline) {
    if (!started_) return;
    StopAccepting();
    ForEachConnection([](Connection& connection) { connection.Drain(); });
    {
      const core::MutexLock lock(shared_->drained_mutex);
      shared_->drained.wait_until(shared_->drained_mutex, deadline,
                                  [this] { return shared_->connections.load() == 0; });
    }
    ForEachConnection([](Connection& connection) { connection.CloseNow(); });
    for (const auto& reactor : reactors_) reactor->StopAndJoin();
    started_ = false;
  }

  ServerStats Stats() const {
    ServerStats stats;
    stats.connections = shared_->connections.load();
    stats.connections_total = shared_->connections_total.load();
    stats.requests = shared_->requests.load();
    stats.bytes_in = shared_->bytes_in.load();
    stats.bytes_out = shared_->bytes_out.load();
    stats.client_errors = shared_->client_errors.load();
    stats.cold_reads = shared_->cold_reads.load();
    for (const auto& reactor : reactors_) AddTo(stats.transfers, reactor->transfers().Snapshot());
    return stats;
  }

  std::vector<ConnectionSnapshot> Connections() const {
    std::vector<ConnectionSnapshot> snapshots;
    for (const auto& reactor : reactors_) {
      for (const auto& connection : reactor->Connections()) snapshots.push_back(connection->Snapshot());
    }
    return snapshots;
  }

 private:
  template <typename Function>
  void ForEachConnection(Function function) {
    std::vector<std::future<void>> done;
    for (const auto& reactor : reactors_) {
      auto ended = std::make_shared<std::promise<void>>();
      done.push_back(ended->get_future());
      reactor->Post([&reactor = *reactor, ended, function] {
        for (const auto& connection : reactor.Connections()) function(*connection);
        ended->set_value();
      });
    }
    for (std::future<void>& one : done) one.wait();
  }

  // The next descriptor would be the lowest that is free: all below it are taken.
  bool IsShortOfDescriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
    const int next = ::fcntl(acceptor_->native_handle(), F_DUPFD_CLOEXEC, 0);
    if (next < 0) return true;
    ::close(next);
    return static_cast<rlim_t>(next) + kKeptForFiles >= limit.rlim_cur;
  }

  void Accept() {
    if (IsShortOfDescriptors()) return PauseAccepting(boost::asio::error::no_descriptors);
    Reactor& reactor = *reactors_[next_reactor_++ % reactors_.size()];
    acceptor_->async_accept(reactor.context(),
                            [this, &reactor](const boost::system::error_code& error, tcp::socket socket) {
                              if (error == boost::asio::error::operation_aborted || !acceptor_->is_open())
                                return;
                              if (error) return PauseAccepting(error);
                              Admit(reactor, std::move(socket));
                              Accept();
                            });
  }

  void Admit(Reactor& reactor, tcp::socket socket) {
    shared_->connections_total.fetch_add(1);
    if (shared_->connections.fetch_add(1) >= shared_->options.connections_max) {
      shared_->connections.fetch_sub(1);
      shared_->client_errors.fetch_add(1);
      std::uint64_t suppressed = 0;
      if (reactors_.front()->MayLogError("connections_max:", suppressed)) {
        shared_->log->warn(
            "refused a connection: {} are open (setting connections_max); {} more refused unlogged",
            shared_->options.connections_max, suppressed);
      }
      return;  // the socket closes
    }
    reactor.Adopt(std::move(socket));
  }

  // Those who are connected are served meanwhile; those who come wait in the kernel's queue. One line for all
  // the failures of one shortage, however long it is.
  void PauseAccepting(const boost::system::error_code& error) {
    const auto now = std::chrono::steady_clock::now();
    if (accept_failed_ == std::chrono::steady_clock::time_point{} || now - accept_failed_ > kShortageEnds) {
      shared_->log->warn(
          "accepting pauses with {} connections open: {}; who comes now waits until there is room "
          "(ulimit -n; settings connections_max and open_files_max)",
          shared_->connections.load(), error.message());
    }
    accept_failed_ = now;
    reactors_.front()->StartTimer(now + kAcceptPause, [this] {
      if (acceptor_->is_open()) Accept();
    });
  }

  const std::shared_ptr<SharedState> shared_;
  std::vector<std::shared_ptr<Reactor>> reactors_;
  std::optional<tcp::acceptor> acceptor_;
  std::uint16_t port_ = 0;
  std::size_t next_reactor_ = 0;
  std::chrono::steady_clock::time_point accept_failed_{};  // last; the first reactor's
  bool started_ = false;
  bool stopped_ = false;
};

Server::Server(const NetOptions& options, storage::FilePool& pool, std::vector<Protocol> protocols)
    : impl_(std::make_unique<Impl>(options, pool, std::move(protocols))) {}
Server::~Server() = default;

absl::Status Server::Bind() {
  return impl_->Bind();
}
absl::Status Server::Start() {
  return impl_->Start();
}
std::uint16_t Server::port() const {
  return impl_->port();
}
void Server::StopAccepting() {
  impl_->StopAccepting();
}
void Server::CloseAll(std::chrono::steady_clock::time_point deadline) {
  impl_->CloseAll(deadline);
}
ServerStats Server::Stats() const {
  return impl_->Stats();
}
std::vector<ConnectionSnapshot> Server::Connections() const {
  return impl_->Connections();
}

}  // namespace headrace::net
