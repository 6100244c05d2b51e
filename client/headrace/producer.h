// Appends messages to one topic.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "headrace/client.h"

namespace headrace {

struct ProducerOptions {
  Codec compression = Codec::kNone;
  // Bytes of one batch before compression. 0: the limit the broker states, at most 1 MiB.
  std::size_t batch_size_max = 0;
  // Bytes of messages not yet answered, all partitions together.
  std::size_t buffer_size_max = 64U << 20;
  // With a full buffer, Send waits this long for room, then fails with kBufferFull; 0 refuses at once.
  std::chrono::milliseconds buffer_wait{60'000};
  // How long a batch waits for more messages though a request could go out. 0: batches are what gathered
  // while earlier requests were on their way, so an idle producer's message goes at once.
  std::chrono::milliseconds linger{0};
  // From Send to the answer, retries included; then the message fails.
  std::chrono::milliseconds delivery_timeout{120'000};
  // Produce requests on their way at once, 1 to 5 (the broker remembers five batches per producer).
  std::uint32_t requests_in_flight_max = 5;
  // False: messages count as delivered once the broker took them, before they reach the disk; what is lost
  // then goes unnoticed. Nothing is sent again: what was under way when the connection broke has failed.
  bool acknowledge = true;
  // Called when messages do not get through for now, with the reason (the broker could not be reached again,
  // or keeps refusing them, as with a full disk), and when they do again (nullopt). On the producer's thread;
  // must not wait for the producer.
  std::function<void(const std::optional<Error>&)> on_outage = nullptr;
};

// A message as Send takes it. Everything is copied before Send returns.
struct Message {
  std::optional<std::string_view> key;    // nullopt: no key, the partition is chosen batch by batch
  std::optional<std::string_view> value;  // nullopt: null, which deletes the key in a compacted topic
  std::span<const Header> headers;
  std::optional<std::int64_t> timestamp_ms;  // since the Unix epoch; nullopt: now
  std::optional<std::uint32_t> partition;    // nullopt: murmur2 of the key, as Kafka's clients do
};

// Where a message is.
struct Receipt {
  std::uint32_t partition = 0;
  std::int64_t offset = -1;  // -1 without acknowledgement
};

using DeliveryCallback = std::function<void(const Result<Receipt>&)>;

struct ProducerStats {
  std::uint64_t messages_sent = 0;       // accepted by Send
  std::uint64_t messages_delivered = 0;  // answered with success
  std::uint64_t messages_failed = 0;
  std::uint64_t batches = 0;      // answered with success
  std::uint64_t batch_bytes = 0;  // of these, as they went over the wire
  std::uint64_t requests = 0;     // sent, with repeats
  std::uint64_t retries = 0;      // batches sent again
  std::uint64_t reconnects = 0;
  std::size_t buffered_bytes = 0;  // now
};

// A producer of one topic, idempotent: within its life a message is in the log at most once, and the messages
// of one partition stand in the order of Send, whatever is retried. Owns a connection and the thread that
// serves it. Thread rule: all calls from any thread, except moving, Close and destruction (one thread, and
// no other call at that time). Callbacks run on the producer's thread and must not wait for the producer.
class Producer {
 public:
  // Waits for the broker and the topic, at most options.connect_timeout + options.request_timeout.
  static Result<Producer> Connect(const ClientOptions& options, std::string topic,
                                  const ProducerOptions& producer_options = {});
  Producer(Producer&&) noexcept;
  Producer& operator=(Producer&&) noexcept;
  // Closes with a deadline of 10 s; what is undelivered then is lost (call Close to learn of it).
  ~Producer();

  // Queues one message whose failure shows in Flush and Close. An error here means it was not queued:
  // kMessageTooLarge, kBufferFull, kClosed, kInvalidRequest (no such partition), or what stopped the
  // producer.
  Result<void> Send(std::string_view key, std::string_view value);
  Result<void> Send(const Message& message);
  // The same; the callback is called exactly once if this returns success, and never otherwise.
  Result<void> Send(const Message& message, DeliveryCallback callback);
  // The same by a future; an error of Send itself comes through it too.
  std::future<Result<Receipt>> SendForResult(const Message& message);

  // Waits until all messages sent before are answered, at most `wait`. The error of the first message without
  // a callback that failed since the last Flush, with how many did; or kTimedOut with how many are
  // unanswered.
  Result<void> Flush(std::chrono::milliseconds wait = std::chrono::seconds(30));
  // Flush, then fails what is left with kClosed and ends the thread. Returns within `wait` and a moment.
  Result<void> Close(std::chrono::milliseconds wait = std::chrono::seconds(30));

  std::uint32_t partition_count() const;
  const std::string& topic() const;
  ProducerStats stats() const;

 private:
  class Impl;
  explicit Producer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace
