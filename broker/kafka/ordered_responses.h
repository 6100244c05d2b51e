// Keeps the responses of one connection in the order of its requests.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "broker/net/session.h"

namespace headrace::kafka {

// Requests are worked on side by side and end in any order; Kafka's clients rely on answers in theirs. Shared
// by the session and its requests, on the connection's reactor thread only.
class OrderedResponses {
 public:
  using Ticket = std::uint64_t;

  explicit OrderedResponses(std::shared_ptr<net::Channel> channel) : channel_(std::move(channel)) {}

  // A request has come in.
  Ticket Open();
  // It is over: with a response, or (acks=0) without one. Sends what has its turn now.
  void Complete(Ticket ticket, net::Response response);
  void CompleteSilently(Ticket ticket, std::size_t request_size);
  // Memory of the answers that wait for their turn: what they have of files is not counted.
  std::size_t held_bytes() const { return held_bytes_; }

 private:
  struct Slot {
    bool done = false;
    bool silent = false;
    net::Response response;
    std::size_t memory = 0;
  };

  void Finish(Ticket ticket, Slot slot);

  const std::shared_ptr<net::Channel> channel_;
  Ticket first_ = 0;  // of slots_
  std::deque<Slot> slots_;
  std::size_t held_bytes_ = 0;
};

}  // namespace headrace::kafka
