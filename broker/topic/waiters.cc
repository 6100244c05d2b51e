#include "broker/topic/waiters.h"

#include <algorithm>
#include <utility>

namespace headrace::topic {

Waiters::Id Waiters::Add(std::function<void()> wake) {
  Id id = 0;
  {
    const core::MutexLock lock(mutex_);
    id = next_id_++;
    waiters_.push_back({id, std::move(wake)});
    any_.store(true, std::memory_order_seq_cst);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return id;
}

void Waiters::Remove(Id id) {
  const core::MutexLock lock(mutex_);
  std::erase_if(waiters_, [id](const Waiter& waiter) { return waiter.id == id; });
}

void Waiters::WakeAll() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!any_.load(std::memory_order_seq_cst)) return;
  std::vector<Waiter> woken;
  {
    const core::MutexLock lock(mutex_);
    any_.store(false, std::memory_order_seq_cst);
    woken.swap(waiters_);
  }
  for (const Waiter& waiter : woken) waiter.wake();
}

}  // namespace headrace::topic
