// What the network side is told at start.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "broker/net/residency.h"
#include "broker/net/session.h"
#include "broker/net/transfer.h"

namespace headrace::net {

// Bounds of what a broker keeps in memory for its connections that are no settings.
inline constexpr std::uint64_t kSmallRequestsMax = 64 << 20;
inline constexpr std::uint64_t kAnswersMax = 256
                                             << 10;  // of one connection, not in files; and one more answer

struct NetOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;      // 0: a free one
  std::uint32_t reactors = 0;  // 0: one for each core
  std::uint32_t connections_max = 10'000;
  // A connection over one of these is not read until answers bring it below. One request may always proceed.
  std::uint32_t requests_in_flight_max = 256;
  std::uint64_t in_flight_bytes_max = 16 << 20;
  // Of all requests larger than 64 KiB together; each reserves its size before it is read. One may always
  // proceed.
  std::uint64_t request_memory_max = 256 << 20;
  // Of all requests up to 64 KiB in flight together; over it a connection is not read while it has that much
  // in flight itself.
  std::uint64_t small_requests_max = kSmallRequestsMax;
  // From a request's first byte to its last; and from a connection's begin to its protocol's first bytes.
  std::chrono::milliseconds request_timeout{30'000};
  std::chrono::milliseconds stall_timeout{30'000};  // a peer that takes nothing, with data pending
  TransferChoice transfer;
  ResidencyProbe residency = ResidencyProbe::kAuto;
};

// A protocol on the port, told from the others by its first bytes.
struct Protocol {
  std::string name;
  std::string preface;  // consumed; may be empty for one protocol
  // A protocol without preface begins with a frame at once, and is told by its first byte: at most this.
  std::uint8_t first_byte_max = 0;
  std::uint64_t frame_size_max = 64 << 20;
  std::size_t prefix_size = 0;  // bytes of a large frame that Session::OnLargeFrame wants to see
  SessionFactory make_session;
};

}  // namespace headrace::net
