#include "broker/net/reactor.h"

#include <algorithm>

#include "broker/net/connection.h"

namespace headrace::net {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kErrorPeersMax = 1024;

}  // namespace

Reactor::Reactor(std::shared_ptr<SharedState> shared)
    : shared_(std::move(shared)),
      work_(boost::asio::make_work_guard(context_)),
      timer_(context_),
      sweep_timer_(context_) {
  // A deadline is noticed within a quarter of the shortest time-out, and a second at the latest.
  const auto shortest = std::min(shared_->options.request_timeout, shared_->options.stall_timeout);
  sweep_interval_ = std::clamp(shortest / 4, std::chrono::milliseconds(10), std::chrono::milliseconds(1000));
}

Reactor::~Reactor() {
  StopAndJoin();
}

void Reactor::Start() {
  Post([this] { Sweep(); });
  thread_ = std::thread([this] { context_.run(); });
}

void Reactor::StopAndJoin() {
  if (!thread_.joinable()) return;
  {
    const core::MutexLock lock(post_mutex_);
    stopped_ = true;
    boost::asio::post(context_, [this] {
      ending_ = true;
      sweep_timer_.cancel();
      timer_.cancel();
      timers_.clear();
      timer_by_id_.clear();
      work_.reset();  // the loop ends when nothing is left to run, so that nothing is kept by what never ran
    });
  }
  thread_.join();
}

void Reactor::Post(std::function<void()> function) {
  const core::MutexLock lock(post_mutex_);
  if (!stopped_) boost::asio::post(context_, std::move(function));
}

void Reactor::Adopt(boost::asio::ip::tcp::socket socket) {
  auto shared_socket = std::make_shared<boost::asio::ip::tcp::socket>(std::move(socket));
  Post([this, shared_socket] {
    const auto connection = std::make_shared<Connection>(shared_from_this(), std::move(*shared_socket));
    {
      const core::MutexLock lock(mutex_);
      connections_.emplace(connection->id(), connection);
    }
    connection->Start();
  });
}

TimerId Reactor::StartTimer(Clock::time_point deadline, std::function<void()> function) {
  if (ending_) return 0;
  const TimerId id = next_timer_++;
  const auto at = timers_.emplace(deadline, Timer{id, std::move(function)});
  timer_by_id_.emplace(id, at);
  if (at == timers_.begin()) ArmTimer();
  return id;
}

void Reactor::CancelTimer(TimerId timer) {
  const auto found = timer_by_id_.find(timer);
  if (found == timer_by_id_.end()) return;
  timers_.erase(found->second);  // the event loop's timer may fire for nothing, and then looks again
  timer_by_id_.erase(found);
}

void Reactor::ArmTimer() {
  if (timers_.empty()) return;
  timer_.expires_at(timers_.begin()->first);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) RunTimers();
  });
}

void Reactor::RunTimers() {
  const auto now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const auto first = timers_.begin();
    const std::function<void()> function = std::move(first->second.function);
    timer_by_id_.erase(first->second.id);
    timers_.erase(first);
    function();
  }
  ArmTimer();
}

void Reactor::Sweep() {
  if (ending_) return;
  const auto now = Clock::now();
  for (const auto& connection : Connections()) connection->CheckDeadlines(now);
  sweep_timer_.expires_after(sweep_interval_);
  sweep_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Sweep();
  });
}

void Reactor::Forget(std::uint64_t connection) {
  std::shared_ptr<Connection> gone;  // destroyed after the lock
  const core::MutexLock lock(mutex_);
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  gone = std::move(found->second);
  connections_.erase(found);
}

std::vector<std::shared_ptr<Connection>> Reactor::Connections() const {
  const core::MutexLock lock(mutex_);
  std::vector<std::shared_ptr<Connection>> connections;
  connections.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) connections.push_back(connection);
  return connections;
}

bool Reactor::MayLogError(const std::string& peer, std::uint64_t& suppressed) {
  const std::string address = peer.substr(0, peer.rfind(':'));
  const auto now = Clock::now();
  if (error_lines_.size() >= kErrorPeersMax && !error_lines_.contains(address)) error_lines_.clear();
  ErrorLine& line = error_lines_[address];
  if (now - line.last < std::chrono::seconds(1)) {
    ++line.suppressed;
    return false;
  }
  line.last = now;
  suppressed = std::exchange(line.suppressed, 0);
  return true;
}

}  // namespace headrace::net
