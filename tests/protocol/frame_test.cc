#include "protocol/native/frame.h"

#include <catch2/catch.hpp>

#include "headrace.pb.h"
#include "protocol/core/error_code.h"

using namespace headrace;
using namespace headrace::native;

namespace {

std::string MakeFrame(std::string_view attachment = "attached") {
  FetchRequest header;
  header.set_max_bytes(1234);
  std::string bytes;
  AppendFrame(bytes, FrameType::kFetch, kFrameFlagResponse, 0xdeadbeef, header, attachment.size());
  bytes.append(attachment);
  return bytes;
}

MutableByteSpan AfterLength(std::string& bytes) {
  return MutableByteSpan(reinterpret_cast<std::byte*>(bytes.data()), bytes.size()).subspan(kFrameLengthSize);
}

}  // namespace

TEST_CASE("Frame: what was put together comes apart") {
  std::string bytes = MakeFrame();
  CHECK(LoadBigEndian<std::uint32_t>(reinterpret_cast<std::byte*>(bytes.data())) == bytes.size() - 4);
  const auto frame = ParseFrame(AfterLength(bytes));
  REQUIRE(frame.ok());
  CHECK(frame->type == FrameType::kFetch);
  CHECK(frame->flags == kFrameFlagResponse);
  CHECK(frame->correlation_id == 0xdeadbeef);
  CHECK(AsText(frame->attachment) == "attached");
  FetchRequest header;
  REQUIRE(ParseHeader(frame->header, header).ok());
  CHECK(header.max_bytes() == 1234);
}

TEST_CASE("Frame: cut at every byte its header is refused, or only the attachment is shorter") {
  const std::string whole = MakeFrame("");
  for (std::size_t size = kFrameLengthSize; size < whole.size(); ++size) {
    std::string cut = whole.substr(0, size);
    CAPTURE(size);
    CHECK(CodeOf(ParseFrame(AfterLength(cut)).status()) == ErrorCode::kInvalidRequest);
  }
}

TEST_CASE("Frame: a header size beyond the frame or the limit is refused") {
  for (const std::uint32_t size :
       {0x7fffffffU, 0xffffffffU, static_cast<std::uint32_t>(kFrameHeaderSizeMax) + 1}) {
    std::string bytes = MakeFrame();
    StoreBigEndian(reinterpret_cast<std::byte*>(bytes.data()) + 12, size);
    CHECK(CodeOf(ParseFrame(AfterLength(bytes)).status()) == ErrorCode::kInvalidRequest);
  }
}

TEST_CASE("Frame: unknown fields of a message are ignored, garbage is refused") {
  FetchRequest message;
  message.set_max_bytes(7);
  std::string bytes = message.SerializeAsString();
  bytes += std::string("\xf8\x7f\x05", 3);  // field 2047, varint 5
  FetchRequest read;
  CHECK(ParseHeader(AsBytes(bytes), read).ok());
  CHECK(read.max_bytes() == 7);
  CHECK(CodeOf(ParseHeader(AsBytes("\xff\xff\xff\xff"), read)) == ErrorCode::kInvalidRequest);
}

TEST_CASE("Frame: the preface is told from other protocols by its first byte") {
  CHECK(kPreface.size() == kPrefaceSize);
  CHECK(static_cast<unsigned char>(kPreface.front()) >= 0x20);
}
