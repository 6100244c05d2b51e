// What a log knows of the idempotent producers that wrote to it: the last five batches of each, so that a
// batch sent again is recognised and a gap is refused.
//
// The rules are those of Kafka's ProducerStateManager (protocol facts: KIP-98, KIP-360), with two changes:
// expiry goes by the broker's append time, and a duplicate must also have the CRC that its original had when
// it was sent: the broker may have rewritten it since.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "protocol/core/record_batch.h"

namespace headrace::storage {

// One batch that a producer wrote.
struct ProducerBatch {
  std::int32_t first_sequence = 0;
  std::int32_t last_sequence = 0;
  Offset base_offset = 0;
  Offset last_offset = 0;
  std::uint32_t crc = 0;             // as the producer sent it; 0: not known any more
  TimestampMs log_append_time = -1;  // if the broker's clock made its timestamps
};

struct SequenceCheck {
  enum class Kind { kNew, kDuplicate } kind = Kind::kNew;
  ProducerBatch original;  // of a duplicate
};

// A value: copied by the partition for its staged view. Not thread-safe; the owner serialises.
class ProducerState {
 public:
  static constexpr std::size_t kBatchesKept = 5;
  // Producers remembered at once. One more, and the half whose last appends are the oldest is forgotten.
  static constexpr std::size_t kProducersMax = 10'000;

  // What appending `batch`, which was sent with this CRC, would mean. Batches without a producer id are
  // always new. Errors: kOutOfOrderSequence (names the expected sequence), kInvalidProducerEpoch,
  // kDuplicateSequence (same sequences, other CRC: a sequence was used twice).
  absl::StatusOr<SequenceCheck> Check(const RecordBatchView& batch, std::uint32_t sent_crc) const;

  // Remembers an appended batch, stamped with its offset; `sent_crc` 0: not known, then its sequences alone
  // make a duplicate. No-op without a producer id.
  void Update(const RecordBatchView& batch, TimestampMs append_time, std::uint32_t sent_crc);

  // Whether this is the last batch of a producer that is remembered: without it a restart would forget where
  // the producer's sequences are.
  bool IsLast(const RecordBatchView& batch) const;

  // Forgets producers whose last append is before `horizon`.
  void Expire(TimestampMs horizon);

  std::size_t size() const { return producers_.size(); }

  // Snapshot as bytes, with a CRC: {format, offset it covers, entries}. `end` is the offset after the last
  // batch that is in it. Parse refuses what is damaged or of a newer format.
  std::vector<std::byte> Serialize(Offset end) const;
  struct Snapshot;
  static absl::StatusOr<Snapshot> Parse(ByteSpan bytes);

 private:
  void ForgetOldestHalf();

  struct Entry {
    std::int16_t epoch = -1;
    std::uint8_t count = 0;
    TimestampMs last_append = 0;
    std::array<ProducerBatch, kBatchesKept> batches;  // oldest first
  };
  std::unordered_map<ProducerId, Entry> producers_;
};

struct ProducerState::Snapshot {
  Offset end = 0;
  ProducerState state;
};

}  // namespace headrace::storage
