// A plain blocking client of the Kafka protocol, for tests that say exactly what goes over the wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/kafka/frame.h"
#include "protocol/kafka/messages/all.h"

namespace headrace::testing {

// One connection. Thread: one.
class KafkaClient {
 public:
  // Connects to 127.0.0.1; ends the test's program if nobody listens there.
  explicit KafkaClient(std::uint16_t port);
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  std::string client_id = "test";  // of the requests to come

  // Sends bytes as they are; false if the connection is gone.
  bool SendBytes(std::string_view bytes);
  // Sends a request with the next correlation id, and returns that.
  template <typename Message>
  std::int32_t Send(kafka::ApiKey key, std::int16_t version, const Message& message) {
    const kafka::RequestHeader header{key, version, ++correlation_id_, client_id};
    SendBytes(kafka::EncodeRequest(Shape(key), header, message).bytes);
    return correlation_id_;
  }
  // The next response frame without its size; nullopt if the connection was closed instead.
  std::optional<std::string> Receive();
  // Of the frame received last.
  std::int32_t last_correlation_id() const { return last_correlation_id_; }
  // Reads a response of `key` in `version`, checks that it answers `correlation_id` and that nothing is left
  // over; nullopt if the connection was closed or the response is not that.
  template <typename Message>
  std::optional<Message> Receive(kafka::ApiKey key, std::int16_t version, std::int32_t correlation_id) {
    std::optional<std::string> frame = Receive();
    if (!frame) return std::nullopt;
    frame_ = *std::move(frame);
    kafka::Decoder header(Frame(), 0, false);
    std::int32_t answered = 0;
    header(answered);
    kafka::Decoder body(header.rest(), version, Shape(key).IsFlexible(version));
    if (key != kafka::ApiKey::kApiVersions) body.Tags();
    Message message;
    body(message);
    const bool whole = body.status().ok() && body.rest().empty() && answered == correlation_id;
    return whole ? std::optional<Message>(std::move(message)) : std::nullopt;
  }
  template <typename Response, typename Request>
  std::optional<Response> Call(kafka::ApiKey key, std::int16_t version, const Request& request) {
    return Receive<Response>(key, version, Send(key, version, request));
  }
  // Whether the broker closes the connection, sending nothing before.
  bool IsClosed() { return !Receive().has_value(); }

 private:
  // The API as the table has it, or one that it does not have.
  static kafka::Api Shape(kafka::ApiKey key);
  MutableByteSpan Frame() { return {reinterpret_cast<std::byte*>(frame_.data()), frame_.size()}; }

  int socket_ = -1;
  std::int32_t correlation_id_ = 0;
  std::int32_t last_correlation_id_ = 0;
  std::string frame_;  // the last response: Records point into it
};

}  // namespace headrace::testing
