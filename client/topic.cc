#include "client/topic.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "client/error.h"

namespace headrace {
namespace {

constexpr std::size_t kBatchSizeMaxUnknown = 1U << 20;

// A number the topic is configured with; nullopt if the broker states none.
std::optional<std::size_t> NumberOf(const native::TopicDescription& topic, std::string_view key) {
  for (const native::TopicConfig& config : topic.configs()) {
    if (config.key() != key) continue;
    const std::string& text = config.value();
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  return std::nullopt;
}

void SetBatchLimit(const native::TopicDescription& topic, const native::HelloResponse& hello,
                   TopicFacts& facts) {
  constexpr std::string_view kMessage = "max.message.bytes";
  constexpr std::string_view kSegment = "segment.bytes";
  const std::size_t unstated = hello.batch_size_max() > 0 ? hello.batch_size_max() : kBatchSizeMaxUnknown;
  const std::size_t message = NumberOf(topic, kMessage).value_or(unstated);
  const std::size_t segment = NumberOf(topic, kSegment).value_or(message);
  facts.batch_size_max = std::min(message, segment);
  facts.batch_size_max_source = "the topic's " + std::string(segment < message ? kSegment : kMessage);
}

}  // namespace

Result<TopicFacts> LookUpTopic(Connection& connection, const std::string& topic, TimePoint deadline,
                               const Wakeup* cancel) {
  native::DescribeTopicsRequest request;
  request.add_topics(topic);
  request.set_with_internal(true);
  native::DescribeTopicsResponse response;
  Result<void> called =
      Call(connection, native::FrameType::kDescribeTopics, request, response, deadline, cancel);
  if (!called) return called.error();
  if (response.topics_size() != 1) {
    return NetworkError("broker " + connection.broker() + " described " +
                        std::to_string(response.topics_size()) + " topics when asked for one");
  }
  const native::TopicDescription& described = response.topics(0);
  if (Failed(described.error())) return ToError(described.error());
  TopicFacts facts;
  facts.name = described.topic();
  facts.id = described.topic_id();
  facts.partition_count = described.partition_count();
  SetBatchLimit(described, connection.hello(), facts);
  return facts;
}

}  // namespace headrace
