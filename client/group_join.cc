#include "client/group_join.h"

#include <utility>

namespace headrace {
namespace {

Result<void> Check(const ConsumerOptions& options) {
  const auto refuse = [](std::string message) {
    return Result<void>(Error{error_number::kInvalidRequest, std::move(message), false});
  };
  if (!options.name.empty()) {
    return refuse("ConsumerOptions: `group` and `name` exclude each other; a group keeps its own positions");
  }
  if (!options.partitions.empty() || !options.offsets.empty()) {
    return refuse(
        "ConsumerOptions: the broker assigns the partitions of a group; `partitions` and `offsets` " +
        std::string("must be empty"));
  }
  if (options.max_poll_interval.count() <= 0)
    return refuse("ConsumerOptions: max_poll_interval must be above 0");
  if (options.start.kind == Start::Kind::kOffset && options.start.value < 0) {
    return refuse("offset " + std::to_string(options.start.value) + " is below 0");
  }
  return {};
}

}  // namespace

Result<GroupMember> JoinGroup(Connection& connection, const ClientOptions& client, const TopicFacts& topic,
                              const ConsumerOptions& options, TimePoint deadline) {
  if (Result<void> checked = Check(options); !checked) return checked.error();
  GroupMemberOptions member_options;
  member_options.group = options.group;
  member_options.instance_id = options.instance_id;
  member_options.assignor = options.assignor;
  member_options.topic = topic.name;
  member_options.topic_id = topic.id;
  member_options.start = options.start;
  member_options.commit_interval = options.commit_interval;
  member_options.max_poll_interval = options.max_poll_interval;
  member_options.request_timeout = client.request_timeout;
  member_options.backoff_min = client.backoff_min;
  member_options.backoff_max = client.backoff_max;
  GroupMember member(std::move(member_options), SteadyClock::now());
  const std::optional<GroupMember::Request> join = member.NextRequest(SteadyClock::now());
  native::GroupHeartbeatResponse response;
  Result<void> joined = Call(connection, native::FrameType::kGroupHeartbeat,
                             std::get<native::GroupHeartbeatRequest>(*join), response, deadline);
  if (!joined) return joined.error();
  member.OnAnswer(Result<native::GroupHeartbeatResponse>(std::move(response)), SteadyClock::now());
  return member;
}

}  // namespace headrace
