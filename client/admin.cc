#include "headrace/admin.h"

#include <array>
#include <utility>

#include "client/admin_impl.h"
#include "client/admin_values.h"
#include "client/error.h"

namespace headrace {

Admin::Admin(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Admin::Admin(Admin&&) noexcept = default;
Admin& Admin::operator=(Admin&&) noexcept = default;
Admin::~Admin() = default;

Result<Admin> Admin::Connect(const ClientOptions& options) {
  Result<std::unique_ptr<Connection>> opened = Connection::Open(
      options, std::make_shared<BufferPool>(0), DeadlineAfter(options.connect_timeout), nullptr);
  if (!opened) return opened.error();
  return Admin(std::make_unique<Impl>(options, std::move(*opened)));
}

BrokerInfo Admin::broker() const {
  return impl_->broker();
}

Result<TopicInfo> Admin::CreateTopic(std::string_view topic, const CreateTopicOptions& options) {
  native::CreateTopicRequest request;
  request.set_topic(std::string(topic));
  request.set_partitions(options.partitions);
  request.set_if_not_exists(options.if_not_exists);
  AddConfigs(options.configs, *request.mutable_configs());
  return OnlyTopic(impl_->Ask<native::DescribeTopicsResponse>(native::FrameType::kCreateTopic, request));
}

Result<void> Admin::DeleteTopic(std::string_view topic) {
  native::DeleteTopicRequest request;
  request.set_topic(std::string(topic));
  const auto answer = impl_->Ask<native::EmptyResponse>(native::FrameType::kDeleteTopic, request);
  if (!answer) return answer.error();
  return {};
}

Result<TopicInfo> Admin::AlterTopic(std::string_view topic, const std::map<std::string, std::string>& configs,
                                    std::uint32_t partitions) {
  native::AlterTopicRequest request;
  request.set_topic(std::string(topic));
  request.set_partitions(partitions);
  AddConfigs(configs, *request.mutable_configs());
  return OnlyTopic(impl_->Ask<native::DescribeTopicsResponse>(native::FrameType::kAlterTopic, request));
}

Result<std::vector<TopicInfo>> Admin::DescribeTopics(const std::vector<std::string>& topics,
                                                     const DescribeOptions& options) {
  native::DescribeTopicsRequest request;
  for (const std::string& topic : topics) request.add_topics(topic);
  request.set_with_partitions(options.with_partitions);
  request.set_with_internal(options.with_internal);
  std::vector<TopicInfo> found;
  while (true) {
    const auto answer =
        impl_->Ask<native::DescribeTopicsResponse>(native::FrameType::kDescribeTopics, request);
    if (!answer) return answer.error();
    Result<std::vector<TopicInfo>> some = ToTopics(*answer);
    if (!some) return some.error();
    std::move(some->begin(), some->end(), std::back_inserter(found));
    if (!answer->more() || found.empty()) return found;
    request.set_after(found.back().name);
  }
}

Result<TopicInfo> Admin::DescribeTopic(std::string_view topic, const DescribeOptions& options) {
  Result<std::vector<TopicInfo>> topics = DescribeTopics({std::string(topic)}, options);
  if (!topics) return topics.error();
  if (topics->size() != 1) return NetworkError("the broker described another number of topics than one");
  return std::move(topics->front());
}

Result<std::vector<TopicInfo>> Admin::ListTopics(bool with_internal) {
  return DescribeTopics({}, {.with_partitions = false, .with_internal = with_internal});
}

Result<std::int64_t> Admin::Trim(std::string_view topic, std::uint32_t partition, std::int64_t offset) {
  native::TrimTopicRequest request;
  request.set_topic(std::string(topic));
  request.set_partition(partition);
  request.set_offset(offset);
  const auto answer = impl_->Ask<native::TrimTopicResponse>(native::FrameType::kTrimTopic, request);
  if (!answer) return answer.error();
  return answer->start_offset();
}

Result<std::vector<PartitionOffset>> Admin::ListOffsets(std::string_view topic, OffsetAt at,
                                                        const std::vector<std::uint32_t>& partitions) {
  std::vector<std::uint32_t> asked = partitions;
  if (asked.empty()) {
    const Result<TopicInfo> described =
        DescribeTopic(topic, {.with_partitions = false, .with_internal = true});
    if (!described) return described.error();
    for (std::uint32_t p = 0; p < described->partition_count; ++p) asked.push_back(p);
  }
  constexpr std::array kKinds{native::ListOffsetsRequest::START, native::ListOffsetsRequest::END,
                              native::ListOffsetsRequest::TIMESTAMP};
  native::ListOffsetsRequest request;
  for (const std::uint32_t partition : asked) {
    auto& entry = *request.add_partitions();
    entry.set_topic(std::string(topic));
    entry.set_partition(partition);
    entry.set_kind(kKinds[static_cast<std::size_t>(at.kind)]);
    entry.set_timestamp_ms(at.timestamp_ms);
  }
  const auto answer = impl_->Ask<native::ListOffsetsResponse>(native::FrameType::kListOffsets, request);
  if (!answer) return answer.error();
  return ToOffsets(*answer, asked, topic);
}

Result<std::vector<CommittedOffset>> Admin::FetchOffsets(std::string_view consumer, std::string_view topic) {
  native::FetchOffsetRequest request;
  request.set_consumer(std::string(consumer));
  const auto answer = impl_->Ask<native::FetchOffsetResponse>(native::FrameType::kFetchOffset, request);
  if (!answer) return answer.error();
  return ToCommitted(*answer, topic);
}

Result<void> Admin::CommitOffsets(std::string_view consumer, const std::vector<CommittedOffset>& offsets) {
  native::CommitOffsetRequest request;
  request.set_consumer(std::string(consumer));
  for (const CommittedOffset& offset : offsets) {
    auto& entry = *request.add_partitions();
    entry.set_topic(offset.topic);
    entry.set_partition(offset.partition);
    entry.set_offset(offset.offset);
    entry.set_metadata(offset.metadata);
  }
  const auto answer = impl_->Ask<native::CommitOffsetResponse>(native::FrameType::kCommitOffset, request);
  if (!answer) return answer.error();
  for (int i = 0; i < answer->errors_size() && i < request.partitions_size(); ++i) {
    if (Failed(answer->errors(i))) {
      return ToError(answer->errors(i),
                     PartitionName(request.partitions(i).topic(), request.partitions(i).partition()));
    }
  }
  return {};
}

Result<BrokerStats> Admin::Stats(bool with_connections) {
  native::StatsRequest request;
  request.set_with_connections(with_connections);
  const auto answer = impl_->Ask<native::StatsResponse>(native::FrameType::kStats, request);
  if (!answer) return answer.error();
  return ToStats(*answer);
}

}  // namespace headrace
