#include "client/partition_queue.h"

#include <catch2/catch.hpp>

#include "protocol/core/error_code.h"

namespace headrace {
namespace {

constexpr ProducerIdentity kIdentity{7, 0};

using Batches = std::vector<ProduceBatch*>;

class Queue {
 public:
  ProduceBatch& Append(std::int32_t records) {
    auto batch = std::make_unique<ProduceBatch>(0, Compression::kNone, deadline, 0);
    RecordView record;
    record.value = AsBytes("value");
    for (std::int32_t i = 0; i < records; ++i) batch->builder.Add(record);
    batch->count = records;
    ProduceBatch& appended = *batch;
    REQUIRE(queue.Append(std::move(batch), kIdentity).ok());
    appended.in_flight = true;
    return appended;
  }
  AnswerEffect Answer(ProduceBatch& batch, ErrorCode code) {
    return queue.Answer(batch, static_cast<int>(code), IsRetriable(code), now, backoff);
  }
  // What is to be sent now, in order; marks it as sent.
  std::vector<ProduceBatch*> Repeat(bool only_in_doubt = false) {
    std::vector<ProduceBatch*> repeated;
    while (ProduceBatch* batch = queue.NextToRepeat(now, only_in_doubt)) {
      batch->in_flight = true;
      repeated.push_back(batch);
    }
    return repeated;
  }

  TimePoint now{};
  TimePoint deadline = TimePoint{} + std::chrono::hours(1);
  Backoff backoff{std::chrono::milliseconds(10), std::chrono::milliseconds(100)};
  PartitionQueue queue;
};

TEST_CASE("PartitionQueue: batches are numbered one after the other, and five may be unsettled") {
  Queue q;
  CHECK(q.Append(3).base_sequence == 0);
  CHECK(q.Append(2).base_sequence == 3);
  CHECK(q.Append(1).base_sequence == 5);
  q.Append(1);
  CHECK(q.queue.MayAppend());
  q.Append(1);
  CHECK_FALSE(q.queue.MayAppend());
}

TEST_CASE("PartitionQueue: what may not be repeated now gives no time to look again") {
  Queue q;
  ProduceBatch& a = q.Append(1);
  CHECK(q.queue.RepeatTime(false) == TimePoint::max());
  CHECK(q.Answer(a, ErrorCode::kDiskFull) == AnswerEffect::kRetry);
  CHECK(q.queue.RepeatTime(false) == a.retry_at);
  CHECK(q.queue.RepeatTime(true) == TimePoint::max());
  q.now = a.retry_at;
  REQUIRE(q.Repeat() == Batches{&a});
  q.queue.LoseConnection();
  CHECK(q.queue.RepeatTime(true) == a.retry_at);
}

TEST_CASE("PartitionQueue: a refused batch and those behind it are repeated in their order, after the wait") {
  Queue q;
  ProduceBatch& a = q.Append(1);
  ProduceBatch& b = q.Append(1);
  ProduceBatch& c = q.Append(1);
  CHECK(q.Answer(a, ErrorCode::kDiskFull) == AnswerEffect::kRetry);
  CHECK(q.Answer(b, ErrorCode::kOutOfOrderSequence) == AnswerEffect::kRetry);
  CHECK_FALSE(q.queue.MayAppend());
  CHECK(q.Repeat().empty());
  q.now += std::chrono::seconds(1);
  CHECK(q.Repeat() == Batches{&a, &b});
  CHECK(q.Answer(c, ErrorCode::kOutOfOrderSequence) == AnswerEffect::kRetry);
  CHECK(q.Repeat() == Batches{&c});
  CHECK_FALSE(q.queue.needs_epoch());
}

TEST_CASE("PartitionQueue: after a lost connection all is repeated with the same numbers") {
  Queue q;
  ProduceBatch& a = q.Append(4);
  ProduceBatch& b = q.Append(2);
  q.queue.LoseConnection();
  CHECK_FALSE(q.queue.MayRenumber());
  CHECK(q.Repeat() == Batches{&a, &b});
  CHECK(a.base_sequence == 0);
  CHECK(b.base_sequence == 4);
  CHECK(q.Answer(a, ErrorCode::kNone) == AnswerEffect::kDelivered);
}

TEST_CASE("PartitionQueue: a batch whose numbers another one has is not in the log") {
  Queue q;
  ProduceBatch& a = q.Append(4);
  CHECK(q.Answer(a, ErrorCode::kDuplicateSequence) == AnswerEffect::kFailed);
}

TEST_CASE("PartitionQueue: a batch that failed for good needs a new epoch, once nothing is in doubt") {
  Queue q;
  ProduceBatch& a = q.Append(4);
  ProduceBatch& b = q.Append(2);
  ProduceBatch& c = q.Append(1);
  CHECK(q.Answer(a, ErrorCode::kInvalidRecord) == AnswerEffect::kFailed);
  q.queue.Remove(a);
  CHECK(q.queue.needs_epoch());
  CHECK(q.Answer(b, ErrorCode::kOutOfOrderSequence) == AnswerEffect::kRetry);
  CHECK_FALSE(q.queue.MayRenumber());
  q.queue.LoseConnection();
  // Whether c is in the log is not known; b surely is not, and waits for its new number.
  CHECK(q.Repeat(true) == Batches{&c});
  CHECK(q.Answer(c, ErrorCode::kOutOfOrderSequence) == AnswerEffect::kRetry);
  REQUIRE(q.queue.MayRenumber());
  q.queue.Renumber({7, 1});
  CHECK(q.Repeat() == Batches{&b, &c});
  CHECK(b.base_sequence == 0);
  CHECK(c.base_sequence == 2);
  const absl::StatusOr<RecordBatchView> restamped = RecordBatchView::Parse(c.bytes);
  REQUIRE(restamped.ok());
  CHECK(restamped->CheckCrc().ok());
  CHECK(restamped->producer_epoch() == 1);
  CHECK(restamped->base_sequence() == 2);
}

TEST_CASE("PartitionQueue: the first batch refused as out of order needs a new epoch") {
  Queue q;
  ProduceBatch& a = q.Append(1);
  CHECK(q.Answer(a, ErrorCode::kOutOfOrderSequence) == AnswerEffect::kRetry);
  CHECK(q.queue.needs_epoch());
  CHECK(q.queue.MayRenumber());
}

TEST_CASE("PartitionQueue: no batch follows that would make the broker forget one in doubt") {
  Queue q;
  ProduceBatch& a = q.Append(1);
  q.queue.LoseConnection();
  CHECK(q.Repeat() == Batches{&a});
  for (int i = 0; i < 4; ++i) {
    REQUIRE(q.queue.MayAppend());
    ProduceBatch& later = q.Append(1);
    CHECK(q.Answer(later, ErrorCode::kNone) == AnswerEffect::kDelivered);
    q.queue.Remove(later);
  }
  CHECK_FALSE(q.queue.MayAppend());
  // Refused for another reason, it is in doubt as before.
  CHECK(q.Answer(a, ErrorCode::kDiskFull) == AnswerEffect::kRetry);
  CHECK_FALSE(q.queue.MayRenumber());
}

TEST_CASE("PartitionQueue: a batch past its deadline leaves, or is abandoned while on its way") {
  Queue q;
  q.deadline = TimePoint{} + std::chrono::seconds(1);
  ProduceBatch& a = q.Append(1);
  ProduceBatch& b = q.Append(1);
  CHECK(q.Answer(b, ErrorCode::kDiskFull) == AnswerEffect::kRetry);
  const PartitionQueue::Expired expired = q.queue.Expire(TimePoint{} + std::chrono::seconds(2));
  REQUIRE(expired.removed.size() == 1);
  CHECK(expired.removed.front().get() == &b);
  CHECK(expired.abandoned == Batches{&a});
  q.queue.LoseConnection();
  CHECK(q.queue.empty());
}

}  // namespace
}  // namespace headrace
