// One network thread: an event loop, its timers and its connections. Internal to broker/net.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include <spdlog/spdlog.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "broker/net/net_options.h"
#include "broker/net/request_memory.h"
#include "protocol/core/mutex.h"
#include "storage/io/file_pool.h"

namespace headrace::net {

class Connection;

// What all reactors share. Atomics: any thread; the rest is constant.
struct SharedState {
  SharedState(const NetOptions& net_options, std::vector<Protocol> served)
      : options(net_options),
        protocols(std::move(served)),
        request_memory(std::make_shared<RequestMemory>(net_options.request_memory_max)) {}

  const NetOptions options;
  const std::vector<Protocol> protocols;
  const std::shared_ptr<RequestMemory> request_memory;
  // Taken before any thread starts, from the default logger as it is then.
  const std::shared_ptr<spdlog::logger> log = spdlog::default_logger()->clone("net");
  storage::FilePool* pool = nullptr;
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> connections_total{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bytes_in{0};
  std::atomic<std::uint64_t> bytes_out{0};
  std::atomic<std::uint64_t> client_errors{0};
  std::atomic<std::uint64_t> cold_reads{0};
  std::atomic<std::uint64_t> next_connection_id{1};
  std::atomic<std::uint64_t> in_flight_small{0};  // bytes of requests in flight without a reservation
  std::atomic<bool> draining{false};
  core::Mutex drained_mutex;
  core::ConditionVariable drained;  // the last connection of a draining server has ended
};

// Owned by the server, and kept by its connections: who still holds one, as a batch on its way to the disk
// does, may post to it when the server is gone. Everything but Post, Adopt and Connections is for its own
// thread.
class Reactor : public std::enable_shared_from_this<Reactor> {
 public:
  explicit Reactor(std::shared_ptr<SharedState> shared);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  void Start();
  // Ends the loop, once what is posted has run, and joins. No connection may be left open.
  void StopAndJoin() HEADRACE_EXCLUDES(post_mutex_);

  // After StopAndJoin nothing runs any more: the function is dropped. Thread: any.
  void Post(std::function<void()> function) HEADRACE_EXCLUDES(post_mutex_);
  // Takes a fresh socket of `context()`. Thread: any.
  void Adopt(boost::asio::ip::tcp::socket socket);
  boost::asio::io_context& context() { return context_; }

  TimerId StartTimer(std::chrono::steady_clock::time_point deadline, std::function<void()> function);
  void CancelTimer(TimerId timer);
  void Forget(std::uint64_t connection) HEADRACE_EXCLUDES(mutex_);
  // Connections, for statistics or to end them. Thread: any.
  std::vector<std::shared_ptr<Connection>> Connections() const HEADRACE_EXCLUDES(mutex_);
  TransferCounters& transfers() { return transfers_; }
  SharedState& shared() { return *shared_; }
  // A repeated client error of one peer is logged once a second at most; how many were not since.
  // False: not now.
  bool MayLogError(const std::string& peer, std::uint64_t& suppressed);

 private:
  struct Timer {
    TimerId id;
    std::function<void()> function;
  };
  using Timers = std::multimap<std::chrono::steady_clock::time_point, Timer>;

  void ArmTimer();
  void RunTimers();
  // Looks at every connection's deadlines; costs an idle connection nothing of its own.
  void Sweep();

  const std::shared_ptr<SharedState> shared_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  bool ending_ = false;  // no timer starts any more
  core::Mutex post_mutex_;
  bool stopped_ HEADRACE_GUARDED_BY(post_mutex_) = false;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer sweep_timer_;
  std::chrono::milliseconds sweep_interval_;
  Timers timers_;
  std::unordered_map<TimerId, Timers::iterator> timer_by_id_;
  TimerId next_timer_ = 1;
  TransferCounters transfers_;
  struct ErrorLine {
    std::chrono::steady_clock::time_point last;
    std::uint64_t suppressed = 0;
  };
  std::unordered_map<std::string, ErrorLine> error_lines_;  // by address; bounded, emptied when full

  mutable core::Mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Connection>> connections_ HEADRACE_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace headrace::net
