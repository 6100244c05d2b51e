#include "storage/clean_manifest.h"

#include <cstring>

#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::size_t kLogSize = 16 + 4 + 3 * 8 + 1 + 4;
constexpr std::size_t kSegmentSize = 5 * 8;

std::byte* Put(std::byte* at, std::int64_t value) {
  StoreBigEndian(at, value);
  return at + sizeof value;
}

std::int64_t Take(const std::byte*& at) {
  const auto value = LoadBigEndian<std::int64_t>(at);
  at += sizeof value;
  return value;
}

SegmentSummary TakeSegment(const std::byte*& at) {
  SegmentSummary segment;
  segment.base_offset = Take(at);
  segment.size = static_cast<std::uint64_t>(Take(at));
  segment.first_append = Take(at);
  segment.last_append = Take(at);
  segment.max_timestamp = Take(at);
  return segment;
}

}  // namespace

std::vector<std::byte> SerializeManifest(const std::vector<std::pair<TopicPartition, LogSummary>>& logs) {
  std::size_t size = 0;
  for (const auto& [partition, log] : logs) size += kLogSize + log.segments.size() * kSegmentSize;
  std::vector<std::byte> bytes(size);
  std::byte* at = bytes.data();
  for (const auto& [partition, log] : logs) {
    std::memcpy(at, partition.topic.bytes.data(), 16);
    StoreBigEndian(at + 16, partition.partition);
    at = Put(at + 20, log.offsets.start);
    at = Put(at, log.offsets.high_watermark);
    at = Put(at, log.offsets.end);
    *at++ = static_cast<std::byte>(log.has_producers);
    StoreBigEndian(at, static_cast<std::uint32_t>(log.segments.size()));
    at += 4;
    for (const SegmentSummary& segment : log.segments) {
      at = Put(at, segment.base_offset);
      at = Put(at, static_cast<std::int64_t>(segment.size));
      at = Put(at, segment.first_append);
      at = Put(at, segment.last_append);
      at = Put(at, segment.max_timestamp);
    }
  }
  return bytes;
}

absl::StatusOr<std::map<TopicPartition, LogSummary>> ParseManifest(ByteSpan bytes) {
  std::map<TopicPartition, LogSummary> logs;
  while (!bytes.empty()) {
    if (bytes.size() < kLogSize) return absl::DataLossError("clean manifest: a log is cut short");
    TopicPartition partition;
    std::memcpy(partition.topic.bytes.data(), bytes.data(), 16);
    partition.partition = LoadBigEndian<std::int32_t>(bytes.data() + 16);
    const std::byte* at = bytes.data() + 20;
    LogSummary log;
    log.offsets.start = Take(at);
    log.offsets.high_watermark = Take(at);
    log.offsets.end = Take(at);
    log.has_producers = *at++ != std::byte{0};
    const std::uint64_t count = LoadBigEndian<std::uint32_t>(at);
    at += 4;
    bytes = bytes.subspan(kLogSize);
    if (count > bytes.size() / kSegmentSize)
      return absl::DataLossError("clean manifest: segments are cut short");
    log.segments.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) log.segments.push_back(TakeSegment(at));
    bytes = bytes.subspan(count * kSegmentSize);
    logs.emplace_hint(logs.end(), partition, std::move(log));
  }
  return logs;
}

}  // namespace headrace::storage
