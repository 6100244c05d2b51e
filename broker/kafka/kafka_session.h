// The Kafka protocol on one connection.
#pragma once

#include <memory>

#include "broker/kafka/request.h"
#include "broker/net/session.h"

namespace headrace::kafka {

// Reads the header of each request, finds the API's handler and lets it run; handlers answer when they are
// done, and OrderedResponses keeps the order. Owned by its connection, on that reactor's thread.
class KafkaSession final : public net::Session {
 public:
  KafkaSession(Services& services, std::shared_ptr<net::Channel> channel);

  static constexpr std::size_t kPrefixSize = 4;  // API and version

  // Errors, which end the connection as Kafka does: an API or version that is not served, a body that does
  // not parse.
  absl::Status OnLargeFrame(ByteSpan prefix, std::size_t size) override;
  absl::Status OnFrame(net::ReceivedFrame frame) override;
  void OnWritable() override {}
  void OnEndOfRequests() override { polls_.FinishAll(); }
  void OnClosed() override { polls_.CancelAll(); }
  std::size_t HeldBytes() const override { return responses_->held_bytes(); }

 private:
  Services& services_;
  const std::shared_ptr<net::Channel> channel_;
  const std::shared_ptr<OrderedResponses> responses_;
  topic::LongPolls polls_;
  std::string client_id_;  // as last told to the channel
};

}  // namespace headrace::kafka
