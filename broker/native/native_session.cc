#include "broker/native/native_session.h"

#include <algorithm>
#include <vector>

#include <google/protobuf/stubs/logging.h>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "protocol/core/utf8.h"

namespace headrace::native {
namespace {
constexpr std::size_t kClientIdSizeMax = 255;
constexpr FrameType kLastRequestType = FrameType::kSeekGroup;
}  // namespace

void SilenceProtobuf() {
  google::protobuf::SetLogHandler(nullptr);
}

NativeSession::NativeSession(Services& services, std::shared_ptr<net::Channel> channel)
    : services_(services), channel_(std::move(channel)) {}

NativeSession::~NativeSession() = default;

absl::Status NativeSession::OnLargeFrame(ByteSpan prefix, std::size_t size) {
  RETURN_IF_ERROR(CheckType(static_cast<FrameType>(prefix[0])));
  const std::size_t room = size - kFrameFixedSize;
  const std::size_t header_size = LoadBigEndian<std::uint32_t>(prefix.data() + 8);
  if (header_size <= std::min(room, kRequestHeaderSizeMax)) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("frame header of ", header_size, " bytes; the frame has room for ", room,
                                ", and the limit of a request is ", kRequestHeaderSizeMax));
}

absl::Status NativeSession::CheckType(FrameType type) const {
  if (type > kLastRequestType || type < FrameType::kHello) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("frame type ", static_cast<int>(type), " is unknown"));
  }
  if (greeted_ || type == FrameType::kHello) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("frame type ", static_cast<int>(type), " before Hello"));
}

absl::Status NativeSession::OnFrame(net::ReceivedFrame received) {
  Request request;
  ASSIGN_OR_RETURN(request.frame, ParseFrame(received.bytes));
  request.services = &services_;
  request.channel = channel_;
  request.owner = std::move(received.owner);
  request.size = received.bytes.size();
  request.client_id = client_id_;
  request.polls = &polls_;
  RETURN_IF_ERROR(CheckType(request.frame.type));
  if (request.frame.type == FrameType::kHello) return HandleHello(request);
  Dispatch(request);
  return absl::OkStatus();
}

absl::Status NativeSession::HandleHello(const Request& request) {
  HelloRequest message;
  RETURN_IF_ERROR(ParseRequest(request, message));
  if (message.version_min() > kProtocolVersion || message.version_max() < kProtocolVersion) {
    AnswerError(request,
                MakeError(ErrorCode::kUnsupportedVersion,
                          absl::StrCat("the client speaks versions ", message.version_min(), " to ",
                                       message.version_max(), "; this broker speaks ", kProtocolVersion)));
    channel_->Close("no common protocol version");
    return absl::OkStatus();
  }
  greeted_ = true;
  client_id_ = std::make_shared<const std::string>(Utf8Prefix(message.client_id(), kClientIdSizeMax));
  channel_->SetClientId(*client_id_);
  HelloResponse response;
  response.set_version(kProtocolVersion);
  response.set_broker_software(absl::StrCat("headrace ", services_.version));
  response.set_cluster_id(services_.cluster_id);
  response.set_frame_size_max(services_.limits.frame_size_max);
  response.set_batch_size_max(services_.limits.batch_size_max);
  response.set_requests_in_flight_max(services_.limits.requests_in_flight_max);
  response.set_push_size_max(services_.limits.push_size_max);
  response.set_request_header_size_max(static_cast<std::uint32_t>(kRequestHeaderSizeMax));
  Answer(request, response);
  return absl::OkStatus();
}

void NativeSession::Dispatch(const Request& request) {
  switch (request.frame.type) {
    case FrameType::kCreateTopic:
      HandleCreateTopic(request);
      break;
    case FrameType::kDeleteTopic:
      HandleDeleteTopic(request);
      break;
    case FrameType::kAlterTopic:
      HandleAlterTopic(request);
      break;
    case FrameType::kDescribeTopics:
      HandleDescribeTopics(request);
      break;
    case FrameType::kTrimTopic:
      HandleTrimTopic(request);
      break;
    case FrameType::kInitProducer:
      HandleInitProducer(request);
      break;
    case FrameType::kProduce:
      HandleProduce(request);
      break;
    case FrameType::kFetch:
      HandleFetch(request);
      break;
    case FrameType::kSubscribe:
      HandleSubscribe(request);
      break;
    case FrameType::kCredit:
      HandleCredit(request);
      break;
    case FrameType::kUnsubscribe:
      HandleUnsubscribe(request);
      break;
    case FrameType::kListOffsets:
      HandleListOffsets(request);
      break;
    case FrameType::kCommitOffset:
      HandleCommitOffset(request);
      break;
    case FrameType::kFetchOffset:
      HandleFetchOffset(request);
      break;
    case FrameType::kGroupHeartbeat:
      HandleGroupHeartbeat(request);
      break;
    case FrameType::kListGroups:
      HandleListGroups(request);
      break;
    case FrameType::kDescribeGroup:
      HandleDescribeGroup(request);
      break;
    case FrameType::kDeleteGroup:
      HandleDeleteGroup(request);
      break;
    case FrameType::kSeekGroup:
      HandleSeekGroup(request);
      break;
    case FrameType::kStats:
      HandleStats(request);
      break;
    default:
      break;  // CheckType has passed it
  }
}

void NativeSession::HandleSubscribe(const Request& request) {
  SubscribeRequest message;
  absl::Status status = ParseRequest(request, message);
  const std::uint32_t id = request.frame.correlation_id;
  std::erase_if(streams_, [](const auto& entry) { return entry.second->partition_count() == 0; });
  std::size_t sources = static_cast<std::size_t>(message.partitions_size());
  for (const auto& [other, stream] : streams_) sources += stream->partition_count();
  if (status.ok() && streams_.contains(id)) {
    status = MakeError(ErrorCode::kInvalidRequest, absl::StrCat("stream ", id, " is open already"));
  }
  if (status.ok() && streams_.size() >= services_.limits.streams_max) {
    status = MakeError(ErrorCode::kPolicyViolation,
                       absl::StrCat("this connection has ", streams_.size(), " streams, which is the limit"));
  }
  if (status.ok() && sources > services_.limits.stream_partitions_max) {
    status = MakeError(ErrorCode::kPolicyViolation, absl::StrCat("this connection would have ", sources,
                                                                 " partitions in its streams; the "
                                                                 "limit is ",
                                                                 services_.limits.stream_partitions_max));
  }
  if (!status.ok()) return AnswerError(request, status);
  const auto stream = std::make_shared<Stream>(services_, channel_, id);
  Answer(request, stream->Open(message));
  if (stream->partition_count() == 0) return;
  streams_.emplace(id, stream);
  stream->Pump();
}

void NativeSession::HandleCredit(const Request& request) {
  CreditRequest message;
  const bool parsed = ParseRequest(request, message).ok();
  channel_->FinishRequest(request.size);
  const auto stream = parsed ? streams_.find(message.stream()) : streams_.end();
  if (stream == streams_.end()) return;  // it may have been closed while the credit was on its way
  stream->second->AddCredit(message.bytes());
  stream->second->Pump();
}

void NativeSession::HandleUnsubscribe(const Request& request) {
  UnsubscribeRequest message;
  const absl::Status parsed = ParseRequest(request, message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  const auto stream = streams_.find(message.stream());
  if (stream != streams_.end()) {
    stream->second->Close();
    streams_.erase(stream);
  }
  Answer(request, EmptyResponse());
}

void NativeSession::OnWritable() {
  if (streams_.empty()) return;
  std::vector<std::shared_ptr<Stream>> turn;
  for (const auto& [id, stream] : streams_) turn.push_back(stream);
  std::sort(turn.begin(), turn.end(), [this](const auto& a, const auto& b) {
    return a->id() - last_pumped_ - 1 <
           b->id() - last_pumped_ - 1;  // unsigned: those after the last one first
  });
  last_pumped_ = turn.front()->id();
  for (const auto& stream : turn) stream->Pump();
}

void NativeSession::OnClosed() {
  polls_.CancelAll();
  for (const auto& [id, stream] : streams_) stream->Close();
  streams_.clear();
}

}  // namespace headrace::native
