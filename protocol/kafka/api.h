// The APIs of the Kafka protocol that Headrace serves: one table, which ApiVersions answers with, requests
// are dispatched by, and tests and fuzzers walk.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace headrace::kafka {

// Numbers: https://kafka.apache.org/protocol, "Api Keys".
enum class ApiKey : std::int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kMetadata = 3,
  kOffsetCommit = 8,
  kOffsetFetch = 9,
  kFindCoordinator = 10,
  kJoinGroup = 11,
  kHeartbeat = 12,
  kLeaveGroup = 13,
  kSyncGroup = 14,
  kDescribeGroups = 15,
  kListGroups = 16,
  kApiVersions = 18,
  kCreateTopics = 19,
  kDeleteTopics = 20,
  kDeleteRecords = 21,
  kInitProducerId = 22,
  kOffsetForLeaderEpoch = 23,
  kDescribeConfigs = 32,
  kAlterConfigs = 33,
  kDescribeLogDirs = 35,
  kCreatePartitions = 37,
  kDeleteGroups = 42,
  kIncrementalAlterConfigs = 44,
  kOffsetDelete = 47,
  kDescribeCluster = 60,
  kConsumerGroupHeartbeat = 68,
  kConsumerGroupDescribe = 69,
  kDescribeTopicPartitions = 75,
};

inline constexpr std::int16_t kNeverFlexible = 0x7fff;

struct Api {
  ApiKey key;
  std::string_view name;
  std::int16_t version_min;
  std::int16_t version_max;
  std::int16_t version_flexible;  // the first with compact forms and tagged fields (KIP-482)

  constexpr bool Serves(std::int16_t version) const {
    return version >= version_min && version <= version_max;
  }
  constexpr bool IsFlexible(std::int16_t version) const { return version >= version_flexible; }
};

// In the order of keys. Lower bounds are Kafka 4's where older versions would say something else; Produce is
// offered from 0, or librdkafka before 2.11 turns features off.
inline constexpr std::array kApis = std::to_array<Api>({
    {ApiKey::kProduce, "Produce", 0, 13, 9},
    {ApiKey::kFetch, "Fetch", 4, 17, 12},
    {ApiKey::kListOffsets, "ListOffsets", 1, 10, 6},
    {ApiKey::kMetadata, "Metadata", 0, 13, 9},
    {ApiKey::kOffsetCommit, "OffsetCommit", 2, 10, 8},
    {ApiKey::kOffsetFetch, "OffsetFetch", 1, 10, 6},
    {ApiKey::kFindCoordinator, "FindCoordinator", 0, 4, 3},
    {ApiKey::kJoinGroup, "JoinGroup", 0, 9, 6},
    {ApiKey::kHeartbeat, "Heartbeat", 0, 4, 4},
    {ApiKey::kLeaveGroup, "LeaveGroup", 0, 5, 4},
    {ApiKey::kSyncGroup, "SyncGroup", 0, 5, 4},
    {ApiKey::kDescribeGroups, "DescribeGroups", 0, 6, 5},
    {ApiKey::kListGroups, "ListGroups", 0, 5, 3},
    {ApiKey::kApiVersions, "ApiVersions", 0, 4, 3},
    {ApiKey::kCreateTopics, "CreateTopics", 0, 7, 5},
    {ApiKey::kDeleteTopics, "DeleteTopics", 0, 6, 4},
    {ApiKey::kDeleteRecords, "DeleteRecords", 0, 2, 2},
    {ApiKey::kInitProducerId, "InitProducerId", 0, 5, 2},
    {ApiKey::kOffsetForLeaderEpoch, "OffsetForLeaderEpoch", 2, 4, 4},
    {ApiKey::kDescribeConfigs, "DescribeConfigs", 1, 4, 4},
    {ApiKey::kAlterConfigs, "AlterConfigs", 0, 2, 2},
    {ApiKey::kDescribeLogDirs, "DescribeLogDirs", 1, 4, 2},
    {ApiKey::kCreatePartitions, "CreatePartitions", 0, 3, 2},
    {ApiKey::kDeleteGroups, "DeleteGroups", 0, 2, 2},
    {ApiKey::kIncrementalAlterConfigs, "IncrementalAlterConfigs", 0, 1, 1},
    {ApiKey::kOffsetDelete, "OffsetDelete", 0, 0, kNeverFlexible},
    {ApiKey::kDescribeCluster, "DescribeCluster", 0, 2, 0},
    {ApiKey::kConsumerGroupHeartbeat, "ConsumerGroupHeartbeat", 0, 1, 0},
    {ApiKey::kConsumerGroupDescribe, "ConsumerGroupDescribe", 0, 1, 0},
    {ApiKey::kDescribeTopicPartitions, "DescribeTopicPartitions", 0, 0, 0},
});

// nullptr if Headrace does not serve it.
constexpr const Api* FindApi(ApiKey key) {
  for (const Api& api : kApis) {
    if (api.key == key) return &api;
  }
  return nullptr;
}

}  // namespace headrace::kafka
