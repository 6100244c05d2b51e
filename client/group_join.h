// Joining a consumer group.
#pragma once

#include "client/connection.h"
#include "client/group_member.h"
#include "client/topic.h"
#include "headrace/consumer.h"

namespace headrace {

// Sends the first heartbeat and waits for its answer. kInvalidRequest if `options` ask for what a member
// cannot have; otherwise what the broker said: kGroupIdNotFound, kUnreleasedInstanceId, ...
Result<GroupMember> JoinGroup(Connection& connection, const ClientOptions& client, const TopicFacts& topic,
                              const ConsumerOptions& options, TimePoint deadline);

}  // namespace headrace
