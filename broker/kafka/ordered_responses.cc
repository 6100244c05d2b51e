#include "broker/kafka/ordered_responses.h"

#include <utility>

namespace headrace::kafka {

OrderedResponses::Ticket OrderedResponses::Open() {
  slots_.emplace_back();
  return first_ + slots_.size() - 1;
}

void OrderedResponses::Complete(Ticket ticket, net::Response response) {
  Finish(ticket, {true, false, std::move(response)});
}

void OrderedResponses::CompleteSilently(Ticket ticket, std::size_t request_size) {
  Slot slot{true, true, {}};
  slot.response.request_size = request_size;
  Finish(ticket, std::move(slot));
}

void OrderedResponses::Finish(Ticket ticket, Slot slot) {
  slots_[ticket - first_] = std::move(slot);
  while (!slots_.empty() && slots_.front().done) {
    Slot next = std::move(slots_.front());
    slots_.pop_front();
    ++first_;
    if (next.silent) {
      channel_->FinishRequest(next.response.request_size);
    } else {
      channel_->Send(std::move(next.response));
    }
  }
}

}  // namespace headrace::kafka
