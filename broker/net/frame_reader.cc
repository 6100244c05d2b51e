#include "broker/net/frame_reader.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"

namespace headrace::net {
namespace {

constexpr std::size_t kRestSize =
    4 << 10;  // a partial frame up to this long is kept in a buffer of this size
constexpr std::size_t kUsefulRoom = 4 << 10;  // with less room than this a new chunk is worth its allocation

// A buffer of its own for one large frame, with what was reserved for it.
struct LargeBuffer {
  std::shared_ptr<const void> lease;
  std::unique_ptr<std::byte[]> bytes;
};

}  // namespace

void FrameReader::MoveTo(std::size_t capacity) {
  MoveTo(std::make_shared_for_overwrite<std::byte[]>(capacity), capacity);
}

void FrameReader::MoveTo(std::shared_ptr<std::byte[]> fresh, std::size_t capacity) {
  const std::size_t left = end_ - begin_;
  if (left > 0) std::memcpy(fresh.get(), buffer_.get() + begin_, left);
  buffer_ = std::move(fresh);
  handed_out_ = false;
  capacity_ = capacity;
  begin_ = 0;
  end_ = left;
}

MutableByteSpan FrameReader::Room() {
  // Not by the buffer's use count: that another thread has let go of it does not say that its reads are over.
  if (begin_ == end_ && !handed_out_) begin_ = end_ = 0;
  const bool whole_frame_fits = capacity_ > kChunkSize;  // a buffer of exactly the frame's size
  if (!whole_frame_fits && capacity_ - end_ < kUsefulRoom) MoveTo(kChunkSize);
  return {buffer_.get() + end_, capacity_ - end_};
}

void FrameReader::Prepend(ByteSpan bytes) {
  MoveTo(kChunkSize);
  std::memcpy(buffer_.get(), bytes.data(), bytes.size());
  end_ = bytes.size();
}

absl::StatusOr<std::optional<ReceivedFrame>> FrameReader::Next() {
  wanted_ = 0;
  const std::size_t available = end_ - begin_;
  if (available < kLengthSize) return std::nullopt;
  const auto length = LoadBigEndian<std::uint32_t>(buffer_.get() + begin_);
  if (length == 0 || length > frame_size_max_) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("frame of ", length, " bytes; from 1 to ", frame_size_max_,
                                  " are allowed (the broker's setting frame_size_max)"));
  }
  const std::size_t size = kLengthSize + length;
  if (available >= size) {
    ReceivedFrame frame;
    frame.owner = buffer_;
    frame.bytes = {buffer_.get() + begin_ + kLengthSize, length};
    begin_ += size;
    handed_out_ = true;
    if (capacity_ > kChunkSize) {  // an own buffer holds one frame
      buffer_.reset();
      capacity_ = begin_ = end_ = 0;
    }
    return frame;
  }
  if (size > kChunkSize) {
    if (capacity_ != size && available >= kLengthSize + prefix_size_) wanted_ = size;
  } else if (begin_ + size > capacity_) {
    MoveTo(kChunkSize);
  }
  return std::nullopt;
}

void FrameReader::Grow(std::shared_ptr<const void> lease) {
  const auto large = std::make_shared<LargeBuffer>();
  large->lease = std::move(lease);
  large->bytes = std::make_unique_for_overwrite<std::byte[]>(wanted_);
  MoveTo(std::shared_ptr<std::byte[]>(large, large->bytes.get()), wanted_);
  wanted_ = 0;
}

void FrameReader::Rest() {
  if (capacity_ > kChunkSize) return;
  if (!partial()) {
    buffer_.reset();
    capacity_ = begin_ = end_ = 0;
  } else if (capacity_ > kRestSize && end_ - begin_ <= kRestSize / 2) {
    MoveTo(kRestSize);
  }
}

}  // namespace headrace::net
