// The positions a member of a group has yet to commit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "headrace/result.h"

namespace headrace {

// By partition, of the next record to read.
using Positions = std::map<std::uint32_t, std::int64_t>;

// One request at a time is under way; what is added meanwhile waits, the last position of a partition
// counting. A pure state machine: no clock, no socket, no lock. Owned by GroupMember.
class CommitQueue {
 public:
  // A ticket, by which the outcome is asked for.
  std::uint64_t Add(const Positions& positions);
  // Nothing waits or is under way.
  bool idle() const { return waiting_.empty() && !sent_; }
  bool ready() const { return !waiting_.empty() && !sent_; }

  // What waited is under way now. REQUIRES: ready().
  const Positions& Send();
  bool sent() const { return sent_; }
  // The answer to what was sent.
  void Settle(const Result<void>& outcome);
  // What was sent was not taken: it waits again, without replacing anything newer.
  void Repeat();
  // Everything, sent or waiting, has failed.
  void Fail(const Error& error);

  // Nullopt while that ticket is not settled. Kept until the next ticket is.
  std::optional<Result<void>> outcome(std::uint64_t ticket) const;

 private:
  Positions waiting_;
  Positions under_way_;
  bool sent_ = false;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t sent_ticket_ = 0;     // the last one that is in under_way_
  std::uint64_t settled_ticket_ = 0;  // all up to this one are settled
  Result<void> outcome_;              // of that one
};

}  // namespace headrace
