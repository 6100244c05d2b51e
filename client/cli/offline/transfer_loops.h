// The bare ways of moving a file's bytes to a socket, with nothing around them: what a broker's transfer is
// measured against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "protocol/core/bytes.h"

namespace headrace::cli::offline {

enum class Way { kSendfile, kMmapWrite, kReadWrite };
std::string_view NameOf(Way way);

// What sending took. System calls are counted where they are made.
struct SendCost {
  std::uint64_t system_calls = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bytes_through_user = 0;  // that lay in a buffer of this process, or were mapped into it
  std::uint64_t page_faults = 0;         // minor ones of the sending thread
  double cpu_seconds = 0;                // user and system, of the sending thread
};

// A descriptor that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const { return value_; }
  explicit operator bool() const { return value_ >= 0; }
  void Reset();

 private:
  int value_;
};

// Two ends of a TCP connection over the loopback device, with Nagle's delay off.
struct SocketPair {
  Descriptor sender;
  Descriptor receiver;
};
absl::StatusOr<SocketPair> ConnectLoopback();

// An empty file without a name, in `directory`.
absl::StatusOr<Descriptor> CreateTemporaryFile(const char* directory);
absl::Status WriteAll(int file, ByteSpan bytes);
// Reads the file once, so that it lies in the page cache.
absl::Status Warm(int file, std::uint64_t size);

// Sends the first `size` bytes of `file` over the blocking socket, at most `chunk` bytes per call, from the
// calling thread. Errors name the call.
absl::StatusOr<SendCost> SendFile(Way way, int file, int socket, std::uint64_t size, std::size_t chunk);

// Takes bytes until the sender closes; returns how many. Copying: into a buffer of 256 KiB, as a program that
// wants them does. Discarding: with MSG_TRUNC, where the kernel drops them uncopied.
enum class Taking { kCopying, kDiscarding };
std::uint64_t ReceiveAll(int socket, Taking taking);

}  // namespace headrace::cli::offline
