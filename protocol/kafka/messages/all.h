// Every API with its messages, for what treats them all alike: dispatch, tests, fuzzers.
#pragma once

#include "protocol/kafka/api.h"
#include "protocol/kafka/messages/cluster.h"
#include "protocol/kafka/messages/configs.h"
#include "protocol/kafka/messages/consumer_groups.h"
#include "protocol/kafka/messages/fetch.h"
#include "protocol/kafka/messages/group_admin.h"
#include "protocol/kafka/messages/groups.h"
#include "protocol/kafka/messages/list_offsets.h"
#include "protocol/kafka/messages/metadata.h"
#include "protocol/kafka/messages/offsets.h"
#include "protocol/kafka/messages/produce.h"
#include "protocol/kafka/messages/topics.h"

namespace headrace::kafka {

// Calls visitor.operator()<Request, Response>(key) for every API of kApis, in its order.
template <typename Visitor>
void VisitApis(Visitor&& visitor) {
  visitor.template operator()<ProduceRequest, ProduceResponse>(ApiKey::kProduce);
  visitor.template operator()<FetchRequest, FetchResponse>(ApiKey::kFetch);
  visitor.template operator()<ListOffsetsRequest, ListOffsetsResponse>(ApiKey::kListOffsets);
  visitor.template operator()<MetadataRequest, MetadataResponse>(ApiKey::kMetadata);
  visitor.template operator()<OffsetCommitRequest, OffsetCommitResponse>(ApiKey::kOffsetCommit);
  visitor.template operator()<OffsetFetchRequest, OffsetFetchResponse>(ApiKey::kOffsetFetch);
  visitor.template operator()<FindCoordinatorRequest, FindCoordinatorResponse>(ApiKey::kFindCoordinator);
  visitor.template operator()<JoinGroupRequest, JoinGroupResponse>(ApiKey::kJoinGroup);
  visitor.template operator()<HeartbeatRequest, HeartbeatResponse>(ApiKey::kHeartbeat);
  visitor.template operator()<LeaveGroupRequest, LeaveGroupResponse>(ApiKey::kLeaveGroup);
  visitor.template operator()<SyncGroupRequest, SyncGroupResponse>(ApiKey::kSyncGroup);
  visitor.template operator()<DescribeGroupsRequest, DescribeGroupsResponse>(ApiKey::kDescribeGroups);
  visitor.template operator()<ListGroupsRequest, ListGroupsResponse>(ApiKey::kListGroups);
  visitor.template operator()<ApiVersionsRequest, ApiVersionsResponse>(ApiKey::kApiVersions);
  visitor.template operator()<CreateTopicsRequest, CreateTopicsResponse>(ApiKey::kCreateTopics);
  visitor.template operator()<DeleteTopicsRequest, DeleteTopicsResponse>(ApiKey::kDeleteTopics);
  visitor.template operator()<DeleteRecordsRequest, DeleteRecordsResponse>(ApiKey::kDeleteRecords);
  visitor.template operator()<InitProducerIdRequest, InitProducerIdResponse>(ApiKey::kInitProducerId);
  visitor.template operator()<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>(
      ApiKey::kOffsetForLeaderEpoch);
  visitor.template operator()<DescribeConfigsRequest, DescribeConfigsResponse>(ApiKey::kDescribeConfigs);
  visitor.template operator()<AlterConfigsRequest, AlterConfigsResponse>(ApiKey::kAlterConfigs);
  visitor.template operator()<DescribeLogDirsRequest, DescribeLogDirsResponse>(ApiKey::kDescribeLogDirs);
  visitor.template operator()<CreatePartitionsRequest, CreatePartitionsResponse>(ApiKey::kCreatePartitions);
  visitor.template operator()<DeleteGroupsRequest, DeleteGroupsResponse>(ApiKey::kDeleteGroups);
  visitor.template operator()<IncrementalAlterConfigsRequest, AlterConfigsResponse>(
      ApiKey::kIncrementalAlterConfigs);
  visitor.template operator()<OffsetDeleteRequest, OffsetDeleteResponse>(ApiKey::kOffsetDelete);
  visitor.template operator()<DescribeClusterRequest, DescribeClusterResponse>(ApiKey::kDescribeCluster);
  visitor.template operator()<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
      ApiKey::kConsumerGroupHeartbeat);
  visitor.template operator()<ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse>(
      ApiKey::kConsumerGroupDescribe);
  visitor.template operator()<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse>(
      ApiKey::kDescribeTopicPartitions);
}

}  // namespace headrace::kafka
