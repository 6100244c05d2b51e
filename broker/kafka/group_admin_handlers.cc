// What is asked about groups from outside: DescribeGroups, ConsumerGroupDescribe, ListGroups, DeleteGroups.
#include <algorithm>
#include <atomic>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "broker/group/coordinator.h"
#include "broker/group/group_view.h"
#include "broker/group/offset_store.h"
#include "broker/kafka/handlers.h"
#include "protocol/core/error_code.h"

namespace headrace::kafka {
namespace {

constexpr std::int16_t kNotFoundSince = 6;  // of DescribeGroups; before that a missing group is a dead one

std::string NotFound(const std::string& group_id) {
  return absl::StrCat("there is no such group as \"", group_id, "\"");
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
    const bool has_positions = services.offsets->Has(result.group_id);
    result.error = services.groups->Delete(result.group_id);
    // A group of positions alone is none of the coordinator's.
    if (result.error == ErrorCode::kGroupIdNotFound && has_positions) result.error = ErrorCode::kNone;
    if (result.error != ErrorCode::kNone) return FinishOne();
    services.offsets->Forget(result.group_id,
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
  const std::optional<group::GroupDescription> found =
      group::DescribeAny(*request.services->groups, *request.services->offsets, group_id);
  if (!found || found->type != group::GroupType::kClassic) {
    described.state = std::string(group::NameOf(group::GroupState::kDead));
    if (request.version >= kNotFoundSince) {
      described.error = ErrorCode::kGroupIdNotFound;
      described.error_message = NotFound(group_id);
    }
    return described;
  }
  described.state = std::string(group::NameOf(found->state));
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
  described.state = std::string(group::NameOf(found->state));
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
  for (const group::GroupDescription& found :
       group::ListAll(*request.services->groups, *request.services->offsets)) {
    const std::string state(group::NameOf(found.state));
    const std::string type(group::NameOf(found.type));
    if (!Passes(message.states, state) || !Passes(message.types, type)) continue;
    response.groups.push_back({found.group_id, found.protocol_type, state, type});
  }
  Answer(request, response);
}

void HandleDeleteGroups(const Request& request, DeleteGroupsRequest message) {
  std::make_shared<DeleteOperation>(request, message.groups)->Start();
}

}  // namespace headrace::kafka
