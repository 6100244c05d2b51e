#include "broker/topic/produce_join.h"

#include <utility>

namespace headrace::topic {

ProduceJoin::ProduceJoin(std::shared_ptr<core::Scheduler> scheduler, std::function<void()> late, Done done)
    : scheduler_(std::move(scheduler)), late_(std::move(late)), done_(std::move(done)) {}

void ProduceJoin::Finish(const absl::Status& status) {
  if (!status.ok() && !failed_.exchange(true, std::memory_order_relaxed)) first_error_ = status;
  if (Leave()) scheduler_->Post([self = shared_from_this()] { self->End(); });
}

void ProduceJoin::Await(std::optional<std::chrono::steady_clock::time_point> deadline) {
  if (Leave()) return End();
  if (!deadline) return;
  timer_ = scheduler_->StartTimer(*deadline, [self = shared_from_this()] {
    self->timer_ = 0;
    self->was_late_ = true;
    self->late_();
  });
}

void ProduceJoin::End() {
  if (timer_ != 0) scheduler_->CancelTimer(timer_);
  done_(first_error_, was_late_);
}

}  // namespace headrace::topic
