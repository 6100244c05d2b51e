#include "client/cli/output.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <system_error>

namespace headrace::cli {
namespace {

struct Notification {
  std::atomic<bool> interrupted{false};
  std::atomic<void (*)(void*)> notify{nullptr};
  std::atomic<void*> argument{nullptr};
};
Notification notification;

void SetHandler(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  ::sigaction(signal, &action, nullptr);
}

void HandleSignal(int /*signal*/) {
  const int saved = errno;
  SetHandler(SIGINT, SIG_DFL);
  SetHandler(SIGTERM, SIG_DFL);
  notification.interrupted.store(true);
  if (auto* notify = notification.notify.load()) notify(notification.argument.load());
  errno = saved;
}

// Whether up to PIPE_BUF bytes can be written without waiting longer than a second.
bool TakesSoon(int descriptor) {
  pollfd entry{descriptor, POLLOUT, 0};
  return ::poll(&entry, 1, 1'000) > 0;
}

}  // namespace

bool Output::Flush() {
  std::size_t written = 0;
  while (written < buffer_.size() && !done()) {
    std::size_t piece = buffer_.size() - written;
    if (Interrupted()) {
      piece = std::min<std::size_t>(piece, PIPE_BUF);
      closed_ = !TakesSoon(descriptor_);
      if (closed_) break;
    }
    const ssize_t taken = ::write(descriptor_, buffer_.data() + written, piece);
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

void PrepareStandardStreams() {
  SetHandler(SIGPIPE, SIG_IGN);
  int lowest = 0;  // of the free descriptors
  do lowest = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  while (lowest >= 0 && lowest <= STDERR_FILENO);
  if (lowest >= 0) ::close(lowest);
}

void CatchSignals() {
  SetHandler(SIGINT, HandleSignal);
  SetHandler(SIGTERM, HandleSignal);
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
