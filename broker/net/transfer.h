// How a range of a file goes to a socket: the strategies, the choice between them, and what each has cost.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "storage/io/file_slice.h"

namespace headrace::net {

// clang-format off
// The three ways, in the order of the counters, with the CPU's copies as the kernel documents them.
//
//   way        system calls    record bytes cross user space    copies by the CPU
//   sendfile   sendfile        no                               none into the socket: pages are referenced
//   mmap       send            mapped, not read by us           one, page cache to socket buffer
//   read       pread + send    yes                              two, page cache to buffer to socket buffer
// clang-format on
enum class Transfer : std::uint8_t { kSendfile, kMmap, kRead };
inline constexpr std::size_t kTransferCount = 3;

std::string_view NameOf(Transfer transfer);

// A choice of the operator: one way for everything, or (auto) one for each transfer.
struct TransferChoice {
  std::optional<Transfer> forced;
  // Under auto, slices below this many bytes are read and sent together with their header: one system call
  // less than header + sendfile, and the copy is small. Measured on loopback, CPU of the sender per response
  // against a copying receiver: one request at a time, 8 KiB cost the same, 32 KiB 18 us by sendfile and 26
  // us by read; with 16 in flight read is cheaper up to 2 KiB and sendfile from 8 KiB (64 KiB: 22 and 45 us).
  std::uint64_t read_below = 16 << 10;

  Transfer For(std::uint64_t length) const {
    return forced.value_or(length < read_below ? Transfer::kRead : Transfer::kSendfile);
  }
};
// "auto", "sendfile", "mmap" or "read".
std::optional<TransferChoice> ParseTransfer(std::string_view name);

struct StrategySnapshot {
  std::string_view name;
  std::uint64_t calls = 0;               // system calls that moved record bytes
  std::uint64_t bytes = 0;               // record bytes that a socket took
  std::uint64_t bytes_through_user = 0;  // record bytes that were read or mapped into user space
  std::uint64_t short_sends = 0;         // calls that took fewer bytes than offered
  std::uint64_t waits = 0;               // times the socket was full
};
using TransferSnapshot = std::array<StrategySnapshot, kTransferCount>;

// Counters that only rise. Written by one reactor thread, read by any.
class TransferCounters {
 public:
  struct Strategy {
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> bytes{0};
    std::atomic<std::uint64_t> bytes_through_user{0};
    std::atomic<std::uint64_t> short_sends{0};
    std::atomic<std::uint64_t> waits{0};
  };
  Strategy& operator[](Transfer transfer) { return strategies_[static_cast<std::size_t>(transfer)]; }
  TransferSnapshot Snapshot() const;

 private:
  std::array<Strategy, kTransferCount> strategies_;
};

// Adds `from` to `to`, strategy by strategy.
void AddTo(TransferSnapshot& to, const TransferSnapshot& from);

// What one attempt to send came to.
struct SendResult {
  enum class Kind {
    kSent,       // `bytes` were taken
    kFull,       // the socket takes nothing now: wait until it is writable
    kPeerGone,   // reset or closed by the peer
    kFileShort,  // the file ends before the slice does: the response is broken
    kFailed,     // `error` is errno of something that should not fail
  } kind = Kind::kSent;
  std::uint64_t bytes = 0;
  int error = 0;
};

// Sends from the beginning of `slice`, at most `bytes_max`, by one of the ways; header bytes are sent before
// and are not its business, except kRead's, which Output gathers itself. Never blocks on the socket.
SendResult SendBySendfile(int socket, const storage::FileSlice& slice, std::uint64_t bytes_max);
SendResult SendByMmap(int socket, const storage::FileSlice& slice, std::uint64_t bytes_max);

// The outcome of a send call that returned `count`, by errno if below zero.
SendResult ResultOf(ssize_t count);

}  // namespace headrace::net
