// OffsetCommit, OffsetFetch, OffsetDelete: where groups stand.
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "broker/group/coordinator.h"
#include "broker/group/group_view.h"
#include "broker/group/offset_store.h"
#include "broker/kafka/handlers.h"
#include "protocol/core/error_code.h"

namespace headrace::kafka {
namespace {

constexpr std::int16_t kIdsSince = 10;    // of OffsetCommit and OffsetFetch
constexpr std::int16_t kGroupsSince = 8;  // of OffsetFetch

template <typename Entry>
topic::TopicPtr FindTopic(const Services& services, const Entry& entry) {
  return entry.id.IsNone() ? services.topics->Find(entry.name) : services.topics->Find(entry.id);
}

ErrorCode MissingCode(std::int16_t version) {
  return version >= kIdsSince ? ErrorCode::kUnknownTopicId : ErrorCode::kUnknownTopicOrPartition;
}

bool Has(const topic::Topic& topic, PartitionId index) {
  return index >= 0 && static_cast<std::size_t>(index) < topic.partitions.size();
}

ErrorCode CheckCommitted(const topic::TopicPtr& topic, const OffsetCommitRequest::Partition& asked,
                         std::int16_t version) {
  if (topic == nullptr) return MissingCode(version);
  if (!Has(*topic, asked.index)) return ErrorCode::kUnknownTopicOrPartition;
  if (asked.metadata.value_or("").size() > group::OffsetStore::kMetadataSizeMax) {
    return ErrorCode::kOffsetMetadataTooLarge;
  }
  return ErrorCode::kNone;
}

// The response with an entry for each partition, and what of it is to be kept.
struct Commit {
  OffsetCommitResponse response;
  std::vector<group::OffsetCommit> offsets;
};

Commit Prepare(const Request& request, const OffsetCommitRequest& message) {
  Commit commit;
  for (const OffsetCommitRequest::Topic& asked : message.topics) {
    OffsetCommitResponse::Topic& answered = commit.response.topics.emplace_back();
    answered.name = asked.name;
    answered.id = asked.id;
    const topic::TopicPtr topic = FindTopic(*request.services, asked);
    for (const OffsetCommitRequest::Partition& partition : asked.partitions) {
      const ErrorCode error = CheckCommitted(topic, partition, request.version);
      answered.partitions.push_back({partition.index, error});
      if (error != ErrorCode::kNone) continue;
      group::OffsetCommit& kept = commit.offsets.emplace_back();
      kept.partition = {topic->id, partition.index};
      kept.offset = partition.offset;
      kept.leader_epoch = partition.leader_epoch;
      kept.metadata = partition.metadata.value_or("");
    }
  }
  return commit;
}

void Fail(OffsetCommitResponse& response, ErrorCode error) {
  for (OffsetCommitResponse::Topic& topic : response.topics) {
    for (OffsetCommitResponse::Partition& partition : topic.partitions) {
      if (partition.error == ErrorCode::kNone) partition.error = error;
    }
  }
}

OffsetFetchResponse::Partition Fetched(PartitionId index,
                                       const std::optional<group::CommittedOffset>& committed) {
  OffsetFetchResponse::Partition entry;
  entry.index = index;
  entry.metadata = "";
  if (!committed) return entry;
  entry.offset = committed->offset;
  entry.leader_epoch = committed->leader_epoch;
  entry.metadata = committed->metadata;
  return entry;
}

// Everything the group has committed, of topics that still exist.
std::vector<OffsetFetchResponse::Topic> FetchAll(const Services& services, const std::string& group_id) {
  std::map<std::string, OffsetFetchResponse::Topic> topics;
  for (const auto& [partition, committed] : services.offsets->All(group_id)) {
    const topic::TopicPtr topic = services.topics->Find(partition.topic);
    if (topic == nullptr) continue;
    OffsetFetchResponse::Topic& answered = topics[topic->name];
    answered.name = topic->name;
    answered.id = topic->id;
    answered.partitions.push_back(Fetched(partition.partition, committed));
  }
  std::vector<OffsetFetchResponse::Topic> all;
  for (auto& [name, topic] : topics) all.push_back(std::move(topic));
  return all;
}

OffsetFetchResponse::Group FetchGroup(const Request& request, const OffsetFetchRequest::Group& asked) {
  const Services& services = *request.services;
  OffsetFetchResponse::Group answered;
  answered.group_id = asked.group_id;
  if (asked.member_id && asked.member_epoch >= 0) {
    answered.error = services.groups->CheckFetch({asked.group_id, *asked.member_id, {}, asked.member_epoch});
    if (answered.error != ErrorCode::kNone) return answered;
  }
  if (!asked.topics) {
    answered.topics = FetchAll(services, asked.group_id);
    return answered;
  }
  for (const OffsetFetchRequest::Topic& topic : *asked.topics) {
    OffsetFetchResponse::Topic& entry = answered.topics.emplace_back();
    entry.name = topic.name;
    entry.id = topic.id;
    const topic::TopicPtr found = FindTopic(services, topic);
    for (const PartitionId index : topic.partitions) {
      if (found == nullptr) {
        entry.partitions.push_back(Fetched(index, std::nullopt));
        if (request.version >= kIdsSince) entry.partitions.back().error = ErrorCode::kUnknownTopicId;
      } else {
        entry.partitions.push_back(
            Fetched(index, services.offsets->Find(asked.group_id, {found->id, index})));
      }
    }
  }
  return answered;
}

}  // namespace

void HandleOffsetCommit(const Request& request, OffsetCommitRequest message) {
  const Services& services = *request.services;
  Commit commit = Prepare(request, message);
  const auto response = std::make_shared<OffsetCommitResponse>(std::move(commit.response));
  // Even a commit of nothing is asked whether it may.
  const ErrorCode refused = services.groups->Commit(
      {message.group_id, message.member_id, message.instance_id, message.generation_or_epoch}, [&] {
        services.offsets->Commit(message.group_id, std::move(commit.offsets),
                                 [request, response](const absl::Status& status) {
                                   if (!status.ok()) Fail(*response, WireCode(status));
                                   PostAnswer(request, std::move(*response));
                                 });
      });
  if (refused == ErrorCode::kNone) return;
  Fail(*response, refused);
  Answer(request, *response);
}

void HandleOffsetFetch(const Request& request, OffsetFetchRequest message) {
  OffsetFetchResponse response;
  if (request.version < kGroupsSince) {
    response.group = FetchGroup(request, message.group);
  } else {
    for (const OffsetFetchRequest::Group& asked : message.groups) {
      response.groups.push_back(FetchGroup(request, asked));
    }
  }
  Answer(request, response);
}

void HandleOffsetDelete(const Request& request, OffsetDeleteRequest message) {
  const Services& services = *request.services;
  OffsetDeleteResponse response;
  const std::optional<group::GroupDescription> group = services.groups->Describe(message.group_id);
  if (!group && !services.offsets->Has(message.group_id)) response.error = ErrorCode::kGroupIdNotFound;
  if (group && !group->members.empty() && group->protocol_type != "consumer") {
    response.error = ErrorCode::kNonEmptyGroup;
  }
  if (response.error != ErrorCode::kNone) return Answer(request, response);
  std::set<TopicId> read;
  if (group) read = group::TopicsRead(*group, *services.topics);
  std::vector<TopicPartition> deleted;
  for (const OffsetDeleteRequest::Topic& asked : message.topics) {
    OffsetDeleteResponse::Topic& answered = response.topics.emplace_back();
    answered.name = asked.name;
    const topic::TopicPtr topic = services.topics->Find(asked.name);
    for (const OffsetDeleteRequest::Partition& partition : asked.partitions) {
      ErrorCode error = ErrorCode::kNone;
      if (topic == nullptr || !Has(*topic, partition.index)) error = ErrorCode::kUnknownTopicOrPartition;
      if (error == ErrorCode::kNone && read.contains(topic->id)) error = ErrorCode::kGroupSubscribedToTopic;
      if (error == ErrorCode::kNone) deleted.push_back({topic->id, partition.index});
      answered.partitions.push_back({partition.index, error});
    }
  }
  if (deleted.empty()) return Answer(request, response);
  services.offsets->Delete(message.group_id, deleted,
                           [request, response = std::move(response)](const absl::Status& status) mutable {
                             if (!status.ok()) response.error = WireCode(status);
                             PostAnswer(request, std::move(response));
                           });
}

}  // namespace headrace::kafka
