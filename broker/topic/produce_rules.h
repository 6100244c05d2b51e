// What a topic's configuration demands of a batch that is produced to it, and what is made of the batch.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "broker/topic/topic_config.h"
#include "protocol/core/record_batch.h"

namespace headrace::topic {

// Bytes that one batch may decompress to.
inline constexpr std::size_t kProducedSizeMax = std::size_t{64} << 20;

// The part of a topic's configuration that an append depends on. A value.
struct ProduceRules {
  std::uint64_t batch_size_max = 0;    // bytes: max.message.bytes
  std::uint64_t segment_size_max = 0;  // bytes: segment.bytes
  bool keys_required = false;          // cleanup.policy=compact
  bool log_append_time = false;
  std::optional<Compression> compression;  // nullopt: as sent
  TimestampMs timestamp_before_max_ms = TopicConfig::kNoTimeLimit;
  TimestampMs timestamp_after_max_ms = TopicConfig::kNoTimeLimit;

  // Whether batches are appended as they were sent, with nothing to be looked at beyond CheckBatch and
  // LacksMaxTimestamp.
  bool as_sent() const;
  // Bytes of a batch that no limit refuses.
  std::uint64_t size_max() const { return std::min(batch_size_max, segment_size_max); }
};

ProduceRules RulesOf(const TopicConfig& config);

// kMessageTooLarge or kRecordListTooLarge for a batch of `size` bytes, naming the limit; OK if none refuses
// it.
absl::Status CheckSize(const ProduceRules& rules, std::size_t size);

// What every batch from a producer must be, whatever the topic: exactly one whole batch, with a right CRC,
// without the bits that are the broker's. Errors: kCorruptMessage; kInvalidRecord; kInvalidTimestamp (the bit
// of append time); kInvalidTxnState (a transactional batch: there are no transactions yet).
absl::StatusOr<RecordBatchView> CheckBatch(ByteSpan bytes);

// Whether the largest timestamp that the batch states is below its first, and so cannot be. Some clients
// leave it at -1; look-ups by time would pass the batch by.
bool LacksMaxTimestamp(const RecordBatchView& batch);

// Whether Prepare would decompress or compress: not for a reactor.
bool IsCostly(const ProduceRules& rules, const RecordBatchView& batch);

// Makes of a batch that CheckBatch has passed what is to be appended: `batch` is rewritten in place and the
// result is empty, or, when it is compressed anew, the result is the batch that takes its place. Where the
// records are looked at, the batch states their largest timestamp afterwards. `now`: the broker's wall clock.
// Errors: kInvalidTimestamp (too far from `now`), kInvalidRecord (a record without a key where keys are
// required; records that are looked at and do not parse), kMessageTooLarge (more than
// kProducedSizeMax bytes when decompressed, or above the topic's limit when compressed anew),
// kRecordListTooLarge.
absl::StatusOr<std::vector<std::byte>> Prepare(const ProduceRules& rules, TimestampMs now,
                                               MutableByteSpan batch);

}  // namespace headrace::topic
