// Admin's calls about consumer groups.
#include <array>

#include "client/admin_impl.h"
#include "client/error.h"

namespace headrace {
namespace {

std::optional<Error> ErrorOf(const native::Error& in) {
  return Failed(in) ? std::optional(ToError(in)) : std::nullopt;
}

GroupListing ToListing(const native::GroupSummary& in) {
  return {in.group(), in.type(), in.state(), in.members()};
}

GroupMemberInfo ToMember(const native::GroupMember& in) {
  GroupMemberInfo out{in.member_id(), in.instance_id(), in.client_id(), in.host(), in.member_epoch(), {}};
  for (const native::GroupPartition& each : in.assignment()) {
    out.assignment.push_back({each.topic(), each.partition()});
  }
  return out;
}

GroupPosition ToPosition(const native::GroupPosition& in) {
  GroupPosition out;
  out.topic = in.partition().topic();
  out.partition = in.partition().partition();
  out.offset = in.offset();
  out.start_offset = in.start_offset();
  out.high_watermark = in.high_watermark();
  out.lag = in.lag();
  out.lag_ms = in.lag_ms();
  out.commit_time_ms = in.commit_time_ms();
  out.metadata = in.metadata();
  out.member_id = in.member_id();
  out.error = ErrorOf(in.error());
  return out;
}

}  // namespace

Result<std::vector<GroupListing>> Admin::ListGroups() {
  const auto answer =
      impl_->Ask<native::ListGroupsResponse>(native::FrameType::kListGroups, native::ListGroupsRequest());
  if (!answer) return answer.error();
  std::vector<GroupListing> groups;
  for (const native::GroupSummary& each : answer->groups()) groups.push_back(ToListing(each));
  return groups;
}

Result<GroupInfo> Admin::DescribeGroup(std::string_view group) {
  native::DescribeGroupRequest request;
  request.set_group(std::string(group));
  const auto answer = impl_->Ask<native::DescribeGroupResponse>(native::FrameType::kDescribeGroup, request);
  if (!answer) return answer.error();
  GroupInfo info{ToListing(answer->summary()), answer->assignor(), answer->epoch(), {}, {}};
  for (const native::GroupMember& each : answer->member_list()) info.members.push_back(ToMember(each));
  for (const native::GroupPosition& each : answer->positions()) info.positions.push_back(ToPosition(each));
  return info;
}

Result<void> Admin::DeleteGroup(std::string_view group) {
  native::DeleteGroupRequest request;
  request.set_group(std::string(group));
  const auto answer = impl_->Ask<native::EmptyResponse>(native::FrameType::kDeleteGroup, request);
  if (!answer) return answer.error();
  return {};
}

Result<GroupSeekResult> Admin::SeekGroup(std::string_view group, const GroupSeek& seek) {
  constexpr std::array kTargets{native::SeekGroupRequest::EARLIEST, native::SeekGroupRequest::LATEST,
                                native::SeekGroupRequest::OFFSET, native::SeekGroupRequest::TIMESTAMP,
                                native::SeekGroupRequest::UNDO};
  native::SeekGroupRequest request;
  request.set_group(std::string(group));
  request.set_target(kTargets[static_cast<std::size_t>(seek.target)]);
  request.set_value(seek.value);
  for (const std::string& topic : seek.topics) request.add_topics(topic);
  for (const std::uint32_t partition : seek.partitions) request.add_partitions(partition);
  request.set_dry_run(seek.dry_run);
  const auto answer = impl_->Ask<native::SeekGroupResponse>(native::FrameType::kSeekGroup, request);
  if (!answer) return answer.error();
  GroupSeekResult result;
  result.members_removed = answer->members_removed();
  for (const auto& each : answer->partitions()) {
    result.moves.push_back({each.partition().topic(), each.partition().partition(), each.previous_offset(),
                            each.offset(), ErrorOf(each.error())});
  }
  return result;
}

}  // namespace headrace
