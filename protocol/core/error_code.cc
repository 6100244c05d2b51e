#include "protocol/core/error_code.h"

#include <array>
#include <string>

#include "absl/strings/cord.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

constexpr char kPayloadUrl[] = "headrace/error-code";

struct Row {
  ErrorCode code;
  absl::StatusCode status;
  bool retriable;
  std::string_view name;
};

using Status = absl::StatusCode;
constexpr std::array<Row, 67> kRows = {{
    {ErrorCode::kUnknownServerError, Status::kUnknown, false, "UNKNOWN_SERVER_ERROR"},
    {ErrorCode::kNone, Status::kOk, false, "NONE"},
    {ErrorCode::kOffsetOutOfRange, Status::kOutOfRange, false, "OFFSET_OUT_OF_RANGE"},
    {ErrorCode::kCorruptMessage, Status::kDataLoss, false, "CORRUPT_MESSAGE"},
    {ErrorCode::kUnknownTopicOrPartition, Status::kNotFound, false, "UNKNOWN_TOPIC_OR_PARTITION"},
    {ErrorCode::kInvalidFetchSize, Status::kInvalidArgument, false, "INVALID_FETCH_SIZE"},
    {ErrorCode::kLeaderNotAvailable, Status::kUnavailable, true, "LEADER_NOT_AVAILABLE"},
    {ErrorCode::kNotLeaderOrFollower, Status::kUnavailable, true, "NOT_LEADER_OR_FOLLOWER"},
    {ErrorCode::kRequestTimedOut, Status::kDeadlineExceeded, true, "REQUEST_TIMED_OUT"},
    {ErrorCode::kMessageTooLarge, Status::kInvalidArgument, false, "MESSAGE_TOO_LARGE"},
    {ErrorCode::kOffsetMetadataTooLarge, Status::kInvalidArgument, false, "OFFSET_METADATA_TOO_LARGE"},
    {ErrorCode::kNetworkException, Status::kUnavailable, true, "NETWORK_EXCEPTION"},
    {ErrorCode::kCoordinatorLoadInProgress, Status::kUnavailable, true, "COORDINATOR_LOAD_IN_PROGRESS"},
    {ErrorCode::kCoordinatorNotAvailable, Status::kUnavailable, true, "COORDINATOR_NOT_AVAILABLE"},
    {ErrorCode::kNotCoordinator, Status::kUnavailable, true, "NOT_COORDINATOR"},
    {ErrorCode::kInvalidTopic, Status::kInvalidArgument, false, "INVALID_TOPIC_EXCEPTION"},
    {ErrorCode::kRecordListTooLarge, Status::kInvalidArgument, false, "RECORD_LIST_TOO_LARGE"},
    {ErrorCode::kInvalidRequiredAcks, Status::kInvalidArgument, false, "INVALID_REQUIRED_ACKS"},
    {ErrorCode::kIllegalGeneration, Status::kFailedPrecondition, false, "ILLEGAL_GENERATION"},
    {ErrorCode::kInconsistentGroupProtocol, Status::kFailedPrecondition, false,
     "INCONSISTENT_GROUP_PROTOCOL"},
    {ErrorCode::kInvalidGroupId, Status::kInvalidArgument, false, "INVALID_GROUP_ID"},
    {ErrorCode::kUnknownMemberId, Status::kNotFound, false, "UNKNOWN_MEMBER_ID"},
    {ErrorCode::kInvalidSessionTimeout, Status::kInvalidArgument, false, "INVALID_SESSION_TIMEOUT"},
    {ErrorCode::kRebalanceInProgress, Status::kFailedPrecondition, false, "REBALANCE_IN_PROGRESS"},
    {ErrorCode::kInvalidCommitOffsetSize, Status::kInvalidArgument, false, "INVALID_COMMIT_OFFSET_SIZE"},
    {ErrorCode::kTopicAuthorizationFailed, Status::kPermissionDenied, false, "TOPIC_AUTHORIZATION_FAILED"},
    {ErrorCode::kInvalidTimestamp, Status::kInvalidArgument, false, "INVALID_TIMESTAMP"},
    {ErrorCode::kUnsupportedVersion, Status::kUnimplemented, false, "UNSUPPORTED_VERSION"},
    {ErrorCode::kTopicAlreadyExists, Status::kAlreadyExists, false, "TOPIC_ALREADY_EXISTS"},
    {ErrorCode::kInvalidPartitions, Status::kInvalidArgument, false, "INVALID_PARTITIONS"},
    {ErrorCode::kInvalidReplicationFactor, Status::kInvalidArgument, false, "INVALID_REPLICATION_FACTOR"},
    {ErrorCode::kInvalidReplicaAssignment, Status::kInvalidArgument, false, "INVALID_REPLICA_ASSIGNMENT"},
    {ErrorCode::kInvalidConfig, Status::kInvalidArgument, false, "INVALID_CONFIG"},
    {ErrorCode::kInvalidRequest, Status::kInvalidArgument, false, "INVALID_REQUEST"},
    {ErrorCode::kUnsupportedForMessageFormat, Status::kInvalidArgument, false,
     "UNSUPPORTED_FOR_MESSAGE_FORMAT"},
    {ErrorCode::kPolicyViolation, Status::kFailedPrecondition, false, "POLICY_VIOLATION"},
    {ErrorCode::kOutOfOrderSequence, Status::kFailedPrecondition, false, "OUT_OF_ORDER_SEQUENCE_NUMBER"},
    {ErrorCode::kDuplicateSequence, Status::kAlreadyExists, false, "DUPLICATE_SEQUENCE_NUMBER"},
    {ErrorCode::kInvalidProducerEpoch, Status::kFailedPrecondition, false, "INVALID_PRODUCER_EPOCH"},
    {ErrorCode::kInvalidTxnState, Status::kFailedPrecondition, false, "INVALID_TXN_STATE"},
    {ErrorCode::kTransactionalIdAuthorizationFailed, Status::kPermissionDenied, false,
     "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
    {ErrorCode::kStorageError, Status::kInternal, false, "KAFKA_STORAGE_ERROR"},
    {ErrorCode::kUnknownProducerId, Status::kNotFound, false, "UNKNOWN_PRODUCER_ID"},
    {ErrorCode::kNonEmptyGroup, Status::kFailedPrecondition, false, "NON_EMPTY_GROUP"},
    {ErrorCode::kGroupIdNotFound, Status::kNotFound, false, "GROUP_ID_NOT_FOUND"},
    {ErrorCode::kFetchSessionIdNotFound, Status::kNotFound, true, "FETCH_SESSION_ID_NOT_FOUND"},
    {ErrorCode::kInvalidFetchSessionEpoch, Status::kFailedPrecondition, true, "INVALID_FETCH_SESSION_EPOCH"},
    {ErrorCode::kFencedLeaderEpoch, Status::kFailedPrecondition, true, "FENCED_LEADER_EPOCH"},
    {ErrorCode::kUnknownLeaderEpoch, Status::kFailedPrecondition, true, "UNKNOWN_LEADER_EPOCH"},
    {ErrorCode::kUnsupportedCompressionType, Status::kUnimplemented, false, "UNSUPPORTED_COMPRESSION_TYPE"},
    {ErrorCode::kOffsetNotAvailable, Status::kUnavailable, true, "OFFSET_NOT_AVAILABLE"},
    {ErrorCode::kMemberIdRequired, Status::kFailedPrecondition, false, "MEMBER_ID_REQUIRED"},
    {ErrorCode::kGroupMaxSizeReached, Status::kResourceExhausted, false, "GROUP_MAX_SIZE_REACHED"},
    {ErrorCode::kFencedInstanceId, Status::kFailedPrecondition, false, "FENCED_INSTANCE_ID"},
    {ErrorCode::kGroupSubscribedToTopic, Status::kFailedPrecondition, false, "GROUP_SUBSCRIBED_TO_TOPIC"},
    {ErrorCode::kInvalidRecord, Status::kInvalidArgument, false, "INVALID_RECORD"},
    {ErrorCode::kThrottlingQuotaExceeded, Status::kResourceExhausted, true, "THROTTLING_QUOTA_EXCEEDED"},
    {ErrorCode::kUnknownTopicId, Status::kNotFound, false, "UNKNOWN_TOPIC_ID"},
    {ErrorCode::kInconsistentTopicId, Status::kFailedPrecondition, true, "INCONSISTENT_TOPIC_ID"},
    {ErrorCode::kFetchSessionTopicIdError, Status::kFailedPrecondition, true, "FETCH_SESSION_TOPIC_ID_ERROR"},
    {ErrorCode::kFencedMemberEpoch, Status::kFailedPrecondition, false, "FENCED_MEMBER_EPOCH"},
    {ErrorCode::kUnreleasedInstanceId, Status::kFailedPrecondition, false, "UNRELEASED_INSTANCE_ID"},
    {ErrorCode::kUnsupportedAssignor, Status::kInvalidArgument, false, "UNSUPPORTED_ASSIGNOR"},
    {ErrorCode::kStaleMemberEpoch, Status::kFailedPrecondition, false, "STALE_MEMBER_EPOCH"},
    {ErrorCode::kInvalidRegularExpression, Status::kInvalidArgument, false, "INVALID_REGULAR_EXPRESSION"},
    {ErrorCode::kDiskFull, Status::kResourceExhausted, true, "DISK_FULL"},
    {ErrorCode::kShuttingDown, Status::kUnavailable, true, "SHUTTING_DOWN"},
}};

const Row& RowOf(ErrorCode code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row;
  }
  return kRows[0];
}

// For statuses that nobody gave a code.
ErrorCode NearestCode(absl::StatusCode status) {
  switch (status) {
    case Status::kOk:
      return ErrorCode::kNone;
    case Status::kInvalidArgument:
      return ErrorCode::kInvalidRequest;
    case Status::kDeadlineExceeded:
      return ErrorCode::kRequestTimedOut;
    case Status::kDataLoss:
      return ErrorCode::kCorruptMessage;
    case Status::kResourceExhausted:
      return ErrorCode::kDiskFull;
    case Status::kUnavailable:
      return ErrorCode::kThrottlingQuotaExceeded;
    case Status::kInternal:
      return ErrorCode::kStorageError;
    default:
      return ErrorCode::kUnknownServerError;
  }
}

}  // namespace

absl::Status MakeError(ErrorCode code, std::string_view message) {
  HEADRACE_CHECK(code != ErrorCode::kNone);
  absl::Status status(RowOf(code).status, absl::string_view(message.data(), message.size()));
  // As a view: Cord's constructor from std::string is a template whose name Clang 19 and the GCC that built
  // Debian's abseil mangle differently.
  const std::string number = std::to_string(static_cast<int>(code));
  status.SetPayload(kPayloadUrl, absl::Cord(absl::string_view(number)));
  return status;
}

absl::Status Prefixed(const absl::Status& status, std::string_view what) {
  if (status.ok()) return status;
  return MakeError(CodeOf(status), std::string(what).append(": ").append(MessageOf(status)));
}

ErrorCode CodeOf(const absl::Status& status) {
  if (status.ok()) return ErrorCode::kNone;
  if (const auto payload = status.GetPayload(kPayloadUrl)) {
    return static_cast<ErrorCode>(std::stoi(std::string(*payload)));
  }
  return NearestCode(status.code());
}

bool IsRetriable(ErrorCode code) {
  return RowOf(code).retriable;
}

std::string_view NameOf(ErrorCode code) {
  return RowOf(code).name;
}

}  // namespace headrace
