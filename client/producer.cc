#include "headrace/producer.h"

#include <algorithm>
#include <utility>

#include "client/accumulator.h"
#include "client/connection.h"
#include "client/error.h"
#include "client/sender.h"
#include "client/topic.h"

namespace headrace {
namespace {

// A batch that gathers more than this gains nothing further; topics' own limits are often about the same.
constexpr std::size_t kBatchSizeTarget = 1U << 20;
constexpr std::size_t kAnswerBytesKept = 1U << 20;
constexpr std::chrono::seconds kCloseWaitOfDestructor{10};

AccumulatorOptions LimitsFor(const TopicFacts& topic, const ProducerOptions& producer) {
  AccumulatorOptions options;
  options.topic = topic.name;
  options.partition_count = topic.partition_count;
  options.producer = producer;
  options.batch_size_max = topic.batch_size_max;
  options.batch_size_max_source = topic.batch_size_max_source;
  options.batch_size_target = std::min(kBatchSizeTarget, topic.batch_size_max);
  if (producer.batch_size_max > 0 && producer.batch_size_max <= topic.batch_size_max) {
    options.batch_size_target = options.batch_size_max = producer.batch_size_max;
    options.batch_size_max_source = "ProducerOptions::batch_size_max";
  }
  return options;
}

}  // namespace

// Ties the two sides together; the sender goes first when it ends, as it uses the others.
class Producer::Impl {
 public:
  Impl(SenderOptions options, std::unique_ptr<Connection> connection, const ProducerIdentity& identity)
      : topic(options.topic.name),
        partition_count(options.topic.partition_count),
        accumulator(LimitsFor(options.topic, options.producer), wakeup),
        sender(std::move(options), accumulator, wakeup, std::move(connection), identity) {}

  const std::string topic;
  const std::uint32_t partition_count;
  Wakeup wakeup;
  Accumulator accumulator;
  Sender sender;
  bool closed = false;
};

Producer::Producer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Producer::Producer(Producer&&) noexcept = default;

Producer& Producer::operator=(Producer&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

Producer::~Producer() {
  if (impl_) static_cast<void>(Close(kCloseWaitOfDestructor));
}

Result<Producer> Producer::Connect(const ClientOptions& options, std::string topic,
                                   const ProducerOptions& producer_options) {
  Result<std::unique_ptr<Connection>> opened =
      Connection::Open(options, std::make_shared<BufferPool>(kAnswerBytesKept),
                       DeadlineAfter(options.connect_timeout), nullptr);
  if (!opened) return opened.error();
  const TimePoint deadline = DeadlineAfter(options.request_timeout);
  Result<TopicFacts> facts = LookUpTopic(**opened, topic, deadline);
  if (!facts) return facts.error();
  ProducerIdentity identity;
  if (producer_options.acknowledge) {
    Result<ProducerIdentity> given = InitProducer(**opened, {}, deadline, nullptr);
    if (!given) return given.error();
    identity = *given;
  }
  return Producer(std::make_unique<Impl>(SenderOptions{options, producer_options, std::move(*facts)},
                                         std::move(*opened), identity));
}

Result<void> Producer::Send(std::string_view key, std::string_view value) {
  Message message;
  message.key = key;
  message.value = value;
  return impl_->accumulator.Add(message, nullptr);
}

Result<void> Producer::Send(const Message& message) {
  return impl_->accumulator.Add(message, nullptr);
}

Result<void> Producer::Send(const Message& message, DeliveryCallback callback) {
  return impl_->accumulator.Add(message, std::move(callback));
}

std::future<Result<Receipt>> Producer::SendForResult(const Message& message) {
  auto promise = std::make_shared<std::promise<Result<Receipt>>>();
  std::future<Result<Receipt>> future = promise->get_future();
  Result<void> queued = impl_->accumulator.Add(
      message, [promise](const Result<Receipt>& result) { promise->set_value(result); });
  if (!queued) promise->set_value(queued.error());
  return future;
}

Result<void> Producer::Flush(std::chrono::milliseconds wait) {
  return impl_->accumulator.Flush(DeadlineAfter(wait));
}

Result<void> Producer::Close(std::chrono::milliseconds wait) {
  if (impl_->closed) return {};
  Result<void> flushed = impl_->accumulator.Flush(DeadlineAfter(wait));
  impl_->sender.Stop();
  impl_->closed = true;
  return flushed;
}

std::uint32_t Producer::partition_count() const {
  return impl_->partition_count;
}
const std::string& Producer::topic() const {
  return impl_->topic;
}
ProducerStats Producer::stats() const {
  return impl_->accumulator.stats();
}

}  // namespace headrace
