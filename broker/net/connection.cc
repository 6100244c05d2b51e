#include "broker/net/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "broker/net/protocol_detection.h"
#include "protocol/core/error_code.h"
#include "protocol/core/utf8.h"

namespace headrace::net {
namespace {

using Clock = std::chrono::steady_clock;
using tcp = boost::asio::ip::tcp;

constexpr std::size_t kReadTurn = 1 << 20;      // bytes received before others have their turn
constexpr std::uint64_t kSendTurn = 1 << 20;    // bytes sent, likewise
constexpr std::uint64_t kLowWater = 256 << 10;  // bytes queued below which the session may push more

std::string PeerName(const tcp::socket& socket) {
  boost::system::error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  std::ostringstream text;  // an IPv6 address in brackets
  text << peer;
  return error ? "(gone)" : text.str();
}

}  // namespace

Connection::Connection(std::shared_ptr<Reactor> reactor, tcp::socket socket)
    : reactor_(std::move(reactor)),
      shared_(reactor_->shared()),
      socket_(std::move(socket)),
      id_(shared_.next_connection_id.fetch_add(1)),
      peer_(PeerName(socket_)),
      output_(socket_.native_handle(), shared_.options.transfer, shared_.options.residency, transfers_,
              reactor_->transfers()) {}

Connection::~Connection() = default;

void Connection::Start() {
  boost::system::error_code ignored;  // an option that cannot be set costs speed, no more
  socket_.non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.set_option(tcp::socket::keep_alive(true), ignored);  // notices a machine that is gone
  const int low_water = 256 << 10;
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, 25 /* TCP_NOTSENT_LOWAT */, &low_water,
               sizeof low_water);
  if (shared_.draining.load()) return CloseNow();
  const tcp::endpoint local = socket_.local_endpoint(ignored);
  local_host_ = local.address().to_string();
  local_port_ = local.port();
  request_began_ = Clock::now();
  WaitReadable();
}

// --- Reading ---

void Connection::WaitReadable() {
  if (closed_ || (closing_ && !lingering_) || waiting_readable_) return;
  waiting_readable_ = true;
  socket_.async_wait(tcp::socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       self->waiting_readable_ = false;
                       if (!error) self->OnReadable();
                     });
}

void Connection::OnReadable() {
  read_posted_ = false;
  if (lingering_) return Discard();
  if (closed_ || closing_) return;
  ReadTurn();
}

void Connection::ReadTurn() {
  std::size_t turn = 0;
  bool empty = false;
  handling_ = true;
  while (!closed_ && !closing_) {
    if (reader_) HandleFrames();
    if (closed_ || closing_ || Paused()) break;
    if (reader_ && reader_->WantsMemory() > 0 && !ReserveMemory()) break;
    if (turn >= kReadTurn) {
      read_posted_ = true;
      Post([self = shared_from_this()] { self->OnReadable(); });
      break;
    }
    if (empty) {
      if (reader_) reader_->Rest();
      WaitReadable();
      break;
    }
    if (!Receive(turn, empty)) break;
  }
  handling_ = false;
  if (closed_) return;
  // Who has not yet told its protocol owes its first bytes, however few have come.
  const bool partial = !reader_ || reader_->partial();
  if (!partial)
    request_began_ = {};
  else if (request_began_ == Clock::time_point{})
    request_began_ = Clock::now();
  Flush();
}

bool Connection::Receive(std::size_t& turn, bool& empty) {
  std::byte first[16];
  const MutableByteSpan room = reader_ ? reader_->Room() : MutableByteSpan(first);
  const ssize_t count = ::recv(socket_.native_handle(), room.data(), room.size(), 0);
  if (count < 0 && errno == EINTR) return true;
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    empty = true;
    return true;
  }
  if (count <= 0) {
    if (reader_ && reader_->partial()) {
      LogClientError(absl::StrCat("ended in the middle of a request, ", reader_->partial_size(),
                                  " bytes after its begin"));
    }
    if (count == 0) {
      EndOfRequests();
    } else {
      CloseNow();
    }
    return false;
  }
  const auto size = static_cast<std::size_t>(count);
  turn += size;
  empty = size < room.size();  // asking again would only say so; what comes now ends the wait
  bytes_in_.fetch_add(size, std::memory_order_relaxed);
  shared_.bytes_in.fetch_add(size, std::memory_order_relaxed);
  if (reader_) {
    reader_->Received(size);
    return true;
  }
  first_bytes_.append(reinterpret_cast<const char*>(first), size);
  return TellProtocol() || !closed_;
}

// The peer will send nothing more. It may still read: what it has asked for is answered first.
void Connection::EndOfRequests() {
  if (session_ != nullptr) session_->OnEndOfRequests();
  if (in_flight_ == 0 && output_.waiting() == 0) return CloseNow();
  closing_ = true;
  draining_ = true;
  drain_until_ = Clock::now() + shared_.options.request_timeout;
}

bool Connection::TellProtocol() {
  const Detection detection = Detect(shared_.protocols, first_bytes_);
  if (!detection.possible) {
    LogClientError(Looks(first_bytes_));
    CloseNow();
  }
  if (detection.protocol == nullptr) return false;
  const Protocol& protocol = *detection.protocol;
  reader_.emplace(protocol.frame_size_max, protocol.prefix_size);
  const std::string rest = first_bytes_.substr(protocol.preface.size());
  if (!rest.empty()) reader_->Prepend(AsBytes(rest));
  first_bytes_.clear();
  session_ = protocol.make_session(shared_from_this());
  return true;
}

void Connection::HandleFrames() {
  while (!closed_ && !closing_ && !Paused()) {
    auto frame = reader_->Next();
    absl::Status status = frame.status();
    if (status.ok()) {
      if (!*frame) return;
      request_began_ = {};
      const std::size_t size = (*frame)->bytes.size();
      ++in_flight_;
      in_flight_bytes_ += size;
      if (FrameReader::IsSmall(size)) CountSmall(static_cast<std::ptrdiff_t>(size));
      in_flight_seen_.store(in_flight_, std::memory_order_relaxed);
      shared_.requests.fetch_add(1, std::memory_order_relaxed);
      status = session_->OnFrame(*std::move(*frame));
    }
    if (!status.ok()) Refuse(status);
  }
}

void Connection::Refuse(const absl::Status& error) {
  LogClientError(MessageOf(error));
  closing_ = true;
}

bool Connection::Paused() const {
  const NetOptions& options = shared_.options;
  // Answers that the peer does not take, or that wait for others before them.
  const std::size_t held = session_ == nullptr ? 0 : session_->HeldBytes();
  if (output_.waiting() + held >= options.in_flight_bytes_max || output_.waiting_in_memory() >= kAnswersMax)
    return true;
  if (in_flight_ == 0) return false;
  return in_flight_ >= options.requests_in_flight_max || in_flight_bytes_ >= options.in_flight_bytes_max ||
         (in_flight_small_ >= FrameReader::kChunkSize &&
          shared_.in_flight_small.load(std::memory_order_relaxed) >= options.small_requests_max);
}

void Connection::CountSmall(std::ptrdiff_t bytes) {
  in_flight_small_ += static_cast<std::size_t>(bytes);
  shared_.in_flight_small.fetch_add(static_cast<std::uint64_t>(bytes), std::memory_order_relaxed);
}

bool Connection::ReserveMemory() {
  if (awaiting_memory_) return false;
  const absl::Status admitted =
      session_->OnLargeFrame(reader_->prefix(), reader_->WantsMemory() - FrameReader::kLengthSize);
  if (!admitted.ok()) {
    Refuse(admitted);
    return false;
  }
  auto later = [weak = weak_from_this(), reactor = reactor_](const RequestMemory::Lease& lease) {
    reactor->Post([weak, lease] {
      if (const auto self = weak.lock()) self->OnMemory(lease);
    });
  };
  RequestMemory::Lease lease = shared_.request_memory->Reserve(reader_->WantsMemory(), std::move(later));
  awaiting_memory_ = lease == nullptr;
  if (!awaiting_memory_) reader_->Grow(std::move(lease));
  return !awaiting_memory_;
}

void Connection::OnMemory(RequestMemory::Lease lease) {
  awaiting_memory_ = false;
  if (closed_ || closing_) return;
  reader_->Grow(std::move(lease));
  request_began_ = Clock::now();  // that it had to wait was not the peer's doing
  ResumeReading();
}

void Connection::Release(std::size_t request_size) {
  if (request_size == 0) return;
  if (in_flight_ > 0) --in_flight_;
  in_flight_bytes_ -= std::min(in_flight_bytes_, request_size);
  if (FrameReader::IsSmall(request_size))
    CountSmall(-static_cast<std::ptrdiff_t>(std::min(in_flight_small_, request_size)));
  in_flight_seen_.store(in_flight_, std::memory_order_relaxed);
  ResumeReading();
}

void Connection::ResumeReading() {
  if (closed_ || closing_ || handling_ || waiting_readable_ || read_posted_ || awaiting_memory_) return;
  if (!reader_ || Paused()) return;
  read_posted_ = true;
  Post([self = shared_from_this()] { self->OnReadable(); });
}

// --- Sending ---

void Connection::Send(Response response) {
  const std::size_t request_size = response.request_size;
  if (!closed_ && !lingering_) {
    if (output_.waiting() == 0) output_moved_ = Clock::now();
    output_.Add(std::move(response));
    waiting_seen_.store(output_.waiting(), std::memory_order_relaxed);
    ScheduleFlush();
  }
  Release(request_size);
}

void Connection::FinishRequest(std::size_t request_size) {
  Release(request_size);
  if (draining_) ScheduleFlush();
}

void Connection::ScheduleFlush() {
  if (handling_ || flush_posted_ || waiting_writable_ || warming_) return;
  flush_posted_ = true;
  Post([self = shared_from_this()] {
    self->flush_posted_ = false;
    self->Flush();
  });
}

void Connection::Flush() {
  if (closed_ || waiting_writable_ || warming_) return;
  const std::uint64_t sent_before = output_.sent();
  Output::Outcome outcome = output_.Flush(kSendTurn);
  const std::uint64_t sent = output_.sent() - sent_before;
  const bool answers = !closing_ || drain_until_ != Clock::time_point{};
  if (sent > 0 && session_ != nullptr && answers && output_.waiting() < kLowWater) {
    handling_ = true;
    session_->OnWritable();
    handling_ = false;
    if (outcome == Output::Outcome::kDrained && output_.waiting() > 0) outcome = Output::Outcome::kTurnOver;
  }
  waiting_seen_.store(output_.waiting(), std::memory_order_relaxed);
  if (sent > 0) {
    output_moved_ = Clock::now();
    bytes_out_.fetch_add(sent, std::memory_order_relaxed);
    shared_.bytes_out.fetch_add(sent, std::memory_order_relaxed);
    ResumeReading();  // there is room for answers again, and the session may have answered just now
  }
  switch (outcome) {
    case Output::Outcome::kDrained:
      stalled_since_.store(0, std::memory_order_relaxed);
      if (closing_ && (!draining_ || in_flight_ == 0)) Linger();
      break;
    case Output::Outcome::kTurnOver:
      ScheduleFlush();
      break;
    case Output::Outcome::kFull:
      WaitWritable();
      break;
    case Output::Outcome::kCold:
      WarmUpAndFlush();
      break;
    case Output::Outcome::kPeerGone:
      CloseNow();
      break;
    case Output::Outcome::kFailed:
      shared_.log->error("{}: {}; the connection is closed", peer_, output_.failure());
      CloseNow();
      break;
  }
}

void Connection::WaitWritable() {
  waiting_writable_ = true;
  stalled_since_.store(output_moved_.time_since_epoch().count(), std::memory_order_relaxed);
  socket_.async_wait(tcp::socket::wait_write,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       self->waiting_writable_ = false;
                       if (!error) self->Flush();
                     });
}

void Connection::WarmUpAndFlush() {
  warming_ = true;
  shared_.cold_reads.fetch_add(1, std::memory_order_relaxed);
  shared_.pool->Post([self = shared_from_this(), range = output_.cold()] {
    WarmUp(range);
    self->Post([self] {
      self->warming_ = false;
      self->output_.MarkWarm();
      self->output_moved_ = Clock::now();
      self->Flush();
    });
  });
}

void Connection::LogClientError(std::string_view what) {
  shared_.client_errors.fetch_add(1, std::memory_order_relaxed);
  std::uint64_t suppressed = 0;
  if (!reactor_->MayLogError(peer_, suppressed)) return;
  const std::string line = Printable(what);  // it may quote the peer
  if (suppressed > 0) {
    shared_.log->warn("{}: {} (and {} more from that address)", peer_, line, suppressed);
  } else {
    shared_.log->warn("{}: {}", peer_, line);
  }
}

// --- Timers and statistics ---

TimerId Connection::StartTimer(Clock::time_point deadline, std::function<void()> function) {
  return reactor_->StartTimer(deadline, std::move(function));
}

void Connection::SetClientId(std::string client_id) {
  const core::MutexLock lock(client_id_mutex_);
  client_id_ = std::move(client_id);
}

ConnectionSnapshot Connection::Snapshot() const {
  ConnectionSnapshot snapshot;
  snapshot.id = id_;
  snapshot.peer = peer_;
  {
    const core::MutexLock lock(client_id_mutex_);
    snapshot.client_id = client_id_;
  }
  snapshot.bytes_in = bytes_in_.load();
  snapshot.bytes_out = bytes_out_.load();
  snapshot.bytes_waiting = waiting_seen_.load();
  snapshot.requests_in_flight = in_flight_seen_.load();
  if (const std::int64_t since = stalled_since_.load(); since != 0) {
    const Clock::duration stalled = Clock::now().time_since_epoch() - Clock::duration(since);
    snapshot.seconds_stalled = std::chrono::duration<double>(stalled).count();
  }
  snapshot.transfers = transfers_.Snapshot();
  return snapshot;
}

}  // namespace headrace::net
