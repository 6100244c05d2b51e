#include "client/partition_queue.h"

#include <algorithm>

#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

// Errors after which the batch may be in the log all the same.
bool LeavesDoubt(ErrorCode code) {
  return code == ErrorCode::kRequestTimedOut || code == ErrorCode::kNetworkException;
}

bool LostIdentity(ErrorCode code) {
  return code == ErrorCode::kInvalidProducerEpoch || code == ErrorCode::kUnknownProducerId;
}

}  // namespace

bool PartitionQueue::MayAppend() const {
  if (batches_.empty()) return !needs_epoch_;
  // Counted from the oldest unsettled one, with the settled between: else the broker could have forgotten
  // that one when it comes again, and its repetition would not be recognised.
  return !needs_epoch_ && appended_ - batches_.front()->number < kUnsettledMax &&
         std::all_of(batches_.begin(), batches_.end(), [](const auto& batch) { return batch->in_flight; });
}

ProduceBatch* PartitionQueue::FirstToRepeat(bool only_in_doubt) const {
  for (const auto& batch : batches_) {
    if (!batch->in_flight && (!only_in_doubt || batch->maybe_appended)) return batch.get();
  }
  return nullptr;
}

ProduceBatch* PartitionQueue::NextToRepeat(TimePoint now, bool only_in_doubt) const {
  // Those behind must not overtake it, so a wait of this one is theirs too.
  ProduceBatch* const first = FirstToRepeat(only_in_doubt);
  return first != nullptr && first->retry_at <= now ? first : nullptr;
}

TimePoint PartitionQueue::RepeatTime(bool only_in_doubt) const {
  const ProduceBatch* const first = FirstToRepeat(only_in_doubt);
  return first == nullptr ? TimePoint::max() : first->retry_at;
}

TimePoint PartitionQueue::EarliestDeadline() const {
  return batches_.empty() ? TimePoint::max() : batches_.front()->deadline;
}

absl::Status PartitionQueue::Append(std::unique_ptr<ProduceBatch> batch, const ProducerIdentity& identity) {
  const std::int32_t sequence = identity.id == kNoProducerId ? -1 : next_sequence_;
  absl::Status built = batch->Build(identity.id, identity.epoch, sequence);
  // Also a batch that could not be built is taken in, so that it fails as every other does.
  if (built.ok() && sequence >= 0) next_sequence_ = NextSequence(LastSequence(sequence, batch->count));
  batch->number = appended_++;
  batches_.push_back(std::move(batch));
  return built;
}

AnswerEffect PartitionQueue::Answer(ProduceBatch& batch, int code, bool retriable, TimePoint now,
                                    Backoff& backoff) {
  const auto error = static_cast<ErrorCode>(code);
  batch.in_flight = false;
  if (error == ErrorCode::kNone) return AnswerEffect::kDelivered;  // a duplicate is answered so, too
  if (error == ErrorCode::kOutOfOrderSequence) {
    batch.maybe_appended = false;  // had it been appended before, it would have been recognised
    if (batches_.front().get() == &batch) needs_epoch_ = true;
    return AnswerEffect::kRetry;
  }
  if (LostIdentity(error)) {
    needs_epoch_ = true;
    // Under another identity a batch in doubt could be in the log twice.
    return batch.maybe_appended ? AnswerEffect::kFailed : AnswerEffect::kRetry;
  }
  if (!retriable) {
    needs_epoch_ = true;  // its numbers are a gap now
    return AnswerEffect::kFailed;
  }
  // A refusal says nothing of an earlier attempt that was left in doubt.
  if (LeavesDoubt(error)) batch.maybe_appended = true;
  batch.retry_at = now + backoff.Delay(++batch.attempts);
  return AnswerEffect::kRetry;
}

void PartitionQueue::LoseConnection() {
  for (const auto& batch : batches_) {
    if (batch->in_flight) batch->maybe_appended = true;
    batch->in_flight = false;
  }
  std::erase_if(batches_, [](const auto& batch) { return batch->abandoned; });
}

std::unique_ptr<ProduceBatch> PartitionQueue::Remove(const ProduceBatch& batch) {
  const auto at =
      std::find_if(batches_.begin(), batches_.end(), [&](const auto& b) { return b.get() == &batch; });
  HEADRACE_CHECK(at != batches_.end());
  std::unique_ptr<ProduceBatch> removed = std::move(*at);
  batches_.erase(at);
  return removed;
}

PartitionQueue::Expired PartitionQueue::Expire(TimePoint now) {
  Expired expired;
  for (auto& batch : batches_) {
    if (batch->deadline > now || batch->abandoned) continue;
    if (batch->in_flight) {
      batch->abandoned = true;
      expired.abandoned.push_back(batch.get());
    } else {
      // If it never arrived its numbers are a gap, which the next batch finds out by being refused.
      expired.removed.push_back(std::move(batch));
    }
  }
  std::erase(batches_, nullptr);
  return expired;
}

std::vector<std::unique_ptr<ProduceBatch>> PartitionQueue::RemoveAll() {
  std::vector<std::unique_ptr<ProduceBatch>> all;
  for (auto& batch : batches_) all.push_back(std::move(batch));
  batches_.clear();
  return all;
}

bool PartitionQueue::MayRenumber() const {
  return std::none_of(batches_.begin(), batches_.end(),
                      [](const auto& batch) { return batch->in_flight || batch->maybe_appended; });
}

void PartitionQueue::Renumber(const ProducerIdentity& identity) {
  HEADRACE_CHECK(MayRenumber());
  next_sequence_ = 0;
  needs_epoch_ = false;
  appended_ = 0;
  for (const auto& batch : batches_) {
    batch->Restamp(identity.id, identity.epoch, next_sequence_);
    batch->number = appended_++;
    next_sequence_ = NextSequence(LastSequence(next_sequence_, batch->count));
  }
}

}  // namespace headrace
