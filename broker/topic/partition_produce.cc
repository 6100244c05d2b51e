// What happens to a client's batch before it is appended, and in which order.
#include <utility>

#include "broker/topic/partition.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/io/file_pool.h"

namespace headrace::topic {

void Partition::SetRules(const ProduceRules& rules) {
  const core::MutexLock lock(produce_mutex_);
  rules_ = rules;
  batch_size_max_.store(rules.size_max(), std::memory_order_relaxed);
  direct_.store(rules.as_sent() && !preparing_one_, std::memory_order_release);
}

absl::StatusOr<RecordBatchView> Partition::CheckProduced(ByteSpan bytes) const {
  if (name_.starts_with("__")) {
    return MakeError(ErrorCode::kInvalidTopic, "this topic is the broker's own");
  }
  if (bytes.size() > batch_size_max_.load(std::memory_order_relaxed)) {
    const core::MutexLock lock(produce_mutex_);
    RETURN_IF_ERROR(CheckSize(rules_, bytes.size()));
  }
  return CheckBatch(bytes);
}

absl::Status Partition::TakeRoom(AppendRequest& request) const {
  request.room = {};  // of the bytes that were to be appended before
  ASSIGN_OR_RETURN(request.room, services_.budget->Take(request.bytes.size()));
  return absl::OkStatus();
}

void Partition::Refuse(const AppendRequest& request, const absl::Status& error) const {
  request.done(Prefixed(error, name_));
}

void Partition::Produce(AppendRequest request) {
  const absl::StatusOr<RecordBatchView> batch = CheckProduced(request.bytes);
  if (!batch.ok()) return Refuse(request, batch.status());
  if (const absl::Status room = TakeRoom(request); !room.ok()) return Refuse(request, room);
  if (direct_.load(std::memory_order_acquire) && !LacksMaxTimestamp(*batch))
    return Append(std::move(request));
  ProduceRules rules;
  bool first = false;
  {
    const core::MutexLock lock(produce_mutex_);
    rules = rules_;
    if (preparing_one_ || IsCostly(rules, *batch)) {
      preparing_.push_back(std::move(request));
      if (preparing_one_) return;
      first = preparing_one_ = true;
      direct_.store(false, std::memory_order_release);
    }
  }
  if (first) return PostNext();
  PrepareAndAppend(rules, std::move(request));
}

void Partition::PrepareAndAppend(const ProduceRules& rules, AppendRequest request) {
  request.sent_crc = RecordBatchView::Parse(request.bytes)->crc();
  absl::StatusOr<std::vector<std::byte>> anew = Prepare(rules, services_.clock->WallNow(), request.bytes);
  if (!anew.ok()) return Refuse(request, anew.status());
  if (!anew->empty()) {
    auto owner = std::make_shared<std::vector<std::byte>>(*std::move(anew));
    request.bytes = *owner;
    request.owner = std::move(owner);
    const absl::Status taken = TakeRoom(request);
    if (!taken.ok()) return Refuse(request, taken);
  }
  Append(std::move(request));
}

void Partition::AwaitAppends() {
  // Whoever has looked at `stopping` submits before it lets go of the lock.
  const core::MutexLock lock(mutex_);
}

// One batch is one job, so that a busy partition does not keep the pool's threads from others.
void Partition::PostNext() {
  services_.pool->Post([self = shared_from_this()] { self->ProduceNext(); });
}

void Partition::ProduceNext() {
  std::list<AppendRequest> next;
  ProduceRules rules;
  {
    const core::MutexLock lock(produce_mutex_);
    next.splice(next.begin(), preparing_, preparing_.begin());
    rules = rules_;
  }
  PrepareAndAppend(rules, std::move(next.front()));
  {
    const core::MutexLock lock(produce_mutex_);
    preparing_one_ = !preparing_.empty();
    if (!preparing_one_) {
      direct_.store(rules_.as_sent(), std::memory_order_release);
      return;
    }
  }
  PostNext();
}

}  // namespace headrace::topic
