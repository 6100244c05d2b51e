#include "broker/native/request.h"

#include <cstring>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "protocol/core/utf8.h"

namespace headrace::native {
namespace {

net::Response FrameResponse(const Request& request, FrameType type,
                            const google::protobuf::MessageLite& header) {
  std::string bytes;
  AppendFrame(bytes, type, kFrameFlagResponse, request.frame.correlation_id, header);
  net::Response response;
  response.pieces.emplace_back(std::move(bytes));
  response.request_size = request.size;
  return response;
}

}  // namespace

net::Response MakeResponse(const Request& request, const google::protobuf::MessageLite& header) {
  const std::size_t size = header.ByteSizeLong();
  if (size <= kFrameHeaderSizeMax) return FrameResponse(request, request.frame.type, header);
  return MakeErrorResponse(request, MakeError(ErrorCode::kInvalidRequest,
                                              absl::StrCat("the answer has ", size, " bytes; the limit is ",
                                                           kFrameHeaderSizeMax, "; ask for less at a time")));
}

net::Response MakeErrorResponse(const Request& request, const absl::Status& error) {
  ErrorResponse message;
  FillError(error, message.mutable_error());
  return FrameResponse(request, FrameType::kError, message);
}

void FillError(const absl::Status& status, Error* error) {
  const ErrorCode code = CodeOf(status);
  error->set_code(static_cast<std::int32_t>(code));
  error->set_message(Printable(MessageOf(status)));
  error->set_retriable(IsRetriable(code));
}

void Answer(const Request& request, const google::protobuf::MessageLite& header) {
  request.channel->Send(MakeResponse(request, header));
}

void AnswerError(const Request& request, const absl::Status& error) {
  request.channel->Send(MakeErrorResponse(request, error));
}

void PostAnswer(const Request& request,
                const absl::StatusOr<std::unique_ptr<google::protobuf::MessageLite>>& answer) {
  auto response = std::make_shared<net::Response>(answer.ok() ? MakeResponse(request, **answer)
                                                              : MakeErrorResponse(request, answer.status()));
  request.channel->Post([channel = request.channel, response] { channel->Send(std::move(*response)); });
}

absl::Status ParseRequest(const Request& request, google::protobuf::MessageLite& message) {
  const ByteSpan header = request.frame.header;
  // An entry takes two bytes at least. What does not parse is for the parser to refuse.
  if (header.size() / 2 > kRequestEntriesMax) {
    using Lite = google::protobuf::internal::WireFormatLite;
    google::protobuf::io::CodedInputStream fields(reinterpret_cast<const std::uint8_t*>(header.data()),
                                                  static_cast<int>(header.size()));
    std::size_t count = 0;
    for (std::uint32_t tag = 0; (tag = fields.ReadTag()) != 0 && Lite::SkipField(&fields, tag);) ++count;
    RETURN_IF_ERROR(CheckEntries(count));
  }
  return ParseHeader(header, message);
}

absl::Status CheckEntries(std::size_t count) {
  if (count <= kRequestEntriesMax) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidRequest, absl::StrCat("request of ", count, " entries; the limit is ",
                                                            kRequestEntriesMax, "; split it into several"));
}

absl::StatusOr<TopicId> ParseTopicId(const std::string& bytes) {
  TopicId id;
  if (bytes.size() != id.bytes.size()) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("topic id of ", bytes.size(), " bytes; it has ", id.bytes.size()));
  }
  std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return id;
}

absl::StatusOr<topic::TopicPtr> FindTopic(const Services& services, const std::string& id,
                                          const std::string& name) {
  if (id.empty()) {
    topic::TopicPtr topic = services.topics->Find(name);
    if (!topic) return services.topics->UnknownTopic(name);
    return topic;
  }
  ASSIGN_OR_RETURN(const TopicId topic_id, ParseTopicId(id));
  topic::TopicPtr topic = services.topics->Find(topic_id);
  if (!topic) return services.topics->UnknownTopic(topic_id);
  return topic;
}

absl::StatusOr<std::shared_ptr<topic::Partition>> FindPartition(const Services& services,
                                                                const std::string& id,
                                                                const std::string& name,
                                                                std::uint32_t partition) {
  TopicId topic_id;
  if (!id.empty()) {
    ASSIGN_OR_RETURN(topic_id, ParseTopicId(id));
  }
  return services.topics->FindPartition(topic_id, name, partition);
}

absl::Status NamedTwice(const topic::Partition& partition) {
  return MakeError(
      ErrorCode::kInvalidRequest,
      absl::StrCat(partition.name(), " is named twice in one request; name each partition once"));
}

}  // namespace headrace::native
