// A group as it is looked at from outside: members, which the coordinator knows, and positions, which the
// store knows.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/group/coordinator.h"
#include "broker/group/offset_store.h"

namespace headrace::group {

// Kafka's names: "Stable", "Empty", ...; "classic" and "consumer".
std::string_view NameOf(GroupState state);
std::string_view NameOf(GroupType type);

// A group that the store keeps something of and that never had members, or has lost them by a restart, is an
// empty classic one.
std::optional<GroupDescription> DescribeAny(const Coordinator& groups, const OffsetStore& offsets,
                                            const std::string& group_id);
// Without members.
std::vector<GroupDescription> ListAll(const Coordinator& groups, const OffsetStore& offsets);

// The topics that its members subscribe to or are assigned, as far as they are known.
std::set<TopicId> TopicsRead(const GroupDescription& group, const topic::TopicRegistry& topics);

// The timestamp of the first readable record from `offset` on; nullopt if there is none, or it cannot be
// read. Blocking.
std::optional<TimestampMs> TimestampAt(const topic::Partition& partition, Offset offset,
                                       std::size_t decompressed_size_max);

}  // namespace headrace::group
