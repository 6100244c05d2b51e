// CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords. All change what is on disk, so all run on the
// file pool.
#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "broker/kafka/config_source.h"
#include "broker/kafka/handlers.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::kafka {
namespace {

constexpr Offset kHighWatermark = -1;  // as the offset of DeleteRecords

absl::Status CheckReplication(std::int16_t factor) {
  if (factor == 1 || factor == -1) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidReplicationFactor,
                   absl::StrCat("replication factor ", factor, "; there is one broker, so it is 1"));
}

// Partitions that the request places itself: 0, 1, 2, ... without a gap, all on this broker.
absl::Status CheckAssignments(const Services& services, const CreateTopicsRequest::Topic& asked) {
  if (asked.partitions != -1 || asked.replication_factor != -1) {
    return MakeError(ErrorCode::kInvalidRequest,
                     "a topic states its assignments, or partitions and replication factor, not both");
  }
  std::set<PartitionId> indexes;
  for (const CreateTopicsRequest::Assignment& assignment : asked.assignments) {
    if (assignment.broker_ids != std::vector{services.broker_id}) {
      return MakeError(ErrorCode::kInvalidReplicaAssignment,
                       absl::StrCat("partition ", assignment.index, " must be on broker ", services.broker_id,
                                    " alone, which is the only one"));
    }
    indexes.insert(assignment.index);
  }
  const auto count = static_cast<PartitionId>(asked.assignments.size());
  if (indexes.size() == asked.assignments.size() && *indexes.begin() == 0 && *indexes.rbegin() == count - 1) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kInvalidReplicaAssignment,
                   "assigned partitions must be 0, 1, 2, ... once each");
}

absl::StatusOr<topic::CreateTopicOptions> Options(const Services& services,
                                                  const CreateTopicsRequest::Topic& asked) {
  topic::CreateTopicOptions options;
  options.name = asked.name;
  options.partitions = services.partitions_default;
  if (!asked.assignments.empty()) {
    RETURN_IF_ERROR(CheckAssignments(services, asked));
    options.partitions = static_cast<std::uint32_t>(asked.assignments.size());
  } else {
    RETURN_IF_ERROR(CheckReplication(asked.replication_factor));
    if (asked.partitions != -1 && asked.partitions < 1) {
      return MakeError(ErrorCode::kInvalidPartitions,
                       absl::StrCat(asked.partitions, " partitions; at least 1"));
    }
    if (asked.partitions > 0) options.partitions = static_cast<std::uint32_t>(asked.partitions);
  }
  for (const CreateTopicsRequest::Config& config : asked.configs) {
    if (!config.value) {
      return MakeError(ErrorCode::kInvalidConfig,
                       absl::StrCat("configuration ", config.name, " has no value"));
    }
    options.configs.emplace_back(config.name, *config.value);
  }
  return options;
}

void Describe(const Services& services, const topic::Topic& topic, CreateTopicsResponse::Topic& entry) {
  entry.id = topic.id;
  entry.partitions = static_cast<std::int32_t>(topic.partitions.size());
  entry.replication_factor = 1;
  auto& configs = entry.configs.emplace();
  for (const topic::ConfigEntry& config : topic.config.Entries()) {
    const auto synonyms = topic.config.Synonyms(config.key, services.topics->defaults());
    configs.push_back({config.key, config.value, false, SourceOf(synonyms), false});
  }
}

absl::StatusOr<topic::TopicPtr> Create(const Services& services, const CreateTopicsRequest::Topic& asked,
                                       bool validate_only) {
  ASSIGN_OR_RETURN(topic::CreateTopicOptions options, Options(services, asked));
  options.validate_only = validate_only;
  ASSIGN_OR_RETURN(topic::TopicPtr topic, services.topics->Create(options));
  if (!validate_only) LogWithoutEffect(services, topic->name, options.configs);
  return topic;
}

CreateTopicsResponse::Topic CreateOne(const Services& services, const CreateTopicsRequest::Topic& asked,
                                      bool validate_only) {
  CreateTopicsResponse::Topic entry;
  entry.name = asked.name;
  const absl::StatusOr<topic::TopicPtr> created = Create(services, asked, validate_only);
  entry.error = WireCode(created.status());
  entry.error_message = WireMessage(created.status());
  if (created.ok()) Describe(services, **created, entry);
  return entry;
}

template <typename Topic>
std::map<std::string, int> CountNames(const std::vector<Topic>& topics) {
  std::map<std::string, int> counts;
  for (const Topic& topic : topics) ++counts[topic.name];
  return counts;
}

absl::Status Twice(const std::string& name) {
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("topic \"", name, "\" is named twice in the request"));
}

DeleteTopicsResponse::Topic DeleteOne(const Services& services, const DeleteTopicsRequest::Topic& asked) {
  DeleteTopicsResponse::Topic entry;
  entry.name = asked.name;
  entry.id = asked.id;
  absl::Status status;
  const topic::TopicPtr topic =
      asked.name ? services.topics->Find(*asked.name) : services.topics->Find(asked.id);
  if (topic == nullptr && asked.name) status = services.topics->UnknownTopic(*asked.name);
  if (topic == nullptr && !asked.name) {
    status = MakeError(ErrorCode::kUnknownTopicId,
                       absl::StrCat("there is no topic with id ", asked.id.ToString()));
  }
  if (topic != nullptr) {
    entry.name = topic->name;
    entry.id = topic->id;
    status = topic->name.starts_with("__")
                 ? MakeError(ErrorCode::kInvalidRequest, absl::StrCat(topic->name, " is the broker's own"))
                 : services.topics->Delete(topic->id);
  }
  entry.error = WireCode(status);
  entry.error_message = WireMessage(status);
  return entry;
}

absl::Status CreatePartitionsOf(const Services& services, const CreatePartitionsRequest::Topic& asked,
                                bool validate_only) {
  const topic::TopicPtr topic = services.topics->Find(asked.name);
  if (topic == nullptr) return services.topics->UnknownTopic(asked.name);
  const auto present = static_cast<std::int32_t>(topic->partitions.size());
  if (asked.count <= present) {
    return MakeError(ErrorCode::kInvalidPartitions,
                     absl::StrCat("topic \"", asked.name, "\" has ", present, " partitions already; ",
                                  asked.count, " would not be more"));
  }
  if (asked.assignments && asked.assignments->size() != static_cast<std::size_t>(asked.count - present)) {
    return MakeError(ErrorCode::kInvalidReplicaAssignment,
                     absl::StrCat(asked.count - present, " partitions are new, and ",
                                  asked.assignments->size(), " are assigned"));
  }
  for (const auto& assignment :
       asked.assignments.value_or(std::vector<CreatePartitionsRequest::Assignment>())) {
    if (assignment.broker_ids == std::vector{services.broker_id}) continue;
    return MakeError(ErrorCode::kInvalidReplicaAssignment,
                     absl::StrCat("a partition must be on broker ", services.broker_id, " alone"));
  }
  topic::AlterTopicOptions options;
  options.partitions = static_cast<std::uint32_t>(asked.count);
  options.validate_only = validate_only;
  return services.topics->Alter(topic->id, options).status();
}

// The new start of the partition.
absl::StatusOr<Offset> DeleteRecordsOf(const Services& services, const std::string& name,
                                       const DeleteRecordsRequest::Partition& asked) {
  ASSIGN_OR_RETURN(const auto partition, services.topics->FindPartition({}, name, asked.index));
  if (name.starts_with("__")) {
    return MakeError(ErrorCode::kInvalidTopic, absl::StrCat(name, " is the broker's own"));
  }
  const topic::TopicPtr topic = services.topics->Find(name);
  if (topic != nullptr) RETURN_IF_ERROR(topic->config.CheckTrim());
  const Offset end = partition->offsets().high_watermark;
  const Offset start = asked.offset == kHighWatermark ? end : asked.offset;
  if (start < 0 || start > end) {
    return MakeError(ErrorCode::kOffsetOutOfRange, absl::StrCat(partition->name(), ": offset ", start));
  }
  RETURN_IF_ERROR(partition->Trim(start));
  return partition->offsets().start;
}

}  // namespace

void HandleCreateTopics(const Request& request, CreateTopicsRequest message) {
  RunBlocking(request, [request, message = std::move(message)] {
    CreateTopicsResponse response;
    const auto counts = CountNames(message.topics);
    for (const auto& [name, count] : counts) {
      if (count == 1) continue;
      CreateTopicsResponse::Topic& entry = response.topics.emplace_back();
      entry.name = name;
      entry.error = WireCode(Twice(name));
      entry.error_message = WireMessage(Twice(name));
    }
    for (const CreateTopicsRequest::Topic& asked : message.topics) {
      if (counts.at(asked.name) > 1) continue;
      response.topics.push_back(CreateOne(*request.services, asked, message.validate_only));
    }
    return response;
  });
}

void HandleDeleteTopics(const Request& request, DeleteTopicsRequest message) {
  RunBlocking(request, [request, message = std::move(message)]() mutable {
    for (std::string& name : message.names) message.topics.push_back({std::move(name), {}});
    DeleteTopicsResponse response;
    for (const DeleteTopicsRequest::Topic& asked : message.topics) {
      response.topics.push_back(DeleteOne(*request.services, asked));
    }
    return response;
  });
}

void HandleCreatePartitions(const Request& request, CreatePartitionsRequest message) {
  RunBlocking(request, [request, message = std::move(message)] {
    CreatePartitionsResponse response;
    const auto counts = CountNames(message.topics);
    for (const CreatePartitionsRequest::Topic& asked : message.topics) {
      const absl::Status status = counts.at(asked.name) > 1
                                      ? Twice(asked.name)
                                      : CreatePartitionsOf(*request.services, asked, message.validate_only);
      response.topics.push_back({asked.name, WireCode(status), WireMessage(status)});
    }
    return response;
  });
}

void HandleDeleteRecords(const Request& request, DeleteRecordsRequest message) {
  RunBlocking(request, [request, message = std::move(message)] {
    DeleteRecordsResponse response;
    for (const DeleteRecordsRequest::Topic& topic : message.topics) {
      DeleteRecordsResponse::Topic& answered = response.topics.emplace_back();
      answered.name = topic.name;
      for (const DeleteRecordsRequest::Partition& asked : topic.partitions) {
        DeleteRecordsResponse::Partition& entry = answered.partitions.emplace_back();
        const absl::StatusOr<Offset> start = DeleteRecordsOf(*request.services, topic.name, asked);
        entry.index = asked.index;
        entry.error = WireCode(start.status());
        if (start.ok()) entry.low_watermark = *start;
      }
    }
    return response;
  });
}

}  // namespace headrace::kafka
