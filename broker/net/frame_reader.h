// Cuts the bytes of a connection into frames, without copying them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "broker/net/session.h"

namespace headrace::net {

// A frame is a 4-byte big-endian length and that many bytes. Frames share the 64 KiB chunk they arrived in; a
// larger one gets a buffer of its own. An idle reader holds no memory, one with a few bytes of a frame a
// small buffer. Owned by its connection, on its reactor.
class FrameReader {
 public:
  static constexpr std::size_t kChunkSize = 64 << 10;
  static constexpr std::size_t kLengthSize = 4;

  // Whether a frame of this size (bytes after the length) shares a chunk with others.
  static constexpr bool IsSmall(std::size_t size) { return size + kLengthSize <= kChunkSize; }

  // Frames larger than `frame_size_max` (bytes after the length) are refused, as are empty ones. Of a large
  // one `prefix_size` bytes after the length come before it wants memory.
  explicit FrameReader(std::uint64_t frame_size_max, std::size_t prefix_size = 0)
      : frame_size_max_(frame_size_max), prefix_size_(prefix_size) {}

  // Where to receive into; never empty, unless WantsMemory() and Grow was not called.
  MutableByteSpan Room();
  void Received(std::size_t size) { end_ += size; }
  // Puts bytes in front that were received elsewhere. REQUIRES: nothing was received yet.
  void Prepend(ByteSpan bytes);

  // The next whole frame, or nullopt. Error: kInvalidRequest with the length and the limit.
  absl::StatusOr<std::optional<ReceivedFrame>> Next();

  // The size of a frame too large for a chunk, which has begun; 0: none. The caller reserves that much, then
  // calls Grow.
  std::uint64_t WantsMemory() const { return wanted_; }
  // What that frame begins with, behind its length.
  ByteSpan prefix() const { return {buffer_.get() + begin_ + kLengthSize, prefix_size_}; }
  // The lease is kept as long as the frame's bytes are.
  void Grow(std::shared_ptr<const void> lease = nullptr);

  // Nothing more is there now: keep as little as possible.
  void Rest();
  // Bytes that have come of the first frame not handed out, and of what is behind it.
  std::size_t partial_size() const { return end_ - begin_; }
  bool partial() const { return partial_size() > 0; }
  // Bytes of the large frame that Grow was called for; 0: none is on its way.
  std::size_t growing_to() const { return capacity_ > kChunkSize ? capacity_ : 0; }

 private:
  void MoveTo(std::size_t capacity);
  void MoveTo(std::shared_ptr<std::byte[]> fresh, std::size_t capacity);

  const std::uint64_t frame_size_max_;
  const std::size_t prefix_size_;
  std::shared_ptr<std::byte[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;  // of the first frame not handed out
  std::size_t end_ = 0;    // of what was received
  std::uint64_t wanted_ = 0;
  bool handed_out_ = false;  // frames of this buffer: its bytes may be read by other threads
};

}  // namespace headrace::net
