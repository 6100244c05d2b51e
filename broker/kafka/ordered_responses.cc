#include "broker/kafka/ordered_responses.h"

#include <utility>

namespace headrace::kafka {
namespace {

std::size_t MemoryOf(const net::Response& response) {
  std::size_t bytes = 0;
  for (const net::ResponsePiece& piece : response.pieces) {
    if (const auto* run = std::get_if<std::string>(&piece)) bytes += run->size();
  }
  return bytes;
}

}  // namespace

OrderedResponses::Ticket OrderedResponses::Open() {
  slots_.emplace_back();
  return first_ + slots_.size() - 1;
}

void OrderedResponses::Complete(Ticket ticket, net::Response response) {
  const std::size_t memory = MemoryOf(response);
  Finish(ticket, {true, false, std::move(response), memory});
}

void OrderedResponses::CompleteSilently(Ticket ticket, std::size_t request_size) {
  Slot slot{true, true, {}, 0};
  slot.response.request_size = request_size;
  Finish(ticket, std::move(slot));
}

void OrderedResponses::Finish(Ticket ticket, Slot slot) {
  held_bytes_ += slot.memory;
  slots_[ticket - first_] = std::move(slot);
  while (!slots_.empty() && slots_.front().done) {
    Slot next = std::move(slots_.front());
    slots_.pop_front();
    ++first_;
    held_bytes_ -= next.memory;
    if (next.silent) {
      channel_->FinishRequest(next.response.request_size);
    } else {
      channel_->Send(std::move(next.response));
    }
  }
}

}  // namespace headrace::kafka
