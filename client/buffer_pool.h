// Receive buffers that are used again, so that a stream of large pushes costs no page faults.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "protocol/core/bytes.h"
#include "protocol/core/mutex.h"

namespace headrace {

class BufferPool;

// A buffer that goes back to its pool. One owner, one thread at a time; the pool lives as long as its
// buffers.
class PooledBuffer {
 public:
  PooledBuffer() = default;
  PooledBuffer(PooledBuffer&&) noexcept = default;
  PooledBuffer& operator=(PooledBuffer&& other) noexcept;
  ~PooledBuffer();

  MutableByteSpan span() const { return {data_.get(), size_}; }
  std::size_t size() const { return size_; }

 private:
  friend class BufferPool;
  std::unique_ptr<std::byte[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::shared_ptr<BufferPool> pool_;
};

// Keeps at most `kept_max` bytes of free buffers. Thread: any.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  explicit BufferPool(std::size_t kept_max) : kept_max_(kept_max) {}

  // A buffer of `size` bytes of any content.
  PooledBuffer Take(std::size_t size) HEADRACE_EXCLUDES(mutex_);

 private:
  friend class PooledBuffer;
  struct Free {
    std::unique_ptr<std::byte[]> data;
    std::size_t capacity;
  };
  void Return(std::unique_ptr<std::byte[]> data, std::size_t capacity) HEADRACE_EXCLUDES(mutex_);

  const std::size_t kept_max_;
  core::Mutex mutex_;
  std::vector<Free> free_ HEADRACE_GUARDED_BY(mutex_);
  std::size_t kept_ HEADRACE_GUARDED_BY(mutex_) = 0;
};

}  // namespace headrace
