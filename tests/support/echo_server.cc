#include "tests/support/echo_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <limits>
#include <stdexcept>

namespace headrace::testing {

std::string Framed(std::string_view body) {
  std::string frame(4, '\0');
  StoreBigEndian(reinterpret_cast<std::byte*>(frame.data()), static_cast<std::uint32_t>(body.size()));
  return frame.append(body);
}

EchoBehaviour Withholding() {
  EchoBehaviour behaviour;
  behaviour.withholds = true;
  return behaviour;
}

EchoBehaviour AnsweringWith(storage::FileSlice slice) {
  EchoBehaviour behaviour;
  behaviour.answer = [slice = std::move(slice)](std::string_view) {
    net::Response response;
    response.pieces.emplace_back(std::string("header"));
    response.pieces.emplace_back(slice);
    return response;
  };
  return behaviour;
}

// --- The server ---

class EchoServer::EchoSession final : public net::Session {
 public:
  EchoSession(EchoServer& owner, std::shared_ptr<net::Channel> channel)
      : owner_(owner), channel_(std::move(channel)) {}

  absl::Status OnFrame(net::ReceivedFrame frame) override {
    if (AsText(frame.bytes) == "fail") return absl::InvalidArgumentError("asked to fail");
    if (AsText(frame.bytes) == "close") {
      channel_->Close("asked to");
      channel_->FinishRequest(frame.bytes.size());
      owner_.frames_.fetch_add(1);
      return absl::OkStatus();
    }
    frames_.push_back(std::move(frame));
    owner_.frames_.fetch_add(1);
    // With answers on their way, OnWritable comes.
    const bool later = owner_.behaviour_.answers_when_writable && channel_->WaitingBytes() > 0;
    if (!owner_.behaviour_.withholds || (owner_.released_.load() && !later)) Answer();
    return absl::OkStatus();
  }

  void OnWritable() override {
    if (owner_.behaviour_.answers_when_writable && owner_.released_.load()) Answer();
  }

  void OnEndOfRequests() override {
    if (owner_.behaviour_.answers_at_end) Answer();
  }

  void OnClosed() override {
    if (owner_.behaviour_.on_closed) owner_.behaviour_.on_closed(*channel_);
    closed_ = true;
    owner_.closed_.fetch_add(1);
  }

  std::size_t HeldBytes() const override {
    return owner_.behaviour_.held_bytes ? owner_.behaviour_.held_bytes() : 0;
  }

  void Answer(std::size_t frames_max = std::numeric_limits<std::size_t>::max()) {
    for (std::size_t i = 0; i < frames_max && !frames_.empty() && !closed_; ++i) {
      const net::ReceivedFrame frame = std::move(frames_.front());
      frames_.pop_front();
      const std::string_view body = AsText(frame.bytes);
      net::Response response;
      if (owner_.behaviour_.answer)
        response = owner_.behaviour_.answer(body);
      else
        response.pieces.emplace_back(Framed(body));
      response.request_size = body.size();
      channel_->Send(std::move(response));
    }
  }

 private:
  EchoServer& owner_;
  const std::shared_ptr<net::Channel> channel_;
  std::deque<net::ReceivedFrame> frames_;
  bool closed_ = false;
};

EchoServer::EchoServer(net::NetOptions options, EchoBehaviour behaviour, std::uint64_t frame_size_max)
    : behaviour_(std::move(behaviour)) {
  if (options.reactors == 0) options.reactors = 2;
  net::Protocol protocol;
  protocol.name = "echo";
  protocol.preface = kPreface;
  protocol.frame_size_max = frame_size_max;
  protocol.make_session = [this](std::shared_ptr<net::Channel> channel) {
    if (behaviour_.on_open) behaviour_.on_open(channel);
    auto session = std::make_unique<EchoSession>(*this, channel);
    if (behaviour_.withholds) {
      // The session lives as long as its channel is open, and both calls are on its reactor.
      const core::MutexLock lock(mutex_);
      sessions_.emplace_back(channel, [at = session.get(), this] {
        if (behaviour_.answers_when_writable)
          at->Answer(1);
        else
          at->Answer();
      });
    }
    return session;
  };
  server_ = std::make_unique<net::Server>(options, pool_, std::vector<net::Protocol>{protocol});
  if (const absl::Status started = server_->Start(); !started.ok())
    throw std::runtime_error(std::string(started.message()));
}

EchoServer::~EchoServer() = default;

void EchoServer::ReleaseAll() {
  released_.store(true);
  const core::MutexLock lock(mutex_);
  for (const auto& [channel, answer] : sessions_) {
    if (const auto open = channel.lock()) open->Post(answer);
  }
}

// --- The client ---

RawClient::RawClient(std::uint16_t port, std::string_view first, int receive_buffer)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer > 0)
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(std::exchange(socket_, -1));
    return;
  }
  Send(first);
}

RawClient::~RawClient() {
  if (socket_ >= 0) ::close(socket_);
}

bool RawClient::Send(std::string_view bytes, Milliseconds patience) {
  return SendSome(bytes, patience) == bytes.size();
}

std::size_t RawClient::SendSome(std::string_view bytes, Milliseconds patience) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const std::string_view left = bytes.substr(sent);
    const ssize_t count = ::send(socket_, left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
      continue;
    }
    if (errno != EAGAIN) break;
    pollfd waiting{socket_, POLLOUT, 0};
    if (::poll(&waiting, 1, static_cast<int>(patience.count())) <= 0) break;
  }
  return sent;
}

std::string RawClient::Receive(std::size_t size, Milliseconds patience) {
  std::string received(size, '\0');
  std::size_t at = 0;
  while (at < size) {
    pollfd waiting{socket_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(patience.count())) <= 0) break;
    const ssize_t count = ::recv(socket_, received.data() + at, size - at, 0);
    if (count <= 0) break;
    at += static_cast<std::size_t>(count);
  }
  received.resize(at);
  return received;
}

std::string RawClient::ReceiveFrame(Milliseconds patience) {
  const std::string length = Receive(4, patience);
  if (length.size() < 4) return {};
  return Receive(LoadBigEndian<std::uint32_t>(AsBytes(length).data()), patience);
}

bool RawClient::IsClosedWithin(Milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  char buffer[1 << 14];
  while (std::chrono::steady_clock::now() < deadline) {
    pollfd waiting{socket_, POLLIN, 0};
    if (::poll(&waiting, 1, 10) <= 0) continue;
    if (::recv(socket_, buffer, sizeof buffer, 0) <= 0) return true;
  }
  return false;
}

void RawClient::Reset() {
  const linger reset{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  ::close(std::exchange(socket_, -1));
}

}  // namespace headrace::testing
