// The content of the `clean` file: what a clean shutdown knew of every log.
#pragma once

#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/log.h"

namespace headrace::storage {

// Per log, big-endian: topic id (16), partition (4), start, high watermark, end (8 each), producers (1),
// segments (4), and per segment: base offset, size, first and last append, max timestamp (8 each).
std::vector<std::byte> SerializeManifest(const std::vector<std::pair<TopicPartition, LogSummary>>& logs);
absl::StatusOr<std::map<TopicPartition, LogSummary>> ParseManifest(ByteSpan bytes);

}  // namespace headrace::storage
