#include "broker/kafka/request.h"

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"

namespace headrace::kafka {

net::Response MakeResponse(const Request& request, EncodedFrame frame,
                           std::vector<std::vector<storage::FileSlice>> slices) {
  net::Response response;
  response.request_size = request.size;
  if (frame.gaps.empty()) {
    response.pieces.emplace_back(std::move(frame.bytes));
    return response;
  }
  std::size_t begin = 0;
  for (std::size_t i = 0; i < frame.gaps.size(); ++i) {
    const std::size_t end = frame.gaps[i].position;
    response.pieces.emplace_back(frame.bytes.substr(begin, end - begin));
    for (storage::FileSlice& slice : slices[i]) response.pieces.emplace_back(std::move(slice));
    begin = end;
  }
  if (begin < frame.bytes.size()) response.pieces.emplace_back(frame.bytes.substr(begin));
  return response;
}

void AnswerNothing(const Request& request) {
  request.responses->CompleteSilently(request.ticket, request.size);
}

ErrorCode WireCode(const absl::Status& status) {
  switch (const ErrorCode code = CodeOf(status)) {
    case ErrorCode::kDiskFull:
    case ErrorCode::kThrottlingQuotaExceeded:
      return ErrorCode::kStorageError;  // which Kafka's clients retry
    case ErrorCode::kShuttingDown:
      return ErrorCode::kNotLeaderOrFollower;
    case ErrorCode::kDuplicateSequence:
      return ErrorCode::kInvalidRecord;  // clients take 46 for "stored before", and this batch was not
    default:
      return code;
  }
}

std::optional<std::string> WireMessage(const absl::Status& status) {
  return status.ok() ? std::nullopt : std::optional(std::string(MessageOf(status)));
}

absl::Status CheckLeaderEpoch(const topic::Partition& partition, LeaderEpoch known) {
  if (known < 0 || known == partition.leader_epoch()) return absl::OkStatus();
  return MakeError(
      known < partition.leader_epoch() ? ErrorCode::kFencedLeaderEpoch : ErrorCode::kUnknownLeaderEpoch,
      absl::StrCat(partition.name(), ": the client knows leader epoch ", known, ", and it is ",
                   partition.leader_epoch()));
}

}  // namespace headrace::kafka
