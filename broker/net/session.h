// The line between sockets and protocols: a Session speaks one protocol over a Channel that moves frames.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "broker/net/response.h"
#include "protocol/core/bytes.h"
#include "protocol/core/scheduler.h"

namespace headrace::net {

// The bytes of one frame after its 4-byte length. Keeping `owner` keeps the bytes: a batch can be queued for
// the disk without a copy.
struct ReceivedFrame {
  std::shared_ptr<void> owner;
  MutableByteSpan bytes;
};

using TimerId = core::TimerId;

// One connection as its session sees it. Everything but Post is called on the connection's own reactor
// thread only. Outlives its session; after OnClosed all calls are harmless and do nothing. What was posted
// may still run when the connection has closed.
class Channel : public core::Scheduler {
 public:
  // Queues a response. Frames leave in the order of Send.
  virtual void Send(Response response) = 0;
  // A request of `request_size` bytes is over and has no response.
  virtual void FinishRequest(std::size_t request_size) = 0;
  // Bytes queued and not yet taken by the socket. A session pushes more when this is small, and is told by
  // OnWritable when the queue has run low.
  virtual std::size_t WaitingBytes() const = 0;
  // Closes after what is queued has been sent (or the peer stops taking it). Counted as a client error, with
  // the reason for its log line.
  virtual void Close(std::string_view reason) = 0;

  virtual std::uint64_t id() const = 0;
  virtual const std::string& peer() const = 0;
  // The address and port that the peer connected to.
  virtual const std::string& local_host() const = 0;
  virtual std::uint16_t local_port() const = 0;
  // What the peer calls itself, for statistics and log lines.
  virtual void SetClientId(std::string client_id) = 0;
};

// One protocol on one connection. Created, called and destroyed on the connection's reactor thread.
class Session {
 public:
  virtual ~Session() = default;

  // A frame of `size` bytes, too large for the buffer at hand, has begun with `prefix` (Protocol::prefix_size
  // bytes): asked before memory is taken for the rest. An error closes the connection as one of OnFrame does.
  virtual absl::Status OnLargeFrame(ByteSpan /*prefix*/, std::size_t /*size*/) { return absl::OkStatus(); }
  // One whole frame. An error closes the connection, after what is queued has been sent, with one log line.
  virtual absl::Status OnFrame(ReceivedFrame frame) = 0;
  // The queue of the channel has run low: push more if there is more.
  virtual void OnWritable() = 0;
  // The peer will send nothing more, and is perhaps gone: what waits for something to happen is answered now.
  virtual void OnEndOfRequests() {}
  // The connection is gone. The session is destroyed after this.
  virtual void OnClosed() = 0;
  // Bytes of answers that are ready and kept back, for those that must go before them: they count as queued.
  virtual std::size_t HeldBytes() const { return 0; }
};

// Makes the session for a fresh connection. Thread: the connection's reactor.
using SessionFactory = std::function<std::unique_ptr<Session>(std::shared_ptr<Channel>)>;

}  // namespace headrace::net
