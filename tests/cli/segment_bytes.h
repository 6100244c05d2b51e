// Bytes of segments, for the tests of the offline tools.
#pragma once

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "protocol/core/record_batch_builder.h"

namespace headrace::cli::offline {

// One batch of the given values, at `base_offset`.
inline std::vector<std::byte> Batch(Offset base_offset, const std::vector<std::string>& values) {
  RecordBatchBuilder builder;
  for (const std::string& value : values) {
    RecordView record;
    record.timestamp = 1'700'000'000'000;
    record.value = AsBytes(value);
    builder.Add(record);
  }
  auto batch = builder.Build();
  REQUIRE(batch.ok());
  StampBatch(*batch, base_offset, 0);
  return *std::move(batch);
}

inline std::vector<std::byte> Join(const std::vector<std::vector<std::byte>>& parts) {
  std::vector<std::byte> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace headrace::cli::offline
