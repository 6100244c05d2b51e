// A server of a protocol that answers every frame with itself, and a plain blocking client of it.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "broker/net/server.h"
#include "protocol/core/bytes.h"
#include "protocol/core/mutex.h"

namespace headrace::testing {

using Milliseconds = std::chrono::milliseconds;
inline constexpr Milliseconds kPatience{20'000};  // what should come at once comes within this

// Waits until `condition` holds, looking again and again; false after kPatience.
template <typename Condition>
bool Eventually(Condition condition, Milliseconds patience = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
    ::poll(nullptr, 0, 1);
  }
  return true;
}

std::string Framed(std::string_view body);

// What the sessions of a server do with a frame, beside echoing it. Set before the server starts.
struct EchoBehaviour {
  // If set, makes the answer; without it the answer is the frame.
  std::function<net::Response(std::string_view body)> answer;
  // Answers are withheld until ReleaseAll.
  bool withholds = false;
  // If set, what sessions say that they hold back.
  std::function<std::size_t()> held_bytes;
  // Of withheld answers ReleaseAll sends one, and OnWritable the others.
  bool answers_when_writable = false;
  // What is withheld is answered when the peer ends its requests.
  bool answers_at_end = false;
  // If set, called with each session's channel.
  std::function<void(const std::shared_ptr<net::Channel>&)> on_open;
  std::function<void(net::Channel&)> on_closed;
};

EchoBehaviour Withholding();
// Answers every frame with "header" and the slice.
EchoBehaviour AnsweringWith(storage::FileSlice slice);

// A running server with its pool, and the channels of its sessions.
class EchoServer {
 public:
  explicit EchoServer(net::NetOptions options = {}, EchoBehaviour behaviour = {},
                      std::uint64_t frame_size_max = 8 << 20);
  ~EchoServer();

  net::Server& server() { return *server_; }
  std::uint16_t port() const { return server_->port(); }
  // Frames that sessions have seen.
  std::uint64_t frames() const { return frames_.load(); }
  std::uint64_t closed() const { return closed_.load(); }
  // Lets every session that is open answer what it has withheld, and all that comes from now on.
  void ReleaseAll();

 private:
  class EchoSession;

  const EchoBehaviour behaviour_;
  std::atomic<std::uint64_t> frames_{0};
  std::atomic<std::uint64_t> closed_{0};
  std::atomic<bool> released_{false};
  core::Mutex mutex_;
  std::vector<std::pair<std::weak_ptr<net::Channel>, std::function<void()>>> sessions_
      HEADRACE_GUARDED_BY(mutex_);
  storage::FilePool pool_{2};
  std::unique_ptr<net::Server> server_;
};

inline constexpr std::string_view kPreface =
    "\x68"
    "ECHO";

// A blocking client. Every wait ends after `kPatience` with what there is.
class RawClient {
 public:
  // Connects, and sends `first`. `receive_buffer` in bytes, 0: the system's choice.
  explicit RawClient(std::uint16_t port, std::string_view first = kPreface, int receive_buffer = 0);
  ~RawClient();
  RawClient(RawClient&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return socket_ >= 0; }
  int socket() const { return socket_; }
  // False if the peer did not take everything in time, or went.
  bool Send(std::string_view bytes, Milliseconds patience = kPatience);
  // Sends what the peer takes without waiting for longer than `patience` for a byte; returns the bytes taken.
  std::size_t SendSome(std::string_view bytes, Milliseconds patience);
  // Exactly `size` bytes, or fewer if the peer closes or nothing comes.
  std::string Receive(std::size_t size, Milliseconds patience = kPatience);
  // The body of the next frame; empty if there is none.
  std::string ReceiveFrame(Milliseconds patience = kPatience);
  // Whether the peer closes (or resets) within `patience`; takes what comes before.
  bool IsClosedWithin(Milliseconds patience);
  // Closes with a reset.
  void Reset();

 private:
  int socket_ = -1;
};

}  // namespace headrace::testing
