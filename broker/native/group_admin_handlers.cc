// What an administrator asks of groups: which there are, where they stand, deleting and moving them.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "broker/group/group_seek.h"
#include "broker/group/group_view.h"
#include "broker/group/member_bytes.h"
#include "broker/native/request.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::native {
namespace {

using Answered = absl::StatusOr<std::unique_ptr<google::protobuf::MessageLite>>;

absl::Status NotFound(const std::string& group) {
  return MakeError(ErrorCode::kGroupIdNotFound,
                   absl::StrCat("there is no group ", group, ": it has no member and no position"));
}

void Fill(const Services& services, const TopicPartition& partition, GroupPartition& out) {
  out.set_topic_id(partition.topic.bytes.data(), partition.topic.bytes.size());
  out.set_partition(static_cast<std::uint32_t>(partition.partition));
  if (const topic::TopicPtr topic = services.topics->Find(partition.topic)) out.set_topic(topic->name);
}

void Fill(const group::GroupDescription& group, GroupSummary& out) {
  out.set_group(group.group_id);
  out.set_type(std::string(group::NameOf(group.type)));
  out.set_state(std::string(group::NameOf(group.state)));
  out.set_members(static_cast<std::uint32_t>(group.member_count));
}

// A classic member's assignment names topics; those that are gone are left out.
group::Partitions AssignedTo(const Services& services, const group::GroupDescription& group,
                             const group::MemberDescription& member) {
  if (group.type == group::GroupType::kConsumer) return member.assigned;
  group::Partitions assigned;
  for (const auto& [name, partitions] : group::DecodeAssignment(member.assignment)) {
    const topic::TopicPtr topic = services.topics->Find(name);
    if (topic == nullptr) continue;
    for (const PartitionId partition : partitions) assigned.insert({topic->id, partition});
  }
  return assigned;
}

void FillPosition(const Services& services, const TopicPartition& which,
                  const std::optional<group::CommittedOffset>& committed, GroupPosition& out) {
  Fill(services, which, *out.mutable_partition());
  out.set_offset(committed ? committed->offset : -1);
  out.set_commit_time_ms(committed ? committed->commit_time : -1);
  if (committed) out.set_metadata(committed->metadata);
  const topic::TopicPtr topic = services.topics->Find(which.topic);
  if (topic == nullptr || static_cast<std::size_t>(which.partition) >= topic->partitions.size()) {
    return FillError(MakeError(ErrorCode::kUnknownTopicOrPartition, "there is no such partition any more"),
                     out.mutable_error());
  }
  const topic::Partition& partition = *topic->partitions[static_cast<std::size_t>(which.partition)];
  const storage::LogOffsets offsets = partition.offsets();
  out.set_start_offset(offsets.start);
  out.set_high_watermark(offsets.high_watermark);
  const Offset next = std::max(committed ? committed->offset : offsets.start, offsets.start);
  out.set_lag(std::max<Offset>(offsets.high_watermark - next, 0));
  if (out.lag() == 0) return;
  const auto timestamp = group::TimestampAt(partition, next, services.limits.decompressed_size_max);
  if (timestamp) out.set_lag_ms(std::max<TimestampMs>(services.clock->WallNow() - *timestamp, 0));
}

Answered Describe(Services& services, const DescribeGroupRequest& message) {
  const auto group = group::DescribeAny(*services.groups, *services.offsets, message.group());
  if (!group) return NotFound(message.group());
  auto response = std::make_unique<DescribeGroupResponse>();
  Fill(*group, *response->mutable_summary());
  response->set_assignor(group->protocol);
  response->set_epoch(group->epoch);
  const group::Positions committed = services.offsets->All(message.group());
  std::map<std::pair<std::string, TopicPartition>, std::string> readers;  // in the order of the answer
  const auto name_of = [&](const TopicPartition& partition) {
    const topic::TopicPtr topic = services.topics->Find(partition.topic);
    return topic == nullptr ? std::string() : topic->name;
  };
  for (const auto& [partition, position] : committed) readers[{name_of(partition), partition}];
  for (const group::MemberDescription& member : group->members) {
    GroupMember& entry = *response->add_member_list();
    entry.set_member_id(member.member_id);
    entry.set_instance_id(member.instance_id.value_or(""));
    entry.set_client_id(member.client.id);
    entry.set_host(member.client.host);
    entry.set_member_epoch(member.member_epoch);
    for (const TopicPartition& partition : AssignedTo(services, *group, member)) {
      Fill(services, partition, *entry.add_assignment());
      readers[{name_of(partition), partition}] = member.member_id;
    }
  }
  for (const auto& [key, reader] : readers) {
    if (key.first.empty()) continue;  // the topic is gone
    const auto position = committed.find(key.second);
    GroupPosition& entry = *response->add_positions();
    FillPosition(services, key.second,
                 position == committed.end() ? std::nullopt : std::optional(position->second), entry);
    entry.set_member_id(reader);
  }
  return response;
}

absl::StatusOr<group::SeekRequest> ToSeek(const Services& services, const SeekGroupRequest& message) {
  RETURN_IF_ERROR(CheckEntries(static_cast<std::size_t>(message.partitions_size())));
  group::SeekRequest seek;
  seek.group_id = message.group();
  seek.value = message.value();
  seek.topics.assign(message.topics().begin(), message.topics().end());
  seek.partitions.assign(message.partitions().begin(), message.partitions().end());
  seek.decompressed_size_max = services.limits.decompressed_size_max;
  switch (message.target()) {
    case SeekGroupRequest::EARLIEST:
      seek.target = group::SeekTarget::kEarliest;
      return seek;
    case SeekGroupRequest::LATEST:
      seek.target = group::SeekTarget::kLatest;
      return seek;
    case SeekGroupRequest::OFFSET:
      seek.target = group::SeekTarget::kOffset;
      return seek;
    case SeekGroupRequest::TIMESTAMP:
      seek.target = group::SeekTarget::kTimestamp;
      return seek;
    case SeekGroupRequest::UNDO:
      seek.target = group::SeekTarget::kUndo;
      return seek;
    default:
      return MakeError(
          ErrorCode::kInvalidRequest,
          absl::StrCat("seek target ", static_cast<int>(message.target()), " is unknown; 0 to 4 are known"));
  }
}

std::unique_ptr<SeekGroupResponse> ToResponse(const Services& services, const group::SeekOutcome& outcome) {
  auto response = std::make_unique<SeekGroupResponse>();
  for (const group::SeekMove& move : outcome.moves) {
    SeekGroupResponse::Partition& entry = *response->add_partitions();
    Fill(services, move.partition, *entry.mutable_partition());
    entry.set_previous_offset(move.previous);
    entry.set_offset(move.offset);
    if (!move.status.ok()) FillError(move.status, entry.mutable_error());
  }
  response->set_members_removed(static_cast<std::uint32_t>(outcome.members_removed));
  return response;
}

// On the file pool: looks the positions up, then lets the flusher's thread answer.
void SeekOnPool(const Request& request, const SeekGroupRequest& message) {
  const Services& services = *request.services;
  const auto seek = ToSeek(services, message);
  if (!seek.ok()) return PostAnswer(request, seek.status());
  auto moves = group::PlanSeek(*services.groups, *services.offsets, *services.topics, *seek);
  if (!moves.ok()) return PostAnswer(request, moves.status());
  if (message.dry_run()) return PostAnswer(request, ToResponse(services, {*std::move(moves), 0}));
  group::Seek(*services.groups, *services.offsets, message.group(), *std::move(moves),
              [request](const absl::StatusOr<group::SeekOutcome>& outcome) {
                if (!outcome.ok()) return PostAnswer(request, outcome.status());
                PostAnswer(request, ToResponse(*request.services, *outcome));
              });
}

}  // namespace

void HandleListGroups(const Request& request) {
  const Services& services = *request.services;
  std::vector<group::GroupDescription> groups = group::ListAll(*services.groups, *services.offsets);
  std::sort(groups.begin(), groups.end(),
            [](const auto& a, const auto& b) { return a.group_id < b.group_id; });
  ListGroupsResponse response;
  for (const group::GroupDescription& group : groups) Fill(group, *response.add_groups());
  Answer(request, response);
}

void HandleDescribeGroup(const Request& request) {
  RunBlocking<DescribeGroupRequest>(request, Describe);
}

void HandleDeleteGroup(const Request& request) {
  DeleteGroupRequest message;
  const absl::Status parsed = ParseRequest(request, message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  const Services& services = *request.services;
  const bool has_positions = services.offsets->Has(message.group());
  const ErrorCode error = services.groups->Delete(message.group());
  if (error == ErrorCode::kNonEmptyGroup) {
    return AnswerError(
        request, MakeError(error, absl::StrCat("group ", message.group(), " has members; end them first")));
  }
  // A group of positions alone is none of the coordinator's.
  if (error != ErrorCode::kNone && !has_positions) return AnswerError(request, NotFound(message.group()));
  services.offsets->Forget(message.group(), [request](const absl::Status& status) {
    if (!status.ok()) return PostAnswer(request, status);
    PostAnswer(request, std::make_unique<EmptyResponse>());
  });
}

void HandleSeekGroup(const Request& request) {
  auto message = std::make_shared<SeekGroupRequest>();
  const absl::Status parsed = ParseRequest(request, *message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  request.services->pool->Post([request, message] { SeekOnPool(request, *message); });
}

}  // namespace headrace::native
