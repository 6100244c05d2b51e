// Creating, deleting, altering, describing and trimming topics.
#include "absl/strings/str_cat.h"
#include "broker/native/request.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::native {
namespace {

using Answered = absl::StatusOr<std::unique_ptr<google::protobuf::MessageLite>>;

void FillPartition(std::uint32_t number, const topic::Partition& partition,
                   PartitionDescription* description) {
  const storage::LogOffsets offsets = partition.offsets();
  description->set_partition(number);
  description->set_start_offset(offsets.start);
  description->set_high_watermark(offsets.high_watermark);
  description->set_end_offset(offsets.end);
  description->set_size(partition.log().size());
  description->set_segments(partition.log().segment_count());
  description->set_leader_epoch(partition.leader_epoch());
  const absl::Status status = partition.status();
  if (!status.ok()) FillError(status, description->mutable_error());
}

void FillTopic(const topic::Topic& topic, bool with_partitions, TopicDescription* description) {
  description->set_topic(topic.name);
  description->set_topic_id(topic.id.bytes.data(), topic.id.bytes.size());
  description->set_partition_count(static_cast<std::uint32_t>(topic.partitions.size()));
  for (const topic::ConfigEntry& entry : topic.config.Entries()) {
    TopicConfig* config = description->add_configs();
    config->set_key(entry.key);
    config->set_value(entry.value);
    config->set_is_default(entry.is_default);
    config->set_no_effect(!entry.has_effect);
  }
  if (!with_partitions) return;
  for (std::uint32_t number = 0; number < topic.partitions.size(); ++number) {
    FillPartition(number, *topic.partitions[number], description->add_partitions());
  }
}

Answered DescribeOne(const absl::StatusOr<topic::TopicPtr>& topic) {
  RETURN_IF_ERROR(topic.status());
  auto response = std::make_unique<DescribeTopicsResponse>();
  FillTopic(**topic, true, response->add_topics());
  return response;
}

template <typename Configs>
std::vector<std::pair<std::string, std::string>> ConfigPairs(const Configs& configs) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const TopicConfig& config : configs) pairs.emplace_back(config.key(), config.value());
  return pairs;
}

Answered CreateTopic(Services& services, const CreateTopicRequest& message) {
  topic::CreateTopicOptions options;
  options.name = message.topic();
  options.partitions = message.partitions() == 0 ? services.limits.partitions_default : message.partitions();
  options.configs = ConfigPairs(message.configs());
  options.if_not_exists = message.if_not_exists();
  return DescribeOne(services.topics->Create(options));
}

// A topic that a client may change: internal ones are the broker's.
absl::StatusOr<topic::TopicPtr> FindOwnTopic(const Services& services, const std::string& id,
                                             const std::string& name) {
  ASSIGN_OR_RETURN(topic::TopicPtr topic, FindTopic(services, id, name));
  if (topic->name.starts_with("__")) {
    return MakeError(ErrorCode::kInvalidTopic,
                     absl::StrCat("topic \"", topic->name, "\" is the broker's own"));
  }
  return topic;
}

Answered DeleteTopic(Services& services, const DeleteTopicRequest& message) {
  ASSIGN_OR_RETURN(const topic::TopicPtr topic, FindOwnTopic(services, message.topic_id(), message.topic()));
  RETURN_IF_ERROR(services.topics->Delete(topic->id));
  return std::make_unique<EmptyResponse>();
}

Answered AlterTopic(Services& services, const AlterTopicRequest& message) {
  ASSIGN_OR_RETURN(const topic::TopicPtr topic, FindOwnTopic(services, message.topic_id(), message.topic()));
  topic::AlterTopicOptions options;
  options.configs = ConfigPairs(message.configs());
  options.partitions = message.partitions();
  return DescribeOne(services.topics->Alter(topic->id, options));
}

Answered TrimTopic(Services& services, const TrimTopicRequest& message) {
  ASSIGN_OR_RETURN(const topic::TopicPtr topic, FindOwnTopic(services, message.topic_id(), message.topic()));
  const absl::Status trims = topic->config.CheckTrim();
  if (!trims.ok()) return MakeError(CodeOf(trims), absl::StrCat(topic->name, ": ", trims.message()));
  ASSIGN_OR_RETURN(const auto partition,
                   services.topics->FindPartition(topic->id, topic->name, message.partition()));
  const storage::LogOffsets offsets = partition->offsets();
  const Offset wanted = message.offset() == -1 ? offsets.high_watermark : message.offset();
  if (wanted < 0 || wanted > offsets.high_watermark) {
    return MakeError(ErrorCode::kOffsetOutOfRange,
                     absl::StrCat(partition->name(), ": cannot trim to offset ", wanted, "; the log holds ",
                                  offsets.start, " to ", offsets.high_watermark));
  }
  RETURN_IF_ERROR(partition->Trim(wanted));
  auto response = std::make_unique<TrimTopicResponse>();
  response->set_start_offset(partition->offsets().start);
  return response;
}

// Fills a response until it has as many bytes as one may have; a topic costs more than its name does.
class Descriptions {
 public:
  explicit Descriptions(const DescribeTopicsRequest& message) : message_(message) {}

  bool full() const { return size_ > kFrameHeaderSizeMax / 2; }
  void Add(const topic::Topic& topic) {
    FillTopic(topic, message_.with_partitions(), response_.add_topics());
    Count();
  }
  void AddNamed(const Services& services, const std::string& id, const std::string& name) {
    const absl::StatusOr<topic::TopicPtr> topic = Find(services, id, name);
    if (topic.ok()) return Add(**topic);
    TopicDescription* description = response_.add_topics();
    description->set_topic(name);
    description->set_topic_id(id);
    FillError(topic.status(), description->mutable_error());
    Count();
  }
  DescribeTopicsResponse& response() { return response_; }

 private:
  // Advice costs a look at all topics: only for a request about one.
  absl::StatusOr<topic::TopicPtr> Find(const Services& services, const std::string& id,
                                       const std::string& name) const {
    if (message_.topics_size() > 1 && id.empty()) {
      RETURN_IF_ERROR(services.topics->FindPartition({}, name, 0).status());
    }
    return FindTopic(services, id, name);
  }
  void Count() { size_ += response_.topics(response_.topics_size() - 1).ByteSizeLong(); }

  const DescribeTopicsRequest& message_;
  DescribeTopicsResponse response_;
  std::size_t size_ = 0;
};

Answered DescribeNamed(Services& services, const DescribeTopicsRequest& message) {
  Descriptions descriptions(message);
  const auto add = [&](const std::string& id, const std::string& name) -> absl::Status {
    descriptions.AddNamed(services, id, name);
    if (!descriptions.full()) return absl::OkStatus();
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("the descriptions of ", descriptions.response().topics_size(), " of ",
                                  message.topics_size() + message.topic_ids_size(),
                                  " topics fill an answer; ask for fewer at a time"));
  };
  for (const std::string& name : message.topics()) RETURN_IF_ERROR(add("", name));
  for (const std::string& id : message.topic_ids()) RETURN_IF_ERROR(add(id, ""));
  return std::make_unique<DescribeTopicsResponse>(std::move(descriptions.response()));
}

Answered DescribeAll(Services& services, const DescribeTopicsRequest& message) {
  Descriptions descriptions(message);
  for (const topic::TopicPtr& topic : services.topics->All()) {
    if (topic->name <= message.after()) continue;
    if (topic->name.starts_with("__") && !message.with_internal()) continue;
    if (descriptions.full()) {
      descriptions.response().set_more(true);
      break;
    }
    descriptions.Add(*topic);
  }
  return std::make_unique<DescribeTopicsResponse>(std::move(descriptions.response()));
}

}  // namespace

void HandleCreateTopic(const Request& request) {
  RunBlocking<CreateTopicRequest>(request, CreateTopic);
}
void HandleDeleteTopic(const Request& request) {
  RunBlocking<DeleteTopicRequest>(request, DeleteTopic);
}
void HandleAlterTopic(const Request& request) {
  RunBlocking<AlterTopicRequest>(request, AlterTopic);
}
void HandleTrimTopic(const Request& request) {
  RunBlocking<TrimTopicRequest>(request, TrimTopic);
}

void HandleDescribeTopics(const Request& request) {
  DescribeTopicsRequest message;
  const absl::Status parsed = ParseRequest(request, message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  const bool all = message.topics().empty() && message.topic_ids().empty();
  const Answered answer = (all ? DescribeAll : DescribeNamed)(*request.services, message);
  if (!answer.ok()) return AnswerError(request, answer.status());
  Answer(request, **answer);
}

}  // namespace headrace::native
