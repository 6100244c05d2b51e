// How a connection ends: by itself, by its peer, at a deadline.
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "broker/net/connection.h"

namespace headrace::net {
namespace {

using Clock = std::chrono::steady_clock;
using tcp = boost::asio::ip::tcp;

constexpr std::size_t kDiscardTurn = 1 << 20;  // bytes thrown away before others have their turn
constexpr std::chrono::seconds kLingerTime{1};
constexpr int kPaceGrace = 16;  // a request's pace is looked at after this part of the time it may take

}  // namespace

void Connection::Close(std::string_view reason) {
  if (closed_ || closing_) return;
  LogClientError(reason);
  closing_ = true;
  ScheduleFlush();
}

void Connection::Drain() {
  if (closed_) return;
  closing_ = true;
  draining_ = true;
  Flush();
}

void Connection::Linger() {
  if (closed_ || lingering_) return;
  lingering_ = true;
  linger_until_ = Clock::now() + kLingerTime;
  boost::system::error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  Discard();
}

void Connection::Discard() {
  if (closed_) return;
  std::byte nobodys[16 << 10];
  ssize_t count = 0;
  std::size_t turn = 0;
  do {
    count = ::recv(socket_.native_handle(), nobodys, sizeof nobodys, 0);
    if (count > 0) turn += static_cast<std::size_t>(count);
  } while ((count > 0 && turn < kDiscardTurn) || (count < 0 && errno == EINTR));
  const bool more = count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
  // A server that ends does not wait for peers which have sent nothing that is lost on it.
  if (!more || (draining_ && turn == 0)) return CloseNow();
  WaitReadable();
}

void Connection::CloseNow() {
  if (closed_) return;
  closed_ = true;
  const auto self = shared_from_this();  // the list's reference goes now
  if (session_ != nullptr) {
    session_->OnClosed();
    // Not destroyed here: this may be inside a call of it.
    Post([self] { self->session_.reset(); });
  }
  CountSmall(-static_cast<std::ptrdiff_t>(in_flight_small_));
  output_.Clear();
  boost::system::error_code ignored;
  socket_.close(ignored);
  reactor_->Forget(id_);
  if (shared_.connections.fetch_sub(1) == 1 && shared_.draining.load()) {
    const core::MutexLock lock(shared_.drained_mutex);
    shared_.drained.notify_all();
  }
}

void Connection::CheckDeadlines(Clock::time_point now) {
  if (closed_) return;
  const NetOptions& options = shared_.options;
  if (lingering_ && now >= linger_until_) return CloseNow();
  // No answer has come yet to a peer that ended its requests, and that may be gone altogether.
  if (drain_until_ != Clock::time_point{} && output_.waiting() == 0 && now >= drain_until_) return CloseNow();
  if (!closing_ && Paused() && session_ != nullptr && PeerEnded()) session_->OnEndOfRequests();
  // The time in which the broker does not read is not the peer's.
  const bool reads = !closing_ && !Paused() && !awaiting_memory_;
  if (request_began_ != Clock::time_point{} && !reads) request_began_ = now;
  if (request_began_ != Clock::time_point{} && now - request_began_ > options.request_timeout) {
    LogClientError(absl::StrCat(bytes_in_.load() == 0 ? "sent no byte" : "a request was not complete",
                                " in time (setting request_timeout_ms)"));
    return CloseNow();
  }
  if (reads && HoldsOthersUp(now)) {
    LogClientError(absl::StrCat("has sent ", reader_->partial_size(), " of ", reader_->growing_to(),
                                " bytes of a request, too slowly while others wait for memory (settings "
                                "request_memory_max and request_timeout_ms)"));
    return CloseNow();
  }
  if (waiting_writable_ && PeerTakes()) output_moved_ = now;
  if (waiting_writable_ && output_.waiting() > 0 && now - output_moved_ > options.stall_timeout) {
    LogClientError(absl::StrCat("took no byte in time, with ", output_.waiting(),
                                " waiting (setting stall_timeout_ms)"));
    return CloseNow();
  }
}

bool Connection::HoldsOthersUp(Clock::time_point now) const {
  if (!reader_ || reader_->growing_to() == 0 || request_began_ == Clock::time_point{}) return false;
  const std::chrono::duration<double> taken = now - request_began_;
  const std::chrono::duration<double> allowed = shared_.options.request_timeout;
  const double due = static_cast<double>(reader_->growing_to()) * (taken / allowed);
  return taken > allowed / kPaceGrace && static_cast<double>(reader_->partial_size()) < due &&
         shared_.request_memory->contended();
}

bool Connection::PeerEnded() {
  pollfd socket{socket_.native_handle(), POLLRDHUP, 0};
  return ::poll(&socket, 1, 0) == 1;
}

bool Connection::PeerTakes() {
  int queued = 0;
  if (::ioctl(socket_.native_handle(), SIOCOUTQ, &queued) != 0) return false;
  return std::exchange(socket_queue_, queued) > queued;
}

}  // namespace headrace::net
