#include "broker/topic/waiters.h"

#include <utility>

namespace headrace::topic {

Waiters::Id Waiters::Add(std::function<void()> wake) {
  Id id = 0;
  {
    const core::MutexLock lock(mutex_);
    id = next_id_++;
    waiters_.emplace_hint(waiters_.end(), id, std::move(wake));
    any_.store(true, std::memory_order_seq_cst);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return id;
}

void Waiters::Remove(Id id) {
  const core::MutexLock lock(mutex_);
  waiters_.erase(id);
}

void Waiters::WakeAll() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!any_.load(std::memory_order_seq_cst)) return;
  std::map<Id, std::function<void()>> woken;
  {
    const core::MutexLock lock(mutex_);
    any_.store(false, std::memory_order_seq_cst);
    woken.swap(waiters_);
  }
  for (const auto& [id, wake] : woken) wake();
}

}  // namespace headrace::topic
