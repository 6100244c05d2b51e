#include "broker/net/request_memory.h"

#include <utility>
#include <vector>

namespace headrace::net {

struct RequestMemory::Reservation {
  Reservation(std::shared_ptr<RequestMemory> from, std::uint64_t size)
      : memory(std::move(from)), bytes(size) {}
  ~Reservation() { memory->GiveBack(bytes); }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  const std::shared_ptr<RequestMemory> memory;
  const std::uint64_t bytes;
};

bool RequestMemory::Fits(std::uint64_t bytes) const {
  return reserved_ == 0 || (reserved_ <= bytes_max_ && bytes <= bytes_max_ - reserved_);
}

RequestMemory::Lease RequestMemory::Reserve(std::uint64_t bytes, std::function<void(Lease)> later) {
  {
    const core::MutexLock lock(mutex_);
    if (!waiters_.empty() || !Fits(bytes)) {
      waiters_.push_back({bytes, std::move(later)});
      return nullptr;
    }
    reserved_ += bytes;
  }
  return std::make_shared<Reservation>(shared_from_this(), bytes);
}

void RequestMemory::GiveBack(std::uint64_t bytes) {
  std::vector<Waiter> granted;  // told after the lock
  {
    const core::MutexLock lock(mutex_);
    reserved_ -= bytes;
    while (!waiters_.empty() && Fits(waiters_.front().bytes)) {
      reserved_ += waiters_.front().bytes;
      granted.push_back(std::move(waiters_.front()));
      waiters_.pop_front();
    }
  }
  for (const Waiter& waiter : granted) {
    waiter.granted(std::make_shared<Reservation>(shared_from_this(), waiter.bytes));
  }
}

std::uint64_t RequestMemory::reserved() const {
  const core::MutexLock lock(mutex_);
  return reserved_;
}

bool RequestMemory::contended() const {
  const core::MutexLock lock(mutex_);
  return !waiters_.empty();
}

}  // namespace headrace::net
