#include "tests/support/kafka_client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/core/status_macros.h"

namespace headrace::testing {

KafkaClient::KafkaClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{20, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  HEADRACE_CHECK(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

KafkaClient::~KafkaClient() {
  ::close(socket_);
}

bool KafkaClient::SendBytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::optional<std::string> KafkaClient::Receive() {
  std::string bytes(4, '\0');
  std::size_t received = 0;
  while (received < bytes.size()) {
    const ssize_t count = ::recv(socket_, bytes.data() + received, bytes.size() - received, 0);
    if (count <= 0) return std::nullopt;
    received += static_cast<std::size_t>(count);
    if (received == 4 && bytes.size() == 4) {
      bytes.resize(4 + LoadBigEndian<std::uint32_t>(reinterpret_cast<const std::byte*>(bytes.data())));
    }
  }
  if (bytes.size() >= 8) {
    last_correlation_id_ = LoadBigEndian<std::int32_t>(reinterpret_cast<const std::byte*>(bytes.data()) + 4);
  }
  return bytes.substr(4);
}

kafka::Api KafkaClient::Shape(kafka::ApiKey key) {
  const kafka::Api* api = kafka::FindApi(key);
  return api != nullptr ? *api : kafka::Api{key, "unknown", 0, 0, kafka::kNeverFlexible};
}

}  // namespace headrace::testing
