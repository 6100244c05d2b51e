// A std::mutex that Clang's thread-safety analysis understands. absl::Mutex is not used because Debian's
// abseil is not instrumented and reports false races under ThreadSanitizer.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define HEADRACE_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define HEADRACE_THREAD_ATTRIBUTE(x)
#endif

#define HEADRACE_GUARDED_BY(x) HEADRACE_THREAD_ATTRIBUTE(guarded_by(x))
#define HEADRACE_REQUIRES(...) HEADRACE_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define HEADRACE_EXCLUDES(...) HEADRACE_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

namespace headrace::core {

class HEADRACE_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() HEADRACE_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() HEADRACE_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  bool try_lock() HEADRACE_THREAD_ATTRIBUTE(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

// Holds a Mutex for a scope.
class HEADRACE_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) HEADRACE_THREAD_ATTRIBUTE(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() HEADRACE_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits with any core::Mutex held by the caller: `condition.wait(mutex, predicate)`.
using ConditionVariable = std::condition_variable_any;

}  // namespace headrace::core
