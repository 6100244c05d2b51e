#include "broker/native/request.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

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
  return FrameResponse(request, request.frame.type, header);
}

net::Response MakeErrorResponse(const Request& request, const absl::Status& error) {
  ErrorResponse message;
  FillError(error, message.mutable_error());
  return FrameResponse(request, FrameType::kError, message);
}

void FillError(const absl::Status& status, Error* error) {
  const ErrorCode code = CodeOf(status);
  error->set_code(static_cast<std::int32_t>(code));
  error->set_message(std::string(MessageOf(status)));
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

absl::StatusOr<topic::TopicPtr> FindTopic(const Services& services, const std::string& id,
                                          const std::string& name) {
  TopicId topic_id;
  if (id.empty()) {
    topic::TopicPtr topic = services.topics->Find(name);
    if (!topic) return services.topics->UnknownTopic(name);
    return topic;
  }
  if (id.size() != topic_id.bytes.size()) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("topic id of ", id.size(), " bytes; it has 16"));
  }
  std::memcpy(topic_id.bytes.data(), id.data(), id.size());
  topic::TopicPtr topic = services.topics->Find(topic_id);
  if (!topic) {
    return MakeError(ErrorCode::kUnknownTopicId,
                     absl::StrCat("there is no topic with id ", topic_id.ToString(), " any more"));
  }
  return topic;
}

absl::StatusOr<std::shared_ptr<topic::Partition>> FindPartition(const Services& services,
                                                                const std::string& id,
                                                                const std::string& name,
                                                                std::uint32_t partition) {
  ASSIGN_OR_RETURN(const topic::TopicPtr topic, FindTopic(services, id, name));
  if (partition >= topic->partitions.size()) {
    return MakeError(ErrorCode::kUnknownTopicOrPartition,
                     absl::StrCat(topic->name, " has no partition ", partition, "; it has partitions 0 to ",
                                  topic->partitions.size() - 1));
  }
  return topic->partitions[partition];
}

}  // namespace headrace::native
