// One Kafka request on its way through a handler, and the ways to answer it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "broker/kafka/ordered_responses.h"
#include "broker/kafka/services.h"
#include "broker/topic/long_poll.h"
#include "protocol/kafka/frame.h"

namespace headrace::kafka {

// Copyable, so that handlers can carry it to another thread. Exactly one of the answers below ends it.
struct Request {
  Services* services = nullptr;
  std::shared_ptr<net::Channel> channel;
  std::shared_ptr<OrderedResponses> responses;
  OrderedResponses::Ticket ticket = 0;
  const Api* api = nullptr;
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  std::string client_id;
  std::shared_ptr<void> owner;        // of the frame's bytes, which the message's Records point into
  std::size_t size = 0;               // bytes as received, to be given back with the answer
  topic::LongPolls* polls = nullptr;  // of the session: only until the handler returns
};

// A frame as the network sends it; `slices` fill its gaps, in order.
net::Response MakeResponse(const Request& request, EncodedFrame frame,
                           std::vector<std::vector<storage::FileSlice>> slices = {});

// Answers on the reactor thread.
template <typename Message>
void Answer(const Request& request, const Message& message) {
  request.responses->Complete(
      request.ticket,
      MakeResponse(request, EncodeResponse(*request.api, request.version, request.correlation_id, message)));
}
void AnswerNothing(const Request& request);

// Answers from any thread.
template <typename Message>
void PostAnswer(const Request& request, Message message) {
  request.channel->Post([request, message = std::move(message)] { Answer(request, message); });
}

// Runs work that may block on the file pool, and answers with what it returns.
template <typename Work>
void RunBlocking(const Request& request, Work work) {
  request.services->pool->Post([request, work = std::move(work)]() mutable { PostAnswer(request, work()); });
}

// The error code as Kafka's clients know it: those of the native protocol alone become the nearest retriable
// one, and kDuplicateSequence, which they would take for success, becomes kInvalidRecord.
ErrorCode WireCode(const absl::Status& status);
std::optional<std::string> WireMessage(const absl::Status& status);

// The leader epoch that a client knows against the partition's: kFencedLeaderEpoch if it is older,
// kUnknownLeaderEpoch if it is newer; -1 is not checked (KIP-320).
absl::Status CheckLeaderEpoch(const topic::Partition& partition, LeaderEpoch known);

}  // namespace headrace::kafka
