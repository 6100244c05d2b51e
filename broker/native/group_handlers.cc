// What members of a group send: their heartbeats, and the check of what they commit.
#include "absl/strings/str_cat.h"
#include "broker/native/request.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::native {
namespace {

constexpr std::int32_t kNoEpoch = -1;  // of whoever is no member

absl::StatusOr<group::Partitions> ToPartitions(const GroupHeartbeatRequest::Owned& owned) {
  RETURN_IF_ERROR(CheckEntries(static_cast<std::size_t>(owned.partitions_size())));
  group::Partitions partitions;
  for (const GroupPartition& entry : owned.partitions()) {
    ASSIGN_OR_RETURN(const TopicId topic, ParseTopicId(entry.topic_id()));
    partitions.insert({topic, static_cast<PartitionId>(entry.partition())});
  }
  return partitions;
}

absl::StatusOr<group::ConsumerHeartbeatRequest> ToHeartbeat(const Request& request,
                                                            GroupHeartbeatRequest& message) {
  RETURN_IF_ERROR(group::OffsetStore::CheckGroup(message.group()));
  group::ConsumerHeartbeatRequest heartbeat;
  heartbeat.group_id = std::move(*message.mutable_group());
  heartbeat.member_id = std::move(*message.mutable_member_id());
  heartbeat.member_epoch = message.member_epoch();
  if (!message.instance_id().empty()) heartbeat.instance_id = message.instance_id();
  const std::string& peer = request.channel->peer();
  heartbeat.client = {*request.client_id, "/" + peer.substr(0, peer.rfind(':'))};
  if (message.rebalance_timeout_ms() > 0) {
    heartbeat.rebalance_timeout = group::Milliseconds(message.rebalance_timeout_ms());
  }
  if (!message.assignor().empty()) heartbeat.assignor = message.assignor();
  if (message.has_subscription()) {
    const auto& topics = message.subscription().topics();
    heartbeat.topic_names = std::vector<std::string>(topics.begin(), topics.end());
    heartbeat.topic_regex = message.subscription().topic_regex();
  }
  if (message.has_owned()) {
    ASSIGN_OR_RETURN(heartbeat.owned, ToPartitions(message.owned()));
  }
  return heartbeat;
}

// Says what an error of a group means to a member, where the group did not say it itself.
std::string Explain(ErrorCode error, const std::string& group) {
  switch (error) {
    case ErrorCode::kUnknownMemberId:
      return absl::StrCat("group ", group, " has no such member (any more); join it again");
    case ErrorCode::kFencedMemberEpoch:
      return absl::StrCat("the member of group ", group, " was given another epoch; join it again");
    case ErrorCode::kStaleMemberEpoch:
      return absl::StrCat("the member of group ", group, " has another epoch by now; a heartbeat tells it");
    case ErrorCode::kIllegalGeneration:
      return absl::StrCat("group ", group, " is not in this generation; join it again");
    case ErrorCode::kUnreleasedInstanceId:
      return absl::StrCat("the instance id is in use in group ", group,
                          " by a member that neither left nor timed out");
    case ErrorCode::kFencedInstanceId:
      return absl::StrCat("another member of group ", group, " has taken over the instance id");
    case ErrorCode::kGroupIdNotFound:
      return absl::StrCat("the members of group ", group,
                          " speak Kafka's classic group protocol; members of both protocols cannot be mixed");
    case ErrorCode::kGroupMaxSizeReached:
      return absl::StrCat("group ", group, " cannot take in this member");
    case ErrorCode::kCoordinatorLoadInProgress:
      return absl::StrCat("group ", group, " is just being moved; try again");
    case ErrorCode::kCoordinatorNotAvailable:
      return "the broker is stopping";
    default:
      return absl::StrCat("group ", group, ": ", std::string(NameOf(error)));
  }
}

void FillAssignment(const Services& services, const group::Partitions& partitions,
                    GroupHeartbeatResponse::Assignment& assignment) {
  for (const TopicPartition& each : partitions) {
    GroupPartition& entry = *assignment.add_partitions();
    entry.set_topic_id(each.topic.bytes.data(), each.topic.bytes.size());
    entry.set_partition(static_cast<std::uint32_t>(each.partition));
    if (const topic::TopicPtr topic = services.topics->Find(each.topic)) entry.set_topic(topic->name);
  }
}

}  // namespace

void HandleGroupHeartbeat(const Request& request) {
  GroupHeartbeatRequest message;
  const absl::Status parsed = ParseRequest(request, message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  const auto heartbeat = ToHeartbeat(request, message);
  if (!heartbeat.ok()) return AnswerError(request, heartbeat.status());
  const group::ConsumerHeartbeatOutcome outcome = request.services->groups->ConsumerHeartbeat(*heartbeat);
  if (outcome.error != ErrorCode::kNone) {
    std::string text = Explain(outcome.error, heartbeat->group_id);
    if (!outcome.message.empty()) absl::StrAppend(&text, ": ", outcome.message);
    return AnswerError(request, MakeError(outcome.error, text));
  }
  GroupHeartbeatResponse response;
  response.set_member_id(outcome.member_id);
  response.set_member_epoch(outcome.member_epoch);
  response.set_heartbeat_interval_ms(static_cast<std::uint32_t>(outcome.heartbeat_interval.count()));
  if (outcome.assignment)
    FillAssignment(*request.services, *outcome.assignment, *response.mutable_assignment());
  Answer(request, response);
}

absl::Status CommitAs(const Services& services, const CommitOffsetRequest& message,
                      const std::function<void()>& store) {
  group::CommitCheck check;
  check.group_id = message.consumer();
  check.member_id = message.member_id();
  check.generation_or_epoch = message.member_id().empty() ? kNoEpoch : message.member_epoch();
  const ErrorCode error = services.groups->Commit(check, store);
  if (error == ErrorCode::kNone) return absl::OkStatus();
  if (error == ErrorCode::kUnknownMemberId && message.member_id().empty()) {
    return MakeError(error,
                     absl::StrCat("group ", message.consumer(),
                                  " has members, and only they may commit its positions; `headrace group "
                                  "seek` moves a group while it reads"));
  }
  return MakeError(error, Explain(error, message.consumer()));
}

}  // namespace headrace::native
