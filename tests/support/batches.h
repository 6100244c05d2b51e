// Record batches for tests, in one line each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/core/record_batch_builder.h"

namespace headrace::testing {

struct BatchOptions {
  Offset base_offset = 0;
  LeaderEpoch leader_epoch = 0;
  TimestampMs timestamp = 1'000;  // of the first record; the following ones are 1 ms apart
  Compression compression = Compression::kNone;
  ProducerId producer_id = kNoProducerId;
  std::int16_t producer_epoch = 0;
  std::int32_t base_sequence = 0;
};

// A batch with one record for each value, no keys.
std::vector<std::byte> MakeBatch(const std::vector<std::string_view>& values,
                                 const BatchOptions& options = {});

// The values of all records of whole batches that follow each other. Fails the process on anything invalid.
std::vector<std::string> ValuesOf(ByteSpan batches);

}  // namespace headrace::testing
