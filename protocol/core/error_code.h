// The error codes that travel on the wire, in both protocols, and their one mapping to absl::Status.
//
// The numbers are Kafka's (https://kafka.apache.org/protocol, "Error Codes"), so that one table serves both
// listeners. A code travels inside a Status as a payload, so the mapping loses nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace headrace {

enum class ErrorCode : std::int16_t {
  kUnknownServerError = -1,
  kNone = 0,
  kOffsetOutOfRange = 1,
  kCorruptMessage = 2,
  kUnknownTopicOrPartition = 3,
  kInvalidFetchSize = 4,
  kLeaderNotAvailable = 5,
  kNotLeaderOrFollower = 6,
  kRequestTimedOut = 7,
  kMessageTooLarge = 10,
  kOffsetMetadataTooLarge = 12,
  kNetworkException = 13,
  kCoordinatorLoadInProgress = 14,
  kCoordinatorNotAvailable = 15,
  kNotCoordinator = 16,
  kInvalidTopic = 17,
  kRecordListTooLarge = 18,
  kInvalidRequiredAcks = 21,
  kIllegalGeneration = 22,
  kInconsistentGroupProtocol = 23,
  kInvalidGroupId = 24,
  kUnknownMemberId = 25,
  kInvalidSessionTimeout = 26,
  kRebalanceInProgress = 27,
  kInvalidCommitOffsetSize = 28,
  kTopicAuthorizationFailed = 29,
  kInvalidTimestamp = 32,
  kUnsupportedVersion = 35,
  kTopicAlreadyExists = 36,
  kInvalidPartitions = 37,
  kInvalidReplicationFactor = 38,
  kInvalidReplicaAssignment = 39,
  kInvalidConfig = 40,
  kInvalidRequest = 42,
  kUnsupportedForMessageFormat = 43,
  kPolicyViolation = 44,
  kOutOfOrderSequence = 45,
  kDuplicateSequence = 46,
  kInvalidProducerEpoch = 47,
  kInvalidTxnState = 48,
  kTransactionalIdAuthorizationFailed = 53,
  // The disk failed under this log; it is fenced until the operator acts. Not retriable.
  kStorageError = 56,
  kUnknownProducerId = 59,
  kNonEmptyGroup = 68,
  kGroupIdNotFound = 69,
  kFetchSessionIdNotFound = 70,
  kInvalidFetchSessionEpoch = 71,
  kFencedLeaderEpoch = 74,
  kUnknownLeaderEpoch = 75,
  kUnsupportedCompressionType = 76,
  kOffsetNotAvailable = 78,
  kMemberIdRequired = 79,
  kGroupMaxSizeReached = 81,
  kFencedInstanceId = 82,
  kGroupSubscribedToTopic = 86,
  kInvalidRecord = 87,
  kThrottlingQuotaExceeded = 89,
  kUnknownTopicId = 100,
  kInconsistentTopicId = 103,
  kFetchSessionTopicIdError = 106,
  kFencedMemberEpoch = 110,
  kUnreleasedInstanceId = 111,
  kUnsupportedAssignor = 112,
  kStaleMemberEpoch = 113,
  kInvalidRegularExpression = 128,
  // Native protocol only, so outside Kafka's range: the disk is full; retry later.
  kDiskFull = 1000,
  // Native protocol only: the broker is stopping; reconnect.
  kShuttingDown = 1001,
};

// A Status that carries `code`; its absl code is chosen from a table. REQUIRES: code != kNone.
absl::Status MakeError(ErrorCode code, std::string_view message);
// `status` with "<what>: " before its message, and the code it has; OK stays OK.
absl::Status Prefixed(const absl::Status& status, std::string_view what);

// The code that MakeError stored; for other statuses the nearest one; kNone for OK.
// A status that nobody mapped is kUnknownServerError.
ErrorCode CodeOf(const absl::Status& status);

// Whether a client should try the same request again without changing it.
bool IsRetriable(ErrorCode code);

// Kafka's upper-case name, such as "OFFSET_OUT_OF_RANGE".
std::string_view NameOf(ErrorCode code);

// The status' message as a std::string_view (Debian's abseil has a string_view of its own).
inline std::string_view MessageOf(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace headrace
