#include "client/buffer_pool.h"

#include <utility>

namespace headrace {
namespace {

// Small buffers come from malloc as quickly as from here; large ones are rounded up so that they fit again.
constexpr std::size_t kPooledSizeMin = 64U << 10;

std::size_t RoundUp(std::size_t size) {
  return size < kPooledSizeMin ? size : (size + kPooledSizeMin - 1) / kPooledSizeMin * kPooledSizeMin;
}

}  // namespace

PooledBuffer& PooledBuffer::operator=(PooledBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  std::swap(pool_, other.pool_);
  return *this;
}

PooledBuffer::~PooledBuffer() {
  if (data_ && pool_) pool_->Return(std::move(data_), capacity_);
}

PooledBuffer BufferPool::Take(std::size_t size) {
  PooledBuffer buffer;
  buffer.size_ = size;
  buffer.pool_ = shared_from_this();
  if (size >= kPooledSizeMin) {
    core::MutexLock lock(mutex_);
    // The last returned first: its pages are the warmest.
    for (auto at = free_.rbegin(); at != free_.rend(); ++at) {
      if (at->capacity < size) continue;
      buffer.data_ = std::move(at->data);
      buffer.capacity_ = at->capacity;
      kept_ -= at->capacity;
      free_.erase(std::next(at).base());
      return buffer;
    }
  }
  buffer.capacity_ = RoundUp(size);
  buffer.data_ = std::make_unique_for_overwrite<std::byte[]>(buffer.capacity_);
  return buffer;
}

void BufferPool::Return(std::unique_ptr<std::byte[]> data, std::size_t capacity) {
  if (capacity < kPooledSizeMin) return;
  core::MutexLock lock(mutex_);
  if (kept_ + capacity > kept_max_) return;
  kept_ += capacity;
  free_.push_back({std::move(data), capacity});
}

}  // namespace headrace
