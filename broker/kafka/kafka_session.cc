#include "broker/kafka/kafka_session.h"

#include "absl/strings/str_cat.h"
#include "broker/kafka/handlers.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "protocol/core/utf8.h"

namespace headrace::kafka {
namespace {

constexpr std::size_t kClientIdSizeMax = 255;

absl::Status NotServed(const RequestHeader& header, const Api* api) {
  if (api == nullptr) {
    return MakeError(ErrorCode::kUnsupportedVersion,
                     absl::StrCat("Kafka API ", static_cast<int>(header.key), " is not served"));
  }
  return MakeError(
      ErrorCode::kUnsupportedVersion,
      absl::StrCat("Kafka API ", std::string(api->name), " version ", header.version,
                   " is not served; versions ", api->version_min, " to ", api->version_max, " are"));
}

}  // namespace

KafkaSession::KafkaSession(Services& services, std::shared_ptr<net::Channel> channel)
    : services_(services), channel_(channel), responses_(std::make_shared<OrderedResponses>(channel)) {}

absl::Status KafkaSession::OnLargeFrame(ByteSpan prefix, std::size_t /*size*/) {
  RequestHeader header;
  header.key = static_cast<ApiKey>(LoadBigEndian<std::int16_t>(prefix.data()));
  header.version = LoadBigEndian<std::int16_t>(prefix.data() + 2);
  const Api* api = FindApi(header.key);
  return api != nullptr && api->Serves(header.version) ? absl::OkStatus() : NotServed(header, api);
}

absl::Status KafkaSession::OnFrame(net::ReceivedFrame frame) {
  ASSIGN_OR_RETURN(const RequestHeader header, DecodeRequestHeader(frame.bytes));
  const Api* api = FindApi(header.key);
  Request request;
  request.services = &services_;
  request.channel = channel_;
  request.responses = responses_;
  request.api = api;
  request.version = header.version;
  request.correlation_id = header.correlation_id;
  request.client_id = Utf8Prefix(header.client_id.value_or(""), kClientIdSizeMax);
  request.owner = std::move(frame.owner);
  request.size = frame.bytes.size();
  request.polls = &polls_;
  if (api == nullptr || !api->Serves(header.version)) {
    if (header.key != ApiKey::kApiVersions) return NotServed(header, api);
    request.ticket = responses_->Open();
    AnswerApiVersionsDowngrade(request);
    return absl::OkStatus();
  }
  if (request.client_id != client_id_) {
    client_id_ = request.client_id;
    channel_->SetClientId(client_id_);
  }
  Decoder body = RequestBody(frame.bytes, *api, header.version);
  request.ticket = responses_->Open();
  const absl::Status handled = HandlerOf(*api)(request, body);
  if (handled.ok()) return handled;
  return Prefixed(handled, absl::StrCat("Kafka ", std::string(api->name), " version ", header.version,
                                        " from client \"", client_id_, "\""));
}

}  // namespace headrace::kafka
