// What compaction leaves of one batch.
#pragma once

#include <optional>
#include <vector>

#include "protocol/core/record_batch.h"
#include "storage/key_map.h"

namespace headrace::storage {

struct CleanRules {
  const KeyMap* latest = nullptr;
  TimestampMs now = 0;
  TimestampMs delete_retention_ms = 0;
  std::size_t decompressed_size_max = 0;  // bytes
  bool keep_deletions = false;            // whatever their time: what they delete may not be gone
};

struct CleanedBatch {
  enum class Kind {
    kAsItWas,  // nothing to change
    kChanged,  // `bytes`
    kNothing   // no record of it is left
  } kind = Kind::kAsItWas;
  std::vector<std::byte> bytes;
  std::uint64_t dropped = 0;             // records
  std::optional<TimestampMs> horizon{};  // when deletions that are in it may go
};

// Keeps of each key the record with the highest offset that `latest` knows, all records without a key, and
// deletions (null values) until delete_retention_ms after they were first seen here, if not kept for longer:
// that time is written into the base timestamp, with attribute bit 6 (KIP-534), and the records' timestamp
// deltas are made to match. Offsets, sequences, producer and epoch stay; so do control batches, untouched.
// Errors: kCorruptMessage, kMessageTooLarge if it decompresses to more than allowed.
absl::StatusOr<CleanedBatch> CleanBatch(const RecordBatchView& batch, const CleanRules& rules);

// The same batch without records: what stays of a producer's last one, so that its sequences are known.
std::vector<std::byte> EmptyBatchOf(const RecordBatchView& batch);

// A batch without records or producer that stands for offsets whose records are all gone. So no offset of a
// log is ever missing without a word, and damage stays distinguishable.
std::vector<std::byte> MakeGapBatch(Offset first, Offset last, LeaderEpoch epoch);
// Whether it says nothing but that offsets are gone.
bool IsGapBatch(const RecordBatchView& batch);

}  // namespace headrace::storage
