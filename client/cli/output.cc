#include "client/cli/output.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

namespace headrace::cli {
namespace {

struct Notification {
  std::atomic<bool> interrupted{false};
  std::atomic<void (*)(void*)> notify{nullptr};
  std::atomic<void*> argument{nullptr};
};
Notification notification;

void HandleSignal(int /*signal*/) {
  const int saved = errno;
  notification.interrupted.store(true);
  if (auto* notify = notification.notify.load()) notify(notification.argument.load());
  errno = saved;
}

}  // namespace

bool Output::Flush() {
  std::size_t written = 0;
  while (written < buffer_.size() && !done()) {
    const ssize_t taken = ::write(descriptor_, buffer_.data() + written, buffer_.size() - written);
    if (taken >= 0)
      written += static_cast<std::size_t>(taken);
    else if (errno == EPIPE)
      closed_ = true;
    else if (errno != EINTR)
      error_ = std::generic_category().message(errno);
  }
  buffer_.clear();
  return !done();
}

void CatchSignals() {
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);
  struct sigaction handle{};
  handle.sa_handler = HandleSignal;
  handle.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &handle, nullptr);
  ::sigaction(SIGTERM, &handle, nullptr);
}

void OnInterrupt(void (*notify)(void*), void* argument) {
  notification.notify.store(nullptr);
  notification.argument.store(argument);
  notification.notify.store(notify);
}

bool Interrupted() {
  return notification.interrupted.load();
}

}  // namespace headrace::cli
