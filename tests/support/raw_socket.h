// Sockets that say to a broker whatever a test wants said.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/native/frame.h"

namespace headrace::testing {

inline std::string BigEndian32(std::uint32_t value) {
  std::string bytes(4, '\0');
  StoreBigEndian(reinterpret_cast<std::byte*>(bytes.data()), value);
  return bytes;
}

// A connection without any protocol. Every wait ends after 10 s.
class RawSocket {
 public:
  explicit RawSocket(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const timeval wait{10, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  }
  ~RawSocket() { ::close(socket_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  bool connected() const { return connected_; }
  // False if the other side does not take all of it.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  // Sends nothing more; reading goes on.
  void EndSending() { ::shutdown(socket_, SHUT_WR); }
  // Exactly `size` bytes, or fewer if the other side closes or nothing comes.
  std::string Receive(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t at = 0;
    while (at < size) {
      const ssize_t count = ::recv(socket_, bytes.data() + at, size - at, 0);
      if (count <= 0) break;
      at += static_cast<std::size_t>(count);
    }
    bytes.resize(at);
    return bytes;
  }
  // Reads until the other side closes; false if it does not in time.
  bool ClosedByPeer() {
    char buffer[4096];
    ssize_t count = 0;
    while ((count = ::recv(socket_, buffer, sizeof buffer, 0)) > 0) {
    }
    return count == 0 || errno == ECONNRESET;
  }

 private:
  const int socket_;
  bool connected_ = false;
};

// A frame as it came.
struct RawFrame {
  std::vector<std::byte> bytes;
  native::Frame frame;  // points into `bytes`
};

// The next frame; its type is 0 if none came whole.
inline RawFrame ReceiveFrame(RawSocket& socket) {
  RawFrame received;
  const std::string length = socket.Receive(native::kFrameLengthSize);
  if (length.size() < native::kFrameLengthSize) return received;
  const std::size_t size = LoadBigEndian<std::uint32_t>(AsBytes(length).data());
  const std::string bytes = socket.Receive(size);
  if (bytes.size() < size) return received;
  const ByteSpan span = AsBytes(bytes);
  received.bytes.assign(span.begin(), span.end());
  const auto parsed = native::ParseFrame(received.bytes);
  if (parsed.ok()) received.frame = *parsed;
  return received;
}

}  // namespace headrace::testing
