// Looking offsets up, and keeping positions for named consumers.
#include "absl/strings/str_cat.h"
#include "broker/native/request.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::native {
namespace {

using Answered = absl::StatusOr<std::unique_ptr<google::protobuf::MessageLite>>;

absl::Status ListOne(Services& services, const ListOffsetsRequest::Partition& entry,
                     ListOffsetsResponse::Partition* answer) {
  answer->set_offset(-1);
  answer->set_timestamp_ms(-1);
  ASSIGN_OR_RETURN(const auto partition,
                   FindPartition(services, entry.topic_id(), entry.topic(), entry.partition()));
  RETURN_IF_ERROR(partition->readable_status());
  const storage::LogOffsets offsets = partition->offsets();
  switch (entry.kind()) {
    case ListOffsetsRequest::START:
      answer->set_offset(offsets.start);
      return absl::OkStatus();
    case ListOffsetsRequest::END:
      answer->set_offset(offsets.high_watermark);
      return absl::OkStatus();
    case ListOffsetsRequest::TIMESTAMP: {
      ASSIGN_OR_RETURN(const auto hit, partition->log().FindTimestamp(entry.timestamp_ms(),
                                                                      services.limits.decompressed_size_max));
      if (!hit) return absl::OkStatus();
      answer->set_offset(hit->offset);
      answer->set_timestamp_ms(hit->timestamp);
      return absl::OkStatus();
    }
    default:
      return MakeError(
          ErrorCode::kInvalidRequest,
          absl::StrCat("offset kind ", static_cast<int>(entry.kind()), " is unknown; 0 to 2 are known"));
  }
}

Answered ListOffsets(Services& services, const ListOffsetsRequest& message) {
  auto response = std::make_unique<ListOffsetsResponse>();
  for (const auto& entry : message.partitions()) {
    ListOffsetsResponse::Partition* answer = response->add_partitions();
    const absl::Status status = ListOne(services, entry, answer);
    if (!status.ok()) FillError(status, answer->mutable_error());
  }
  return response;
}

absl::StatusOr<TopicPartition> Resolve(const Services& services, const std::string& id,
                                       const std::string& name, std::uint32_t partition) {
  RETURN_IF_ERROR(FindPartition(services, id, name, partition).status());
  ASSIGN_OR_RETURN(const topic::TopicPtr topic, FindTopic(services, id, name));
  return TopicPartition{topic->id, static_cast<PartitionId>(partition)};
}

absl::StatusOr<TopicPartition> ResolveCommit(const Services& services,
                                             const CommitOffsetRequest::Partition& entry) {
  ASSIGN_OR_RETURN(const auto partition,
                   FindPartition(services, entry.topic_id(), entry.topic(), entry.partition()));
  if (entry.offset() >= 0) return Resolve(services, entry.topic_id(), entry.topic(), entry.partition());
  return MakeError(ErrorCode::kInvalidRequest, absl::StrCat(partition->name(), ": offset ", entry.offset(),
                                                            " cannot be committed; it must be 0 or more"));
}

void FillCommitted(const Services& services, const TopicPartition& partition,
                   const std::optional<group::CommittedOffset>& committed,
                   FetchOffsetResponse::Partition* answer) {
  if (const topic::TopicPtr topic = services.topics->Find(partition.topic)) answer->set_topic(topic->name);
  answer->set_topic_id(partition.topic.bytes.data(), partition.topic.bytes.size());
  answer->set_partition(static_cast<std::uint32_t>(partition.partition));
  answer->set_offset(committed ? committed->offset : -1);
  if (!committed) return;
  answer->set_metadata(committed->metadata);
  answer->set_commit_time_ms(committed->commit_time);
}

}  // namespace

void HandleListOffsets(const Request& request) {
  RunBlocking<ListOffsetsRequest>(request, ListOffsets);
}

void HandleCommitOffset(const Request& request) {
  CommitOffsetRequest message;
  const absl::Status parsed = ParseRequest(request, message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  auto response = std::make_shared<CommitOffsetResponse>();
  std::vector<group::OffsetCommit> commits;
  for (const auto& entry : message.partitions()) {
    const auto partition = ResolveCommit(*request.services, entry);
    FillError(partition.status(), response->add_errors());
    if (partition.ok()) commits.push_back({*partition, entry.offset(), kNoLeaderEpoch, entry.metadata()});
  }
  const auto store = [&] {
    request.services->offsets->Commit(
        message.consumer(), std::move(commits), [request, response](const absl::Status& status) {
          if (!status.ok()) {
            for (Error& error : *response->mutable_errors()) {
              if (error.code() == 0) FillError(status, &error);
            }
          }
          request.channel->Post([request, response] { Answer(request, *response); });
        });
  };
  const absl::Status sender = CommitAs(*request.services, message, store);
  if (!sender.ok()) AnswerError(request, sender);
}

void HandleFetchOffset(const Request& request) {
  FetchOffsetRequest message;
  const absl::Status parsed = ParseRequest(request, message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  const Services& services = *request.services;
  FetchOffsetResponse response;
  for (const auto& entry : message.partitions()) {
    FetchOffsetResponse::Partition* answer = response.add_partitions();
    const auto partition = Resolve(services, entry.topic_id(), entry.topic(), entry.partition());
    if (!partition.ok()) {
      answer->set_offset(-1);
      FillError(partition.status(), answer->mutable_error());
      continue;
    }
    FillCommitted(services, *partition, services.offsets->Find(message.consumer(), *partition), answer);
  }
  if (message.partitions().empty()) {
    for (const auto& [partition, committed] : services.offsets->All(message.consumer())) {
      if (services.topics->Find(partition.topic) == nullptr) continue;  // positions of a topic that is gone
      FillCommitted(services, partition, committed, response.add_partitions());
    }
  }
  Answer(request, response);
}

}  // namespace headrace::native
