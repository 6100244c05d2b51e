// Who gets which partition: pure functions of subscriptions and topics.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "broker/group/requests.h"

namespace headrace::group {

using Assignment = std::map<std::string, Partitions>;  // by member id
// By member id. Members that ask for the same share one set: work goes by sets, not by members.
using Subscriptions = std::map<std::string, const std::set<TopicId>*>;

constexpr std::string_view kUniform = "uniform";
constexpr std::string_view kRange = "range";

// Each topic by itself: its members, in order, get neighbouring partitions, the first ones one more. Topics
// with equal counts and members are assigned alike, so equal keys of both come to one member.
Assignment AssignRange(const Subscriptions& subscriptions, const PartitionCounts& counts);

// As even as the subscriptions allow, taking from `previous` no more than that needs.
Assignment AssignUniform(const Subscriptions& subscriptions, const PartitionCounts& counts,
                         const Assignment& previous);

}  // namespace headrace::group
