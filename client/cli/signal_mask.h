// Keeps signals away from threads that are started meanwhile.
#pragma once

#include <signal.h>

#include <future>

namespace headrace::cli {

// While it lives, SIGINT and SIGTERM are blocked in this thread, and for good in the threads it starts: so
// that they reach the thread that waits for input. Pending ones arrive when it ends.
class SignalMask {
 public:
  SignalMask() {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &blocked, &saved_);
  }
  ~SignalMask() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;

 private:
  sigset_t saved_;
};

// Runs `function` where signals do not reach it, nor the threads it starts, while this thread waits and takes
// them: until CatchSignals, Ctrl-C ends the program though it is connecting.
template <typename Function>
auto AwayFromSignals(Function function) {
  const auto masked = [&] {
    const SignalMask mask;
    return function();
  };
  return std::async(std::launch::async, masked).get();
}

}  // namespace headrace::cli
