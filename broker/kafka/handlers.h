// The handlers of the Kafka APIs, and which API each belongs to.
#pragma once

#include "broker/kafka/request.h"
#include "protocol/kafka/messages/all.h"

namespace headrace::kafka {

// Reads the request's body and works on it, on the reactor thread; answers then or later. An error (the body
// does not parse) ends the connection.
using Handler = absl::Status (*)(const Request& request, Decoder& body);

// REQUIRES: `api` is one of kApis.
Handler HandlerOf(const Api& api);

// Says, in version 0, which versions of ApiVersions are served to a client that asked in another (KIP-511).
void AnswerApiVersionsDowngrade(const Request& request);

// cluster_handlers.cc
void HandleApiVersions(const Request& request, ApiVersionsRequest message);
void HandleMetadata(const Request& request, MetadataRequest message);  // metadata_handler.cc
void HandleDescribeTopicPartitions(const Request& request, DescribeTopicPartitionsRequest message);
void HandleDescribeCluster(const Request& request, DescribeClusterRequest message);
void HandleFindCoordinator(const Request& request, FindCoordinatorRequest message);
void HandleDescribeLogDirs(const Request& request, DescribeLogDirsRequest message);
void HandleInitProducerId(const Request& request, InitProducerIdRequest message);
void HandleProduce(const Request& request, ProduceRequest message);          // produce_handler.cc
void HandleFetch(const Request& request, FetchRequest message);              // fetch_handler.cc
void HandleListOffsets(const Request& request, ListOffsetsRequest message);  // list_offsets_handler.cc
void HandleOffsetForLeaderEpoch(const Request& request, OffsetForLeaderEpochRequest message);
void HandleCreateTopics(const Request& request, CreateTopicsRequest message);  // topic_handlers.cc
void HandleDeleteTopics(const Request& request, DeleteTopicsRequest message);
void HandleCreatePartitions(const Request& request, CreatePartitionsRequest message);
void HandleDeleteRecords(const Request& request, DeleteRecordsRequest message);
void HandleDescribeConfigs(const Request& request, DescribeConfigsRequest message);  // config_handlers.cc
void HandleAlterConfigs(const Request& request, AlterConfigsRequest message);
void HandleIncrementalAlterConfigs(const Request& request, IncrementalAlterConfigsRequest message);
void HandleJoinGroup(const Request& request, JoinGroupRequest message);  // group_handlers.cc
void HandleSyncGroup(const Request& request, SyncGroupRequest message);
void HandleHeartbeat(const Request& request, HeartbeatRequest message);
void HandleLeaveGroup(const Request& request, LeaveGroupRequest message);
void HandleConsumerGroupHeartbeat(const Request& request, ConsumerGroupHeartbeatRequest message);
void HandleDescribeGroups(const Request& request, DescribeGroupsRequest message);  // group_admin_handlers.cc
void HandleConsumerGroupDescribe(const Request& request, ConsumerGroupDescribeRequest message);
void HandleListGroups(const Request& request, ListGroupsRequest message);
void HandleDeleteGroups(const Request& request, DeleteGroupsRequest message);
void HandleOffsetCommit(const Request& request, OffsetCommitRequest message);  // offset_handlers.cc
void HandleOffsetFetch(const Request& request, OffsetFetchRequest message);
void HandleOffsetDelete(const Request& request, OffsetDeleteRequest message);

}  // namespace headrace::kafka
