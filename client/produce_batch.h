// A batch of messages on its way to one partition.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "client/deadline.h"
#include "headrace/producer.h"
#include "protocol/core/record_batch_builder.h"

namespace headrace {

// The callback of one message, and the message's place in its batch.
struct Delivery {
  std::int32_t index = 0;
  DeliveryCallback callback;
};

// Filled by the accumulator under its mutex, then owned by the sender's thread alone until it is finished.
struct ProduceBatch {
  ProduceBatch(std::uint32_t to, Compression compression, TimePoint deadline_in, std::uint64_t generation_in)
      : partition(to), builder(compression), deadline(deadline_in), generation(generation_in) {}

  // At the time it is first sent: makes the bytes, under the given identity.
  absl::Status Build(ProducerId id, std::int16_t epoch, std::int32_t first_sequence);
  // Gives built bytes another identity. REQUIRES: the batch is certainly not in the log.
  void Restamp(ProducerId id, std::int16_t epoch, std::int32_t first_sequence);

  // Calls the callbacks of all messages. Call once, without any lock.
  void Succeed(std::int64_t base_offset);
  void Fail(const Error& error);

  const std::uint32_t partition;
  RecordBatchBuilder builder;
  std::vector<Delivery> deliveries;
  const TimePoint deadline;        // when its first message has waited for the delivery timeout
  const std::uint64_t generation;  // of flushes: a flush waits for the batches of its own and before
  TimePoint linger_until{};
  std::size_t charged = 0;  // bytes of the producer's buffer
  std::int32_t count = 0;

  // From here on, only once it is built.
  std::vector<std::byte> bytes;
  std::int32_t base_sequence = -1;
  std::uint64_t number = 0;  // among its partition's batches
  bool in_flight = false;
  bool maybe_appended = false;  // in doubt: an attempt was left without a clear answer
  bool abandoned = false;       // its messages have failed already; only its answer is awaited
  std::uint32_t attempts = 0;   // failed ones
  TimePoint retry_at{};
};

}  // namespace headrace
