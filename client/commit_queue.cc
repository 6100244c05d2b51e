#include "client/commit_queue.h"

#include <utility>

namespace headrace {

std::uint64_t CommitQueue::Add(const Positions& positions) {
  for (const auto& [partition, offset] : positions) waiting_[partition] = offset;
  return ++last_ticket_;
}

const Positions& CommitQueue::Send() {
  under_way_ = std::exchange(waiting_, {});
  sent_ = true;
  sent_ticket_ = last_ticket_;
  return under_way_;
}

void CommitQueue::Settle(const Result<void>& outcome) {
  if (!sent_) return;
  sent_ = false;
  under_way_.clear();
  settled_ticket_ = sent_ticket_;
  outcome_ = outcome;
}

void CommitQueue::Repeat() {
  if (!sent_) return;
  sent_ = false;
  waiting_.merge(under_way_);
  under_way_.clear();
}

void CommitQueue::Fail(const Error& error) {
  if (idle()) return;
  sent_ = false;
  waiting_.clear();
  under_way_.clear();
  settled_ticket_ = last_ticket_;
  outcome_ = error;
}

std::optional<Result<void>> CommitQueue::outcome(std::uint64_t ticket) const {
  if (ticket > settled_ticket_) return std::nullopt;
  return outcome_;
}

}  // namespace headrace
