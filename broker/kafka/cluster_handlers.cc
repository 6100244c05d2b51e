// What clients ask about the broker itself: ApiVersions, DescribeCluster, FindCoordinator, DescribeLogDirs,
// InitProducerId.
#include <sys/statvfs.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "broker/kafka/address.h"
#include "broker/kafka/handlers.h"
#include "protocol/core/error_code.h"

namespace headrace::kafka {
namespace {

constexpr std::int8_t kGroupKey = 0;
constexpr std::int8_t kTransactionKey = 1;

// librdkafka repeats any other answer until its timeout, without a word to its user.
absl::Status NoTransactions(std::string_view id) {
  return MakeError(
      ErrorCode::kTransactionalIdAuthorizationFailed,
      absl::StrCat("transactional id \"", std::string(id),
                   "\": this broker has no transactions yet; produce without a transactional.id"));
}

// KIP-511: letters, digits, '-' and '.', beginning and ending with a letter or digit.
bool IsSoftwareName(std::string_view name) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && alphanumeric(name.front()) && alphanumeric(name.back()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return alphanumeric(c) || c == '-' || c == '.'; });
}

FindCoordinatorResponse::Coordinator Coordinator(const Request& request, std::int8_t type,
                                                 const std::string& key) {
  FindCoordinatorResponse::Coordinator found;
  found.key = key;
  absl::Status status;
  if (type == kTransactionKey) status = NoTransactions(key);
  if (type == kGroupKey && key.empty())
    status = MakeError(ErrorCode::kInvalidGroupId, "the group id is empty");
  if (type != kGroupKey && type != kTransactionKey) {
    status = MakeError(ErrorCode::kInvalidRequest, absl::StrCat("key type ", type, " is unknown"));
  }
  found.error = WireCode(status);
  found.error_message = WireMessage(status);
  if (!status.ok()) return found;
  const Address address = AdvertisedAddress(request);
  found.node_id = request.services->broker_id;
  found.host = address.host;
  found.port = address.port;
  return found;
}

}  // namespace

void HandleApiVersions(const Request& request, ApiVersionsRequest message) {
  ApiVersionsResponse response;
  if (request.version >= 3 &&
      (!IsSoftwareName(message.software_name) || !IsSoftwareName(message.software_version))) {
    response.error = ErrorCode::kInvalidRequest;
    return Answer(request, response);
  }
  for (const Api& api : kApis) {
    response.apis.push_back({static_cast<std::int16_t>(api.key), api.version_min, api.version_max});
  }
  Answer(request, response);
}

void AnswerApiVersionsDowngrade(const Request& request) {
  const Api& api = *FindApi(ApiKey::kApiVersions);
  ApiVersionsResponse response;
  response.error = ErrorCode::kUnsupportedVersion;
  response.apis.push_back({static_cast<std::int16_t>(api.key), api.version_min, api.version_max});
  Request version_zero = request;
  version_zero.api = &api;
  version_zero.version = 0;
  Answer(version_zero, response);
}

void HandleDescribeCluster(const Request& request, DescribeClusterRequest message) {
  DescribeClusterResponse response;
  const Services& services = *request.services;
  response.cluster_id = services.cluster_id;
  response.endpoint_type = message.endpoint_type;
  if (message.endpoint_type != 1) {
    response.error = ErrorCode::kInvalidRequest;
    response.error_message =
        absl::StrCat("endpoint type ", message.endpoint_type, " is not served; 1 (brokers) is");
    return Answer(request, response);
  }
  const Address address = AdvertisedAddress(request);
  response.controller_id = services.broker_id;
  response.brokers.push_back({services.broker_id, address.host, address.port, std::nullopt, false});
  Answer(request, response);
}

void HandleFindCoordinator(const Request& request, FindCoordinatorRequest message) {
  FindCoordinatorResponse response;
  if (request.version <= 3) {
    response.coordinator = Coordinator(request, message.key_type, message.key);
  } else {
    for (const std::string& key : message.keys) {
      response.coordinators.push_back(Coordinator(request, message.key_type, key));
    }
  }
  Answer(request, response);
}

void HandleDescribeLogDirs(const Request& request, DescribeLogDirsRequest message) {
  RunBlocking(request, [request, message = std::move(message)] {
    DescribeLogDirsResponse response;
    DescribeLogDirsResponse::Directory& directory = response.directories.emplace_back();
    directory.path = request.services->data_path;
    struct statvfs disk{};
    if (::statvfs(directory.path.c_str(), &disk) == 0) {
      directory.total_bytes = static_cast<std::int64_t>(disk.f_blocks * disk.f_frsize);
      directory.usable_bytes = static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize);
    }
    for (const topic::TopicPtr& topic : request.services->topics->All()) {
      const auto asked = [&](PartitionId index) {
        if (!message.topics) return true;
        return std::any_of(message.topics->begin(), message.topics->end(), [&](const auto& entry) {
          return entry.name == topic->name &&
                 std::find(entry.partitions.begin(), entry.partitions.end(), index) != entry.partitions.end();
        });
      };
      DescribeLogDirsResponse::Topic described;
      described.name = topic->name;
      for (std::size_t i = 0; i < topic->partitions.size(); ++i) {
        const auto index = static_cast<PartitionId>(i);
        const auto size = static_cast<std::int64_t>(topic->partitions[i]->log().size());
        if (asked(index)) described.partitions.push_back({index, size, 0, false});
      }
      if (!described.partitions.empty()) directory.topics.push_back(std::move(described));
    }
    return response;
  });
}

void HandleInitProducerId(const Request& request, InitProducerIdRequest message) {
  if (message.transactional_id) {
    InitProducerIdResponse response;
    response.error = WireCode(NoTransactions(*message.transactional_id));
    return Answer(request, response);
  }
  // A former identity is not looked at, as in Kafka: without transactions nobody needs its epoch.
  RunBlocking(request, [request] {
    const auto identity = request.services->producer_ids->Next({});
    InitProducerIdResponse response;
    response.error = WireCode(identity.status());
    if (!identity.ok()) return response;
    response.producer_id = identity->id;
    response.producer_epoch = identity->epoch;
    return response;
  });
}

}  // namespace headrace::kafka
