// What is asked about groups from outside: DescribeGroups, ConsumerGroupDescribe, ListGroups, DeleteGroups.
#include <algorithm>
#include <atomic>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "broker/group/coordinator.h"
#include "broker/group/offset_store.h"
#include "broker/kafka/handlers.h"
#include "protocol/core/error_code.h"

namespace headrace::kafka {
namespace {

constexpr std::int16_t kNotFoundSince = 6;  // of DescribeGroups; before that a missing group is a dead one

std::string NameOf(group::GroupState state) {
  switch (state) {
    case group::GroupState::kEmpty:
      return "Empty";
    case group::GroupState::kPreparingRebalance:
      return "PreparingRebalance";
    case group::GroupState::kCompletingRebalance:
      return "CompletingRebalance";
    case group::GroupState::kStable:
      return "Stable";
    case group::GroupState::kDead:
      return "Dead";
    case group::GroupState::kAssigning:
      return "Assigning";
    case group::GroupState::kReconciling:
      return "Reconciling";
  }
  return "Unknown";
}

std::string NameOf(group::GroupType type) {
  return type == group::GroupType::kClassic ? "classic" : "consumer";
}

std::string NotFound(const std::string& group_id) {
  return absl::StrCat("there is no such group as \"", group_id, "\"");
}

// A group that has positions and never had members, or has lost them by a restart.
group::GroupDescription OnlyOffsets(const std::string& group_id) {
  group::GroupDescription description;
  description.group_id = group_id;
  description.state = group::GroupState::kEmpty;
  return description;
}

std::optional<group::GroupDescription> DescribeAny(const Services& services, const std::string& group_id) {
  std::optional<group::GroupDescription> found = services.groups->Describe(group_id);
  if (!found && !services.offsets->All(group_id).empty()) found = OnlyOffsets(group_id);
  return found;
}

std::vector<group::GroupDescription> ListAll(const Services& services) {
  std::vector<group::GroupDescription> groups = services.groups->List();
  std::set<std::string> known;
  for (const group::GroupDescription& found : groups) known.insert(found.group_id);
  for (const std::string& name : services.offsets->Groups()) {
    if (!known.contains(name)) groups.push_back(OnlyOffsets(name));
  }
  return groups;
}

// Answers when the positions of all deleted groups are gone from the disk.
class DeleteOperation : public std::enable_shared_from_this<DeleteOperation> {
 public:
  DeleteOperation(const Request& request, const std::vector<std::string>& group_ids) : request_(request) {
    for (const std::string& group_id : group_ids) response_.results.push_back({group_id, ErrorCode::kNone});
    left_ = static_cast<int>(group_ids.size()) + 1;
  }

  void Start() {
    for (DeleteGroupsResponse::Result& result : response_.results) DeleteOne(result);
    FinishOne();
  }

 private:
  void DeleteOne(DeleteGroupsResponse::Result& result) {
    const Services& services = *request_.services;
    std::vector<TopicPartition> positions;
    for (const auto& [partition, committed] : services.offsets->All(result.group_id))
      positions.push_back(partition);
    result.error = services.groups->Delete(result.group_id);
    // A group of positions alone is none of the coordinator's.
    if (result.error == ErrorCode::kGroupIdNotFound && !positions.empty()) result.error = ErrorCode::kNone;
    if (result.error != ErrorCode::kNone) return FinishOne();
    services.offsets->Delete(result.group_id, positions,
                             [self = shared_from_this(), &result](const absl::Status& status) {
                               result.error = WireCode(status);
                               self->FinishOne();
                             });
  }

  void FinishOne() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) PostAnswer(request_, response_);
  }

  const Request request_;
  std::atomic<int> left_;
  DeleteGroupsResponse response_;
};

DescribeGroupsResponse::Group DescribeClassic(const Request& request, const std::string& group_id) {
  DescribeGroupsResponse::Group described;
  described.group_id = group_id;
  const std::optional<group::GroupDescription> found = DescribeAny(*request.services, group_id);
  if (!found || found->type != group::GroupType::kClassic) {
    described.state = NameOf(group::GroupState::kDead);
    if (request.version >= kNotFoundSince) {
      described.error = ErrorCode::kGroupIdNotFound;
      described.error_message = NotFound(group_id);
    }
    return described;
  }
  described.state = NameOf(found->state);
  described.protocol_type = found->protocol_type;
  if (found->state == group::GroupState::kStable) described.protocol = found->protocol;
  for (const group::MemberDescription& member : found->members) {
    described.members.push_back({member.member_id,
                                 member.instance_id,
                                 member.client.id,
                                 member.client.host,
                                 {member.metadata},
                                 {member.assignment}});
  }
  return described;
}

ConsumerGroupDescribeResponse::Assignment ToAssignment(const Services& services,
                                                       const group::Partitions& partitions) {
  ConsumerGroupDescribeResponse::Assignment assignment;
  for (const TopicPartition& partition : partitions) {
    if (assignment.topics.empty() || assignment.topics.back().id != partition.topic) {
      const topic::TopicPtr topic = services.topics->Find(partition.topic);
      assignment.topics.push_back({partition.topic, topic ? topic->name : "", {}});
    }
    assignment.topics.back().partitions.push_back(partition.partition);
  }
  return assignment;
}

ConsumerGroupDescribeResponse::Group DescribeConsumer(const Services& services, const std::string& group_id) {
  ConsumerGroupDescribeResponse::Group described;
  described.group_id = group_id;
  const std::optional<group::GroupDescription> found = services.groups->Describe(group_id);
  if (!found || found->type != group::GroupType::kConsumer) {
    described.error = ErrorCode::kGroupIdNotFound;
    described.error_message = NotFound(group_id);
    return described;
  }
  described.state = NameOf(found->state);
  described.group_epoch = found->epoch;
  described.assignment_epoch = found->assignment_epoch;
  described.assignor = found->protocol;
  for (const group::MemberDescription& member : found->members) {
    ConsumerGroupDescribeResponse::Member& entry = described.members.emplace_back();
    entry.member_id = member.member_id;
    entry.instance_id = member.instance_id;
    entry.member_epoch = member.member_epoch;
    entry.client_id = member.client.id;
    entry.client_host = member.client.host;
    entry.subscribed_names = member.topic_names;
    if (!member.topic_regex.empty()) entry.subscribed_regex = member.topic_regex;
    entry.assignment = ToAssignment(services, member.assigned);
    entry.target_assignment = ToAssignment(services, member.target);
    entry.member_type = 1;
  }
  return described;
}

// Filters are compared without regard to case, as Kafka does; none lets everything through.
bool Passes(const std::vector<std::string>& filter, const std::string& name) {
  return filter.empty() || std::any_of(filter.begin(), filter.end(), [&](const std::string& wanted) {
           return absl::AsciiStrToLower(wanted) == absl::AsciiStrToLower(name);
         });
}

}  // namespace

void HandleDescribeGroups(const Request& request, DescribeGroupsRequest message) {
  DescribeGroupsResponse response;
  for (const std::string& group_id : message.groups)
    response.groups.push_back(DescribeClassic(request, group_id));
  Answer(request, response);
}

void HandleConsumerGroupDescribe(const Request& request, ConsumerGroupDescribeRequest message) {
  ConsumerGroupDescribeResponse response;
  for (const std::string& group_id : message.group_ids) {
    response.groups.push_back(DescribeConsumer(*request.services, group_id));
  }
  Answer(request, response);
}

void HandleListGroups(const Request& request, ListGroupsRequest message) {
  ListGroupsResponse response;
  for (const group::GroupDescription& found : ListAll(*request.services)) {
    if (!Passes(message.states, NameOf(found.state)) || !Passes(message.types, NameOf(found.type))) continue;
    response.groups.push_back({found.group_id, found.protocol_type, NameOf(found.state), NameOf(found.type)});
  }
  Answer(request, response);
}

void HandleDeleteGroups(const Request& request, DeleteGroupsRequest message) {
  std::make_shared<DeleteOperation>(request, message.groups)->Start();
}

}  // namespace headrace::kafka
