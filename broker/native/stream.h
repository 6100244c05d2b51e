// A subscription: batches pushed as they become readable, as far as the client's credit goes.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "broker/native/request.h"

namespace headrace::native {

// One stream of one connection; its id is the correlation id of its SubscribeRequest. Owned by the session,
// by shared_ptr because wake-ups of partitions may still be on their way. Reactor thread only, but for those.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(Services& services, std::shared_ptr<net::Channel> channel, std::uint32_t id);

  // Takes the request's partitions, and says of each where it stands, or why it is not in the stream.
  SubscribeResponse Open(const SubscribeRequest& message);
  // Pushes what is readable while there is credit and the socket takes it; partitions take turns. Called
  // after Open, when credit or a wake-up came, and when the socket's queue has run low.
  void Pump();
  void AddCredit(std::uint64_t bytes);
  // No push and no wake-up after this.
  void Close();

  std::uint32_t id() const { return id_; }
  // Partitions still in the stream.
  std::size_t partition_count() const { return live_; }

 private:
  struct Source {
    std::uint32_t index = 0;  // place in the request
    std::shared_ptr<topic::Partition> partition;
    storage::ReadCursor cursor;
    topic::Waiters::Id wait = 0;  // 0: ready, or ended
    bool ended = false;
  };

  // Sends one slice; false when there was nothing, and the source now waits or has ended.
  bool PushOne(std::size_t source);
  void WaitFor(std::size_t source);
  void Wake(std::size_t source);
  void SendPush(const Source& source, storage::FileSlice slice);
  void EndSource(Source& source, const absl::Status& error);

  Services& services_;
  const std::shared_ptr<net::Channel> channel_;
  const std::uint32_t id_;
  std::vector<Source> sources_;
  std::deque<std::size_t> ready_;  // each source at most once
  std::int64_t credit_ = 0;        // bytes; below zero after a push larger than the rest
  std::int64_t window_ = 0;        // the most that credit_ has been
  std::size_t live_ = 0;
  bool closed_ = false;
};

}  // namespace headrace::native
