// Between the protocol's messages and the plain values of headrace/admin.h.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/repeated_field.h"
#include "headrace.pb.h"
#include "headrace/admin.h"

namespace headrace {

void AddConfigs(const std::map<std::string, std::string>& configs,
                google::protobuf::RepeatedPtrField<native::TopicConfig>& out);

// The first entry with an error fails the whole.
Result<std::vector<TopicInfo>> ToTopics(const native::DescribeTopicsResponse& response);
// The one topic of an answer that describes one.
Result<TopicInfo> OnlyTopic(const Result<native::DescribeTopicsResponse>& response);
Result<std::vector<PartitionOffset>> ToOffsets(const native::ListOffsetsResponse& response,
                                               const std::vector<std::uint32_t>& asked,
                                               std::string_view topic);
// Of `topic` alone, unless that is empty.
Result<std::vector<CommittedOffset>> ToCommitted(const native::FetchOffsetResponse& response,
                                                 std::string_view topic);
BrokerStats ToStats(const native::StatsResponse& response);

// "topic orders, partition 3"
std::string PartitionName(std::string_view topic, std::uint32_t partition);

}  // namespace headrace
