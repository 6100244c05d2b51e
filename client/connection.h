// One TCP connection to a broker, speaking frames.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/buffer_pool.h"
#include "client/socket.h"
#include "headrace.pb.h"
#include "headrace/client.h"
#include "protocol/native/frame.h"

namespace headrace {

// A frame with the bytes it points into.
struct ReceivedFrame {
  PooledBuffer storage;
  native::Frame frame;
};

// A connection after its handshake: queues frames, writes them gathered, and reads whole frames, large ones
// straight into a buffer of their size. Owned and driven by one thread at a time, which waits with Wait (or
// polls fd() itself); has no thread, never blocks except in Open and Wait, and never calls back.
class Connection {
  struct Passkey {
    explicit Passkey() = default;
  };  // make_unique needs a public constructor, callers must go through Open

 public:
  Connection(Passkey, FileDescriptor fd, const ClientOptions& options, std::shared_ptr<BufferPool> pool);
  // Connects and shakes hands. kClosed once `cancel` is signalled; otherwise kNetwork, or what the broker
  // said.
  static Result<std::unique_ptr<Connection>> Open(const ClientOptions& options,
                                                  std::shared_ptr<BufferPool> pool, TimePoint deadline,
                                                  const Wakeup* cancel);

  int fd() const { return fd_.get(); }
  const native::HelloResponse& hello() const { return hello_; }
  const std::string& broker() const { return broker_; }

  // Queues a request and returns its correlation id. The attachment's bytes are not copied: they must stay
  // until the frame is written, as it is when a later one is answered.
  std::uint32_t Send(native::FrameType type, const google::protobuf::MessageLite& header,
                     std::span<const ByteSpan> attachment = {});
  bool has_output() const { return !output_.empty(); }
  std::uint64_t bytes_received() const { return bytes_received_; }

  // Writes as much as the socket takes. An error is final: the connection is of no further use.
  Result<void> Write();
  // The next whole frame, if there is one without waiting. An error is final.
  Result<std::optional<ReceivedFrame>> Read();
  // Waits until there is something to read (or to write, with output queued): true; false at the deadline.
  Result<bool> Wait(TimePoint deadline, const Wakeup* cancel) const;

 private:
  struct OutputPart {
    std::string owned;
    ByteSpan bytes;  // of `owned`, or of the caller
  };

  Result<void> ShakeHands(const ClientOptions& options, TimePoint deadline, const Wakeup* cancel);
  void Consume(std::size_t written);
  // Received bytes: false if the socket had none.
  Result<bool> Receive(MutableByteSpan into, std::size_t& received);
  Result<void> StartFrame();
  Result<std::optional<ReceivedFrame>> FinishFrame();
  ByteSpan staged() const { return {staging_.data() + staging_begin_, staging_end_ - staging_begin_}; }

  FileDescriptor fd_;
  std::string broker_;
  std::size_t receive_size_max_;
  std::shared_ptr<BufferPool> pool_;
  native::HelloResponse hello_;

  std::deque<OutputPart> output_;
  std::uint32_t next_correlation_id_ = 1;
  std::uint64_t bytes_received_ = 0;

  // Small frames are taken out of `staging_`. Of a frame that is not all there, what was staged is moved to a
  // buffer of its size, and the rest is received there.
  std::vector<std::byte> staging_;
  std::size_t staging_begin_ = 0;
  std::size_t staging_end_ = 0;
  std::size_t staging_limit_;  // small while large frames come, so that little is copied
  std::optional<PooledBuffer> partial_;
  std::size_t partial_filled_ = 0;
};

// Sends a request and waits for its answer; other frames that come meanwhile are dropped. For connections on
// which nothing else is under way. An error answer becomes the Error; after any other error, drop the
// connection.
Result<void> Call(Connection& connection, native::FrameType type,
                  const google::protobuf::MessageLite& request, google::protobuf::MessageLite& response,
                  TimePoint deadline, const Wakeup* cancel = nullptr);

// Parses an answer that was received: the response, or the Error that stands instead.
Result<void> ParseAnswer(const native::Frame& frame, google::protobuf::MessageLite& response);

}  // namespace headrace
