#include "broker/kafka/handlers.h"

#include <array>

#include "protocol/core/status_macros.h"

namespace headrace::kafka {
namespace {

struct Row {
  ApiKey key;
  Handler handler;
};

template <typename Message, void (*handle)(const Request&, Message)>
absl::Status Run(const Request& request, Decoder& body) {
  Message message;
  body(message);
  RETURN_IF_ERROR(body.status());
  handle(request, std::move(message));
  return absl::OkStatus();
}

// The message's type follows from the handler's.
template <typename Message>
Message MessageOf(void (*)(const Request&, Message));
template <auto handle>
constexpr Handler kRun = &Run<decltype(MessageOf(handle)), handle>;

constexpr std::array kHandlers = std::to_array<Row>({
    {ApiKey::kProduce, kRun<&HandleProduce>},
    {ApiKey::kFetch, kRun<&HandleFetch>},
    {ApiKey::kListOffsets, kRun<&HandleListOffsets>},
    {ApiKey::kMetadata, kRun<&HandleMetadata>},
    {ApiKey::kOffsetCommit, kRun<&HandleOffsetCommit>},
    {ApiKey::kOffsetFetch, kRun<&HandleOffsetFetch>},
    {ApiKey::kFindCoordinator, kRun<&HandleFindCoordinator>},
    {ApiKey::kJoinGroup, kRun<&HandleJoinGroup>},
    {ApiKey::kHeartbeat, kRun<&HandleHeartbeat>},
    {ApiKey::kLeaveGroup, kRun<&HandleLeaveGroup>},
    {ApiKey::kSyncGroup, kRun<&HandleSyncGroup>},
    {ApiKey::kDescribeGroups, kRun<&HandleDescribeGroups>},
    {ApiKey::kListGroups, kRun<&HandleListGroups>},
    {ApiKey::kApiVersions, kRun<&HandleApiVersions>},
    {ApiKey::kCreateTopics, kRun<&HandleCreateTopics>},
    {ApiKey::kDeleteTopics, kRun<&HandleDeleteTopics>},
    {ApiKey::kDeleteRecords, kRun<&HandleDeleteRecords>},
    {ApiKey::kInitProducerId, kRun<&HandleInitProducerId>},
    {ApiKey::kOffsetForLeaderEpoch, kRun<&HandleOffsetForLeaderEpoch>},
    {ApiKey::kDescribeConfigs, kRun<&HandleDescribeConfigs>},
    {ApiKey::kAlterConfigs, kRun<&HandleAlterConfigs>},
    {ApiKey::kDescribeLogDirs, kRun<&HandleDescribeLogDirs>},
    {ApiKey::kCreatePartitions, kRun<&HandleCreatePartitions>},
    {ApiKey::kDeleteGroups, kRun<&HandleDeleteGroups>},
    {ApiKey::kIncrementalAlterConfigs, kRun<&HandleIncrementalAlterConfigs>},
    {ApiKey::kOffsetDelete, kRun<&HandleOffsetDelete>},
    {ApiKey::kDescribeCluster, kRun<&HandleDescribeCluster>},
    {ApiKey::kConsumerGroupHeartbeat, kRun<&HandleConsumerGroupHeartbeat>},
    {ApiKey::kConsumerGroupDescribe, kRun<&HandleConsumerGroupDescribe>},
    {ApiKey::kDescribeTopicPartitions, kRun<&HandleDescribeTopicPartitions>},
});

constexpr bool HasHandlerForEveryApi() {
  if (kHandlers.size() != kApis.size()) return false;
  for (std::size_t i = 0; i < kApis.size(); ++i) {
    if (kHandlers[i].key != kApis[i].key) return false;
  }
  return true;
}
static_assert(HasHandlerForEveryApi(), "kHandlers follows kApis, line by line");

}  // namespace

Handler HandlerOf(const Api& api) {
  return kHandlers[static_cast<std::size_t>(&api - kApis.data())].handler;
}

}  // namespace headrace::kafka
