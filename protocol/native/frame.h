// The frame of the native protocol, around the messages of headrace.proto.
//
// A client opens a connection with an 8-byte preface, then both sides send frames. All integers big-endian.
//
//   preface   0        4                8
//            +--------+----------------+
//            | "HDRC" | version (= 1)  |      'H' = 0x48: Kafka begins with 0x00-0x06, TLS with 0x16
//            +--------+----------------+
//
//   frame     0        4      5      6      8               12              16         16+H        4+length
//            +--------+------+------+------+---------------+---------------+----------+-----------+
//            | length | type | flags| zero | correlation id| header size H | header   | attachment|
//            +--------+------+------+------+---------------+---------------+----------+-----------+
//
// `length` counts the bytes after itself. `type` says which message the header is (table in headrace.proto);
// a response repeats its request's type and correlation id and sets flag bit 0. The attachment is what is
// left: record batches, never looked into by Protobuf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "protocol/core/bytes.h"

namespace google::protobuf {
class MessageLite;
}

namespace headrace::native {

inline constexpr std::size_t kPrefaceSize = 8;
inline constexpr std::string_view kPreface{"HDRC\0\0\0\1", kPrefaceSize};
inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kFrameLengthSize = 4;
inline constexpr std::size_t kFramePrefixSize = 16;
inline constexpr std::size_t kFrameFixedSize =
    kFramePrefixSize - kFrameLengthSize;  // between length and header
// The largest Protobuf header either side takes, and a broker takes of a request; attachments have limits of
// their own.
inline constexpr std::size_t kFrameHeaderSizeMax = 16 << 20;
inline constexpr std::size_t kRequestHeaderSizeMax = 4 << 20;

enum class FrameType : std::uint8_t {
  kHello = 1,
  kCreateTopic = 2,
  kDeleteTopic = 3,
  kAlterTopic = 4,
  kDescribeTopics = 5,
  kTrimTopic = 6,
  kInitProducer = 7,
  kProduce = 8,
  kFetch = 9,
  kSubscribe = 10,
  kCredit = 11,
  kUnsubscribe = 12,
  kListOffsets = 13,
  kCommitOffset = 14,
  kFetchOffset = 15,
  kStats = 16,
  kGroupHeartbeat = 17,
  kListGroups = 18,
  kDescribeGroup = 19,
  kDeleteGroup = 20,
  kSeekGroup = 21,
  kPush = 32,
  kStreamEnd = 33,
  kError = 63,
};

inline constexpr std::uint8_t kFrameFlagResponse = 0x01;

// One frame taken apart; the spans point into the bytes it was parsed from.
struct Frame {
  FrameType type{};
  std::uint8_t flags = 0;
  std::uint32_t correlation_id = 0;
  ByteSpan header;
  MutableByteSpan attachment;  // mutable: the broker stamps offsets into batches in place
};

// Parses a frame from the bytes after its length field (12 at least). Errors: kInvalidRequest, saying which
// field and its value. Does not know whether the type exists.
absl::StatusOr<Frame> ParseFrame(MutableByteSpan after_length);

// Appends a whole frame's bytes up to its attachment, of which `attachment_size` bytes must follow.
// REQUIRES: header and attachment are less than 4 GiB - 12 bytes together.
void AppendFrame(std::string& out, FrameType type, std::uint8_t flags, std::uint32_t correlation_id,
                 const google::protobuf::MessageLite& header, std::uint64_t attachment_size = 0);

// Parses a frame's header; kInvalidRequest if it is not that message.
absl::Status ParseHeader(ByteSpan header, google::protobuf::MessageLite& message);

}  // namespace headrace::native
