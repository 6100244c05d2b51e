// A connection without a socket: what handlers post runs when the test says so, and what they send is kept.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "broker/net/session.h"
#include "protocol/core/mutex.h"

namespace headrace::testing {

// Owned by a test by shared_ptr. Thread: Post from any; the rest on the test's own.
class FakeChannel final : public net::Channel {
 public:
  void Send(net::Response response) override { sent.push_back(std::move(response)); }
  void FinishRequest(std::size_t request_size) override { finished.push_back(request_size); }
  std::size_t WaitingBytes() const override { return 0; }
  void Close(std::string_view reason) override { closed = reason; }
  std::uint64_t id() const override { return 1; }
  const std::string& peer() const override { return peer_; }
  const std::string& local_host() const override { return peer_; }
  std::uint16_t local_port() const override { return 0; }
  void SetClientId(std::string) override {}

  void Post(std::function<void()> function) override {
    const core::MutexLock lock(mutex_);
    posted_.push_back(std::move(function));
    came_.notify_all();
  }
  core::TimerId StartTimer(std::chrono::steady_clock::time_point, std::function<void()> function) override {
    timer_ = std::move(function);
    return 1;
  }
  void CancelTimer(core::TimerId) override { timer_ = nullptr; }

  // Waits for something to be posted, and runs it.
  void RunPosted() {
    std::vector<std::function<void()>> functions;
    mutex_.lock();
    while (posted_.empty()) came_.wait(mutex_);
    functions.swap(posted_);
    mutex_.unlock();
    for (const auto& function : functions) function();
  }
  bool HasTimer() const { return timer_ != nullptr; }
  // The time of the timer has come.
  void RunTimer() { std::exchange(timer_, nullptr)(); }
  // The bytes of response `index`, if it holds no slice of a file.
  std::string Bytes(std::size_t index) const {
    std::string bytes;
    for (const net::ResponsePiece& piece : sent.at(index).pieces) bytes += std::get<std::string>(piece);
    return bytes;
  }

  std::vector<net::Response> sent;
  std::vector<std::size_t> finished;
  std::string closed;

 private:
  const std::string peer_ = "127.0.0.1:1";
  std::function<void()> timer_;
  core::Mutex mutex_;
  core::ConditionVariable came_;
  std::vector<std::function<void()>> posted_ HEADRACE_GUARDED_BY(mutex_);
};

}  // namespace headrace::testing
