// The native protocol on one connection.
#pragma once

#include <memory>
#include <unordered_map>

#include "broker/native/services.h"
#include "broker/native/stream.h"
#include "broker/net/session.h"

namespace headrace::native {

// From now on Protobuf does not write to standard error what is wrong with a message: its sender is told.
// Before there are sessions.
void SilenceProtobuf();

// Takes frames apart, hands requests to their handlers and keeps the connection's streams. Created, called
// and destroyed on the connection's reactor.
class NativeSession final : public net::Session {
 public:
  NativeSession(Services& services, std::shared_ptr<net::Channel> channel);
  ~NativeSession() override;

  // Errors, which close the connection: a malformed frame, an unknown type, any request before Hello, a
  // header above kRequestHeaderSizeMax.
  absl::Status OnLargeFrame(ByteSpan prefix, std::size_t size) override;
  absl::Status OnFrame(net::ReceivedFrame received) override;
  void OnWritable() override;
  void OnEndOfRequests() override { polls_.FinishAll(); }
  void OnClosed() override;

 private:
  absl::Status HandleHello(const Request& request);
  void HandleSubscribe(const Request& request);
  void HandleCredit(const Request& request);
  void HandleUnsubscribe(const Request& request);
  // Whether a frame of this type may come now.
  absl::Status CheckType(FrameType type) const;
  void Dispatch(const Request& request);

  Services& services_;
  const std::shared_ptr<net::Channel> channel_;
  bool greeted_ = false;
  std::shared_ptr<const std::string> client_id_;  // set with greeted_
  topic::LongPolls polls_;
  std::unordered_map<std::uint32_t, std::shared_ptr<Stream>> streams_;
  std::uint32_t last_pumped_ = 0;  // streams take turns at a socket that has run low
};

}  // namespace headrace::native
