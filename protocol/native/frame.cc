#include "protocol/native/frame.h"

#include <limits>

#include <google/protobuf/message_lite.h>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::native {

absl::StatusOr<Frame> ParseFrame(MutableByteSpan after_length) {
  if (after_length.size() < kFrameFixedSize) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("frame of ", after_length.size(), " bytes after its length, at least ",
                                  kFrameFixedSize, " are needed"));
  }
  const std::byte* at = after_length.data();
  Frame frame;
  frame.type = static_cast<FrameType>(at[0]);
  frame.flags = std::to_integer<std::uint8_t>(at[1]);
  frame.correlation_id = LoadBigEndian<std::uint32_t>(at + 4);
  const std::size_t header_size = LoadBigEndian<std::uint32_t>(at + 8);
  const MutableByteSpan rest = after_length.subspan(kFrameFixedSize);
  if (header_size > rest.size() || header_size > kFrameHeaderSizeMax) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("frame header of ", header_size, " bytes; the frame has room for ",
                                  rest.size(), " and the limit is ", kFrameHeaderSizeMax));
  }
  frame.header = rest.first(header_size);
  frame.attachment = rest.subspan(header_size);
  return frame;
}

void AppendFrame(std::string& out, FrameType type, std::uint8_t flags, std::uint32_t correlation_id,
                 const google::protobuf::MessageLite& header, std::uint64_t attachment_size) {
  const std::size_t header_size = header.ByteSizeLong();
  std::byte prefix[kFramePrefixSize] = {};
  const std::uint64_t length = kFrameFixedSize + header_size + attachment_size;
  HEADRACE_CHECK(length <= std::numeric_limits<std::uint32_t>::max());
  StoreBigEndian(prefix, static_cast<std::uint32_t>(length));
  prefix[4] = static_cast<std::byte>(type);
  prefix[5] = static_cast<std::byte>(flags);
  StoreBigEndian(prefix + 8, correlation_id);
  StoreBigEndian(prefix + 12, static_cast<std::uint32_t>(header_size));
  out.append(reinterpret_cast<const char*>(prefix), sizeof prefix);
  const std::size_t at = out.size();
  out.resize(at + header_size);
  header.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(out.data() + at));
}

absl::Status ParseHeader(ByteSpan header, google::protobuf::MessageLite& message) {
  if (header.size() <= kFrameHeaderSizeMax &&
      message.ParseFromArray(header.data(), static_cast<int>(header.size()))) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kInvalidRequest, absl::StrCat("frame header of ", header.size(),
                                                            " bytes is not a ", message.GetTypeName()));
}

}  // namespace headrace::native
