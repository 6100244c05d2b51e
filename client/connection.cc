#include "client/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "client/error.h"

namespace headrace {
namespace {

constexpr std::size_t kStagingSize = 64U << 10;
constexpr std::size_t kStagingSizeSmall = 4U << 10;
constexpr std::size_t kPartsPerWrite = 64;

#ifndef HEADRACE_VERSION
#define HEADRACE_VERSION "unknown"
#endif

bool WouldBlock(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace

Connection::Connection(Passkey, FileDescriptor fd, const ClientOptions& options,
                       std::shared_ptr<BufferPool> pool)
    : fd_(std::move(fd)),
      broker_(options.broker),
      receive_size_max_(options.receive_size_max),
      pool_(std::move(pool)),
      staging_(kStagingSize),
      staging_limit_(kStagingSize) {}

Result<std::unique_ptr<Connection>> Connection::Open(const ClientOptions& options,
                                                     std::shared_ptr<BufferPool> pool, TimePoint deadline,
                                                     const Wakeup* cancel) {
  Result<FileDescriptor> fd = ConnectTcp(options.broker, deadline, cancel);
  if (!fd) return fd.error();
  auto connection = std::make_unique<Connection>(Passkey(), std::move(*fd), options, std::move(pool));
  if (Result<void> shaken = connection->ShakeHands(options, deadline, cancel); !shaken) return shaken.error();
  return connection;
}

Result<void> Connection::ShakeHands(const ClientOptions& options, TimePoint deadline, const Wakeup* cancel) {
  OutputPart preface{std::string(native::kPreface), {}};
  output_.push_back(std::move(preface));
  output_.back().bytes = AsBytes(output_.back().owned);
  native::HelloRequest hello;
  hello.set_version_min(native::kProtocolVersion);
  hello.set_version_max(native::kProtocolVersion);
  hello.set_client_id(options.client_id);
  hello.set_client_software("libheadrace/" HEADRACE_VERSION);
  Result<void> answered = Call(*this, native::FrameType::kHello, hello, hello_, deadline, cancel);
  if (!answered && answered.error().code == error_number::kNetwork) {
    return NetworkError(answered.error().message + " during the handshake (is it a Headrace broker?)");
  }
  return answered;
}

std::uint32_t Connection::Send(native::FrameType type, const google::protobuf::MessageLite& header,
                               std::span<const ByteSpan> attachment) {
  const std::uint32_t id = next_correlation_id_++;
  std::uint64_t size = 0;
  for (const ByteSpan part : attachment) size += part.size();
  output_.emplace_back();
  native::AppendFrame(output_.back().owned, type, 0, id, header, size);
  output_.back().bytes = AsBytes(output_.back().owned);
  for (const ByteSpan part : attachment) output_.push_back({{}, part});
  return id;
}

Result<void> Connection::Write() {
  while (!output_.empty()) {
    std::array<iovec, kPartsPerWrite> parts;
    std::size_t count = 0;
    for (const OutputPart& part : output_) {
      if (count == parts.size()) break;
      // sendmsg does not write through the pointer that its interface has without const.
      parts[count++] = {const_cast<std::byte*>(part.bytes.data()), part.bytes.size()};
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t written = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && WouldBlock(errno)) return {};
    if (written < 0) return SystemError("sending to broker " + broker_, errno);
    Consume(static_cast<std::size_t>(written));
  }
  return {};
}

void Connection::Consume(std::size_t written) {
  while (!output_.empty() && written >= output_.front().bytes.size()) {
    written -= output_.front().bytes.size();
    output_.pop_front();
  }
  if (written > 0) output_.front().bytes = output_.front().bytes.subspan(written);
}

Result<bool> Connection::Receive(MutableByteSpan into, std::size_t& received) {
  while (true) {
    const ssize_t count = ::recv(fd_.get(), into.data(), into.size(), MSG_DONTWAIT);
    if (count > 0) {
      received = static_cast<std::size_t>(count);
      bytes_received_ += received;
      return true;
    }
    if (count == 0) return NetworkError("broker " + broker_ + " closed the connection");
    if (WouldBlock(errno)) return false;
    if (errno != EINTR) return SystemError("receiving from broker " + broker_, errno);
  }
}

Result<std::optional<ReceivedFrame>> Connection::Read() {
  while (true) {
    if (partial_) {
      if (partial_filled_ == partial_->size()) return FinishFrame();
      std::size_t received = 0;
      const Result<bool> any = Receive(partial_->span().subspan(partial_filled_), received);
      if (!any) return any.error();
      if (!*any) return std::optional<ReceivedFrame>();
      partial_filled_ += received;
      continue;
    }
    if (staged().size() >= native::kFrameLengthSize) {
      if (Result<void> started = StartFrame(); !started) return started.error();
      continue;
    }
    std::memmove(staging_.data(), staged().data(), staged().size());
    staging_end_ -= staging_begin_;
    staging_begin_ = 0;
    std::size_t received = 0;
    const Result<bool> any =
        Receive(MutableByteSpan(staging_).subspan(staging_end_, staging_limit_ - staging_end_), received);
    if (!any) return any.error();
    if (!*any) return std::optional<ReceivedFrame>();
    staging_end_ += received;
  }
}

Result<void> Connection::StartFrame() {
  const auto size = LoadBigEndian<std::uint32_t>(staged().data());
  constexpr std::size_t kSizeMin = native::kFramePrefixSize - native::kFrameLengthSize;
  if (size < kSizeMin || size > receive_size_max_) {
    return NetworkError("broker " + broker_ + " sent a frame of " + std::to_string(size) +
                        " bytes; the limits are " + std::to_string(kSizeMin) + " and " +
                        std::to_string(receive_size_max_) + " (ClientOptions::receive_size_max)");
  }
  staging_begin_ += native::kFrameLengthSize;
  partial_ = pool_->Take(size);
  partial_filled_ = std::min(staged().size(), partial_->size());
  std::memcpy(partial_->span().data(), staged().data(), partial_filled_);
  staging_begin_ += partial_filled_;
  staging_limit_ = size > kStagingSize ? kStagingSizeSmall : kStagingSize;
  return {};
}

Result<std::optional<ReceivedFrame>> Connection::FinishFrame() {
  ReceivedFrame received;
  received.storage = std::move(*partial_);
  partial_.reset();
  absl::StatusOr<native::Frame> frame = native::ParseFrame(received.storage.span());
  if (!frame.ok()) {
    return NetworkError("broker " + broker_ + " sent a malformed frame: " + ToError(frame.status()).message);
  }
  received.frame = *frame;
  return std::optional<ReceivedFrame>(std::move(received));
}

Result<bool> Connection::Wait(TimePoint deadline, const Wakeup* cancel) const {
  return WaitFor(fd_.get(), static_cast<short>(has_output() ? POLLIN | POLLOUT : POLLIN), deadline, cancel);
}

Result<void> Call(Connection& connection, native::FrameType type,
                  const google::protobuf::MessageLite& request, google::protobuf::MessageLite& response,
                  TimePoint deadline, const Wakeup* cancel) {
  const std::uint32_t id = connection.Send(type, request);
  while (true) {
    if (Result<void> written = connection.Write(); !written) return written;
    Result<std::optional<ReceivedFrame>> received = connection.Read();
    if (!received) return received.error();
    if (received->has_value()) {
      const native::Frame& frame = (*received)->frame;
      if ((frame.flags & native::kFrameFlagResponse) == 0 || frame.correlation_id != id) continue;
      return ParseAnswer(frame, response);
    }
    const Result<bool> ready = connection.Wait(deadline, cancel);
    if (!ready) return ready.error();
    if (!*ready) return NetworkError("broker " + connection.broker() + " gave no answer in time");
  }
}

Result<void> ParseAnswer(const native::Frame& frame, google::protobuf::MessageLite& response) {
  if (frame.type == native::FrameType::kError) {
    native::ErrorResponse error;
    if (absl::Status parsed = native::ParseHeader(frame.header, error); !parsed.ok()) return ToError(parsed);
    return ToError(error.error());
  }
  if (absl::Status parsed = native::ParseHeader(frame.header, response); !parsed.ok()) return ToError(parsed);
  return {};
}

}  // namespace headrace
