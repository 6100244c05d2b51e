// Metadata, which creates topics for producers if that is allowed, and DescribeTopicPartitions.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "broker/kafka/address.h"
#include "broker/kafka/handlers.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::kafka {
namespace {

constexpr std::int32_t kPagePartitionsMax = 2000;

bool IsInternal(const std::string& name) {
  return name.starts_with("__");
}

MetadataResponse::Topic Described(const Services& services, const topic::Topic& topic) {
  MetadataResponse::Topic described;
  described.name = topic.name;
  described.id = topic.id;
  described.is_internal = IsInternal(topic.name);
  for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
    MetadataResponse::Partition& partition = described.partitions.emplace_back();
    partition.index = static_cast<PartitionId>(i);
    partition.leader_id = services.broker_id;
    partition.leader_epoch = topic.partitions[i]->leader_epoch();
    partition.replica_nodes = {services.broker_id};
    partition.isr_nodes = {services.broker_id};
  }
  return described;
}

MetadataResponse::Topic Missing(const MetadataRequest::Topic& asked, ErrorCode error) {
  MetadataResponse::Topic described;
  described.error = error;
  described.name = asked.name;
  described.id = asked.id;
  return described;
}

// The error for a topic that is not there: what is wrong with its name, if anything is.
ErrorCode MissingCode(const MetadataRequest::Topic& asked) {
  if (!asked.id.IsNone()) return ErrorCode::kUnknownTopicId;
  const absl::Status name = topic::CheckTopicName(asked.name.value_or(""), true);
  return name.ok() ? ErrorCode::kUnknownTopicOrPartition : CodeOf(name);
}

topic::TopicPtr Find(const Services& services, const MetadataRequest::Topic& asked) {
  return asked.id.IsNone() ? services.topics->Find(asked.name.value_or("")) : services.topics->Find(asked.id);
}

MetadataResponse::Topic FindOrCreate(const Services& services, const MetadataRequest::Topic& asked) {
  if (const topic::TopicPtr topic = Find(services, asked)) return Described(services, *topic);
  if (!asked.id.IsNone() || !asked.name) return Missing(asked, MissingCode(asked));
  topic::CreateTopicOptions options;
  options.name = *asked.name;
  options.partitions = services.partitions_default;
  options.if_not_exists = true;
  const auto created = services.topics->Create(options);
  return created.ok() ? Described(services, **created) : Missing(asked, WireCode(created.status()));
}

bool AsksForAll(const Request& request, const MetadataRequest& message) {
  return !message.topics || (request.version == 0 && message.topics->empty());
}

MetadataResponse AboutBroker(const Request& request) {
  const Services& services = *request.services;
  const Address address = AdvertisedAddress(request);
  MetadataResponse response;
  response.brokers.push_back({services.broker_id, address.host, address.port, std::nullopt});
  response.cluster_id = services.cluster_id;
  response.controller_id = services.broker_id;
  return response;
}

}  // namespace

void HandleMetadata(const Request& request, MetadataRequest message) {
  const Services& services = *request.services;
  MetadataResponse response = AboutBroker(request);
  if (AsksForAll(request, message)) {
    for (const topic::TopicPtr& topic : services.topics->All()) {
      response.topics.push_back(Described(services, *topic));
    }
    return Answer(request, response);
  }
  const auto missing = [&](const MetadataRequest::Topic& asked) { return Find(services, asked) == nullptr; };
  const bool creates = services.auto_create_topics && message.allow_auto_topic_creation &&
                       std::any_of(message.topics->begin(), message.topics->end(), missing);
  if (creates) {
    return RunBlocking(request,
                       [request, message = std::move(message), response = std::move(response)]() mutable {
                         for (const MetadataRequest::Topic& asked : *message.topics) {
                           response.topics.push_back(FindOrCreate(*request.services, asked));
                         }
                         return std::move(response);
                       });
  }
  for (const MetadataRequest::Topic& asked : *message.topics) {
    const topic::TopicPtr topic = Find(services, asked);
    response.topics.push_back(topic ? Described(services, *topic) : Missing(asked, MissingCode(asked)));
  }
  Answer(request, response);
}

void HandleDescribeTopicPartitions(const Request& request, DescribeTopicPartitionsRequest message) {
  const Services& services = *request.services;
  std::vector<std::string> names;
  for (const auto& topic : message.topics) names.push_back(topic.name);
  if (names.empty()) {
    for (const topic::TopicPtr& topic : services.topics->All()) names.push_back(topic->name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::int32_t room = std::clamp(message.partitions_max, 1, kPagePartitionsMax);
  DescribeTopicPartitionsResponse response;
  for (const std::string& name : names) {
    const bool resumes = message.cursor && name == message.cursor->topic;
    if (message.cursor && name < message.cursor->topic) continue;
    if (room == 0) {
      response.next_cursor = TopicPartitionCursor{name, 0};
      break;
    }
    DescribeTopicPartitionsResponse::Topic& described = response.topics.emplace_back();
    described.name = name;
    const topic::TopicPtr topic = services.topics->Find(name);
    if (topic == nullptr) {
      described.error = MissingCode({{}, name});
      continue;
    }
    described.id = topic->id;
    described.is_internal = IsInternal(name);
    const PartitionId begin = resumes ? std::max(0, message.cursor->partition) : 0;
    const auto end = static_cast<PartitionId>(topic->partitions.size());
    for (PartitionId i = begin; i < end && room > 0; ++i, --room) {
      auto& partition = described.partitions.emplace_back();
      partition.index = i;
      partition.leader_id = services.broker_id;
      partition.leader_epoch = topic->partitions[static_cast<std::size_t>(i)]->leader_epoch();
      partition.replica_nodes = {services.broker_id};
      partition.isr_nodes = {services.broker_id};
    }
    const auto described_to = begin + static_cast<PartitionId>(described.partitions.size());
    if (described_to < end) {
      response.next_cursor = TopicPartitionCursor{name, described_to};
      break;
    }
  }
  Answer(request, response);
}

}  // namespace headrace::kafka
