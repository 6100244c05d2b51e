#include "storage/io/file_pool.h"

#include <utility>

namespace headrace::storage {

FilePool::FilePool(std::size_t threads) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

FilePool::~FilePool() {
  {
    const core::MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void FilePool::Post(std::function<void()> job) {
  {
    const core::MutexLock lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void FilePool::Run() {
  mutex_.lock();
  while (true) {
    while (jobs_.empty() && !stopping_) wake_.wait(mutex_);
    if (jobs_.empty()) break;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    mutex_.unlock();
    job();
    job = nullptr;  // what it holds is let go before the lock is taken
    mutex_.lock();
  }
  mutex_.unlock();
}

}  // namespace headrace::storage
