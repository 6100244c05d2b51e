// The order of one partition's batches.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "client/backoff.h"
#include "client/produce_batch.h"

namespace headrace {

// The identity under which a producer's batches are numbered.
struct ProducerIdentity {
  ProducerId id = kNoProducerId;
  std::int16_t epoch = -1;
};

// What the answer to a batch means for the producer.
enum class AnswerEffect : std::uint8_t {
  kDelivered,  // the batch is in the log
  kRetry,      // the queue sends it again
  kFailed,     // the batch was refused for good
};

// The batches of one partition that were sent and are not settled, in the order of their sequence numbers,
// none of them more than five back (so many the broker remembers). Decides which is sent next, so that they
// reach the log in order and once, whatever happened to the connection. A pure state machine: no clock, no
// socket, no lock; owned and used by the sender's thread alone.
//
// The rules: a batch is sent only after all before it are on their way; a refused one goes back to its place;
// those behind it are refused as out of order by the broker, and follow it again. When the broker refuses the
// first one as out of order, or one fails for good, the numbers behind it can never be accepted: all batches
// need a new epoch (needs_epoch), which may begin only when no batch is in doubt (MayRenumber).
class PartitionQueue {
 public:
  static constexpr std::size_t kUnsettledMax = 5;

  // Whether a batch that was never sent may follow now.
  bool MayAppend() const;
  // The batch to send again now, or null. With `only_in_doubt`, those that surely are not in the log wait.
  ProduceBatch* NextToRepeat(TimePoint now, bool only_in_doubt) const;
  // When NextToRepeat will have something; TimePoint::max() if nothing waits for a time.
  TimePoint RepeatTime(bool only_in_doubt) const;
  // Of the oldest batch; TimePoint::max() if there is none.
  TimePoint EarliestDeadline() const;

  // Takes a batch in and numbers it (base sequence -1 and no identity without acknowledgements).
  absl::Status Append(std::unique_ptr<ProduceBatch> batch, const ProducerIdentity& identity);

  // The answer for `batch`, which was in flight: `code` is the broker's, `retriable` what it said of it.
  AnswerEffect Answer(ProduceBatch& batch, int code, bool retriable, TimePoint now, Backoff& backoff);
  // The connection is gone: what was in flight is in doubt, and is sent again unless it was abandoned.
  void LoseConnection();
  // Takes a settled batch out.
  std::unique_ptr<ProduceBatch> Remove(const ProduceBatch& batch);
  // Takes out the batches past their deadline that wait, and marks those in flight as abandoned: their bytes
  // may be half written, and their answer settles their numbers. The caller fails the messages of both.
  struct Expired {
    std::vector<std::unique_ptr<ProduceBatch>> removed;
    std::vector<ProduceBatch*> abandoned;
  };
  Expired Expire(TimePoint now);
  std::vector<std::unique_ptr<ProduceBatch>> RemoveAll();

  bool needs_epoch() const { return needs_epoch_; }
  bool MayRenumber() const;
  // Numbers all batches from 0 under a new identity. REQUIRES: MayRenumber().
  void Renumber(const ProducerIdentity& identity);

  bool empty() const { return batches_.empty(); }

 private:
  ProduceBatch* FirstToRepeat(bool only_in_doubt) const;

  std::deque<std::unique_ptr<ProduceBatch>> batches_;
  std::int32_t next_sequence_ = 0;
  std::uint64_t appended_ = 0;  // batches under this identity
  bool needs_epoch_ = false;
};

}  // namespace headrace
