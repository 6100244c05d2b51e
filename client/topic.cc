#include "client/topic.h"

#include <charconv>

#include "client/error.h"

namespace headrace {
namespace {

constexpr std::size_t kBatchSizeMaxUnknown = 1U << 20;

std::size_t BatchSizeMax(const native::TopicDescription& topic, const native::HelloResponse& hello) {
  std::size_t limit = hello.batch_size_max() > 0 ? hello.batch_size_max() : kBatchSizeMaxUnknown;
  for (const native::TopicConfig& config : topic.configs()) {
    if (config.key() != "max.message.bytes") continue;
    const std::string& text = config.value();
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) limit = value;
  }
  return limit;
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
  return TopicFacts{described.topic(), described.topic_id(), described.partition_count(),
                    BatchSizeMax(described, connection.hello())};
}

}  // namespace headrace
