// Any bytes after a frame's length are refused, or give a header and an attachment that lie inside them; the
// header parses as one of headrace.proto's messages or is refused; and what parsed survives another frame.
#include <algorithm>
#include <vector>

#include "headrace.pb.h"
#include "protocol/core/status_macros.h"
#include "protocol/native/frame.h"

namespace headrace::native {
namespace {

template <typename Message>
void CheckOne(const Frame& frame) {
  Message message;
  if (!ParseHeader(frame.header, message).ok()) return;
  std::string bytes;
  AppendFrame(bytes, frame.type, frame.flags, frame.correlation_id, message, frame.attachment.size());
  HEADRACE_CHECK(bytes.size() >= kFramePrefixSize);
  const auto* attachment = reinterpret_cast<const char*>(frame.attachment.data());
  bytes.append(attachment, frame.attachment.size());
  const MutableByteSpan whole(reinterpret_cast<std::byte*>(bytes.data()), bytes.size());
  HEADRACE_CHECK(LoadBigEndian<std::uint32_t>(whole.data()) == whole.size() - kFrameLengthSize);
  const auto again = ParseFrame(whole.subspan(kFrameLengthSize));
  HEADRACE_CHECK(again.ok() && again->type == frame.type && again->flags == frame.flags);
  HEADRACE_CHECK(again->correlation_id == frame.correlation_id);
  HEADRACE_CHECK(std::ranges::equal(again->attachment, frame.attachment));
  Message same;
  HEADRACE_CHECK(ParseHeader(again->header, same).ok());
  HEADRACE_CHECK(same.ByteSizeLong() == message.ByteSizeLong());
}

// Any message may arrive under any type: a peer is free to lie about it.
template <typename... Messages>
void CheckAs(const Frame& frame) {
  (CheckOne<Messages>(frame), ...);
}

void Fuzz(MutableByteSpan bytes) {
  const auto frame = ParseFrame(bytes);
  if (!frame.ok()) return;
  constexpr std::size_t kFixed = kFramePrefixSize - kFrameLengthSize;
  HEADRACE_CHECK(frame->header.size() + frame->attachment.size() + kFixed == bytes.size());
  HEADRACE_CHECK(frame->attachment.data() + frame->attachment.size() == bytes.data() + bytes.size());
  CheckAs<ErrorResponse, EmptyResponse, HelloRequest, HelloResponse, CreateTopicRequest, DeleteTopicRequest,
          AlterTopicRequest, DescribeTopicsRequest, DescribeTopicsResponse, TrimTopicRequest,
          TrimTopicResponse, InitProducerRequest, InitProducerResponse, ProduceRequest, ProduceResponse,
          FetchRequest, FetchResponse, SubscribeRequest, SubscribeResponse, CreditRequest, UnsubscribeRequest,
          Push, StreamEnd, ListOffsetsRequest, ListOffsetsResponse, CommitOffsetRequest, CommitOffsetResponse,
          FetchOffsetRequest, FetchOffsetResponse, GroupHeartbeatRequest, GroupHeartbeatResponse,
          ListGroupsRequest, ListGroupsResponse, DescribeGroupRequest, DescribeGroupResponse,
          DeleteGroupRequest, SeekGroupRequest, SeekGroupResponse, StatsRequest, StatsResponse>(*frame);
}

}  // namespace
}  // namespace headrace::native

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin, begin + size);  // a broker's buffer may be written to; libFuzzer's not
  headrace::native::Fuzz(bytes);
  return 0;
}
