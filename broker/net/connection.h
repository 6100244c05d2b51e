// One socket: reads frames, hands them to its session, sends the responses. Internal to broker/net.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "broker/net/frame_reader.h"
#include "broker/net/output.h"
#include "broker/net/reactor.h"
#include "broker/net/server.h"

namespace headrace::net {

// Lives on one reactor from its accept to its end; only Post, Snapshot and the constant getters are for other
// threads. Kept alive by the reactor's list, by what is posted, and by its session's requests in flight.
// Stops reading (back-pressure) while too much is in flight. Closed for good by CloseNow.
class Connection final : public Channel, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Reactor> reactor, boost::asio::ip::tcp::socket socket);
  ~Connection() override;

  void Start();
  // Stops reading, and closes when all that is in flight or queued has gone out.
  void Drain();
  void CloseNow();
  void CheckDeadlines(std::chrono::steady_clock::time_point now);
  ConnectionSnapshot Snapshot() const;

  // Channel
  void Send(Response response) override;
  void FinishRequest(std::size_t request_size) override;
  std::size_t WaitingBytes() const override { return output_.waiting(); }
  void Close(std::string_view reason) override;
  void Post(std::function<void()> function) override { reactor_->Post(std::move(function)); }
  TimerId StartTimer(std::chrono::steady_clock::time_point deadline, std::function<void()> function) override;
  void CancelTimer(TimerId timer) override { reactor_->CancelTimer(timer); }
  std::uint64_t id() const override { return id_; }
  const std::string& peer() const override { return peer_; }
  const std::string& local_host() const override { return local_host_; }
  std::uint16_t local_port() const override { return local_port_; }
  void SetClientId(std::string client_id) override;

 private:
  void WaitReadable();
  void OnReadable();
  // Receives and handles until the socket is empty, the turn is over or reading pauses.
  void ReadTurn();
  // One receive; false when no more can come of this turn. `empty` once the socket has no more.
  bool Receive(std::size_t& turn, bool& empty);
  void EndOfRequests();
  // Tells the protocol by the first bytes; false while they are too few, or when the connection was refused.
  bool TellProtocol();
  void HandleFrames();
  bool Paused() const;
  // A frame that ends the connection.
  void Refuse(const absl::Status& error);
  void CountSmall(std::ptrdiff_t bytes);
  // Whether a large request comes so slowly that it could not be complete in time, while others wait for its
  // memory.
  bool HoldsOthersUp(std::chrono::steady_clock::time_point now) const;
  // Memory for the large frame that has begun; false: it comes later, or the session refused the frame.
  bool ReserveMemory();
  void OnMemory(RequestMemory::Lease lease);
  void Release(std::size_t request_size);
  void ResumeReading();

  void ScheduleFlush();
  void Flush();
  void WaitWritable();
  void WarmUpAndFlush();
  // Ends the sending and discards what still comes, until the peer ends too or a second has passed: closing
  // with bytes unread would reset the connection, and lose the answers that are still in the socket.
  void Linger();
  void Discard();
  // Whether the peer sends nothing more, asked because who does not read is not told.
  bool PeerEnded();
  // Whether bytes have left the socket's own queue since the last call. The socket becomes writable only
  // when much of that queue is free, which a slow peer takes long for.
  bool PeerTakes();
  void LogClientError(std::string_view what);

  const std::shared_ptr<Reactor> reactor_;
  SharedState& shared_;
  boost::asio::ip::tcp::socket socket_;
  const std::uint64_t id_;
  std::string peer_;
  std::string local_host_;
  std::uint16_t local_port_ = 0;
  std::unique_ptr<Session> session_;
  std::string first_bytes_;            // until the protocol is known
  std::optional<FrameReader> reader_;  // since the protocol is known
  TransferCounters transfers_;
  Output output_;

  bool closed_ = false;
  bool closing_ = false;    // reads nothing more; closed once the output is empty
  bool lingering_ = false;  // everything is sent; only waits for the peer's end
  bool draining_ = false;   // reads nothing more either, and waits for what is in flight
  bool handling_ = false;   // inside the session: sending waits until it has returned
  bool waiting_readable_ = false;
  bool waiting_writable_ = false;
  bool warming_ = false;
  bool flush_posted_ = false;
  bool read_posted_ = false;
  bool awaiting_memory_ = false;
  std::size_t in_flight_ = 0;  // requests
  std::size_t in_flight_bytes_ = 0;
  std::size_t in_flight_small_ = 0;  // bytes of those that no reservation stands for
  // Of a partial request, or of the connection while its protocol is unknown; zero: none.
  std::chrono::steady_clock::time_point request_began_{};
  std::chrono::steady_clock::time_point output_moved_{};
  std::chrono::steady_clock::time_point linger_until_{};
  std::chrono::steady_clock::time_point drain_until_{};  // the peer has ended its requests; zero: it has not
  int socket_queue_ = 0;  // bytes in the socket that the peer had not taken at the last look

  // For snapshots from other threads.
  std::atomic<std::uint64_t> bytes_in_{0};
  std::atomic<std::uint64_t> bytes_out_{0};
  std::atomic<std::uint64_t> waiting_seen_{0};
  std::atomic<std::uint64_t> in_flight_seen_{0};
  std::atomic<std::int64_t> stalled_since_{0};  // steady clock, nanoseconds; 0: not stalled
  mutable core::Mutex client_id_mutex_;
  std::string client_id_ HEADRACE_GUARDED_BY(client_id_mutex_);
};

}  // namespace headrace::net
