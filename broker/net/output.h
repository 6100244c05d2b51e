// The responses of one connection on their way to its socket.
#pragma once

#include <list>
#include <optional>
#include <string>

#include "broker/net/residency.h"
#include "broker/net/response.h"
#include "broker/net/transfer.h"

namespace headrace::net {

// An ordered queue of byte runs and file slices. Byte runs and small slices that follow each other go with
// one system call; what stands before a large slice is sent with MSG_MORE. Owned by its connection, on its
// reactor; the counters are read by others.
class Output {
 public:
  enum class Outcome {
    kDrained,   // everything is in the socket
    kTurnOver,  // the budget is used up; there is more
    kFull,      // wait until the socket is writable
    kCold,      // the range cold() is not in the page cache: warm it up, then MarkWarm
    kPeerGone,  // reset or closed
    kFailed,    // failure() says what; the connection must be closed
  };

  Output(int socket, const TransferChoice& choice, ResidencyProbe probe, TransferCounters& own,
         TransferCounters& total);

  void Add(Response response);
  // Drops everything: the connection is gone, and its slices must pin no deleted file.
  void Clear();
  // Bytes not yet taken by the socket.
  std::uint64_t waiting() const { return waiting_; }
  // Those of them that are in memory, not in files.
  std::uint64_t waiting_in_memory() const { return waiting_in_memory_; }
  std::uint64_t sent() const { return sent_; }

  // Sends up to about `budget` bytes.
  Outcome Flush(std::uint64_t budget);
  const storage::FileSlice& cold() const { return cold_; }
  void MarkWarm();
  const std::string& failure() const { return failure_; }

 private:
  // Sends the byte runs and small slices at the front; 0 bytes: the front is a slice that must be warmed or
  // goes another way.
  SendResult SendGathered();
  // Reads what of a small slice has room; empty if it goes another way, is cold or must wait for more room.
  // `front`: whether it is the one at the front.
  MutableByteSpan ReadSmall(const storage::FileSlice& slice, bool front, MutableByteSpan room);
  Transfer WayOf(const storage::FileSlice& slice, bool front) const;
  SendResult SendSlice(std::uint64_t budget);
  // Takes `bytes` off the front.
  void Consume(std::uint64_t bytes);
  // Whether the slice at the front may be sent up to warm_until_.
  bool IsWarm();
  void Count(Transfer transfer, const SendResult& result, std::uint64_t offered, std::uint64_t through_user);
  Outcome Fail(const SendResult& result);

  const int socket_;
  const TransferChoice& choice_;
  const ResidencyProbe probe_;
  TransferCounters& own_;
  TransferCounters& total_;
  std::list<ResponsePiece> pieces_;  // a list costs nothing while it is empty, a deque over half a KiB
  std::size_t run_offset_ = 0;       // bytes of the first byte run already sent
  std::uint64_t waiting_ = 0;
  std::uint64_t waiting_in_memory_ = 0;
  std::uint64_t sent_ = 0;
  // Of the slice at the front:
  std::optional<Transfer> transfer_;  // chosen once, by its whole length
  std::uint64_t warm_until_ = 0;      // position in its file up to which it is known to be cached
  storage::FileSlice cold_;           // what is not; empty otherwise, so that it pins no deleted file
  std::string failure_;
};

}  // namespace headrace::net
