// Sockets and waiting on them, each wait with a deadline and a way to be called off.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "client/deadline.h"
#include "headrace/result.h"

namespace headrace {

// Owns a file descriptor. One owner, one thread at a time.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Wakes a thread that waits in poll(2), by an eventfd. Signal from any thread, also a signal handler; once
// signalled it stays so until Drain.
class Wakeup {
 public:
  Wakeup();
  void Signal() const noexcept;
  void Drain() const noexcept;
  bool signalled() const noexcept;
  int fd() const { return fd_.get(); }

 private:
  FileDescriptor fd_;
};

struct HostPort {
  std::string host;
  std::string port;
};
// "host", "host:port", "[v6]:port" or a bare v6 address; the port is 9092 if not given.
Result<HostPort> ParseHostPort(std::string_view text);

// A connected, non-blocking TCP socket with TCP_NODELAY. Tries the addresses of the name one after the other.
// Retriable errors: kNetwork; kClosed once `cancel` is signalled (it may be null).
Result<FileDescriptor> ConnectTcp(const std::string& broker, TimePoint deadline, const Wakeup* cancel);

// Waits until `fd` has one of `events` (POLLIN, POLLOUT) or an error to tell: true; false at the deadline.
// kClosed once `cancel` is signalled.
Result<bool> WaitFor(int fd, short events, TimePoint deadline, const Wakeup* cancel);

}  // namespace headrace
