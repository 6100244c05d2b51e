// What a clean shutdown knew of every log, as bytes.
#include "storage/clean_manifest.h"

#include <catch2/catch.hpp>

namespace headrace::storage {
namespace {

TopicId Topic(std::uint8_t number) {
  TopicId id;
  id.bytes.fill(number);
  return id;
}

LogSummary Summary(Offset end, std::size_t segments) {
  LogSummary summary;
  summary.offsets = {end - 10, end - 1, end};
  summary.has_producers = end % 2 == 0;
  for (std::size_t i = 0; i < segments; ++i) {
    const auto base = static_cast<Offset>(i) * 10;
    summary.segments.push_back({base, 1'000 + i, 100 + base, 200 + base, 300 + base});
  }
  return summary;
}

TEST_CASE("Clean manifest: without logs it is empty, and read back") {
  CHECK(SerializeManifest({}).empty());
  const auto parsed = ParseManifest({});
  REQUIRE(parsed.ok());
  CHECK(parsed->empty());
}

TEST_CASE("Clean manifest: what every log was is read back, compactly") {
  constexpr int kLogs = 10'000;
  std::vector<std::pair<TopicPartition, LogSummary>> logs;
  for (int i = 0; i < kLogs; ++i) {
    logs.push_back({{Topic(static_cast<std::uint8_t>(i % 251)), i},
                    Summary(10 * i, static_cast<std::size_t>(1 + i % 3))});
  }
  const std::vector<std::byte> bytes = SerializeManifest(logs);
  CHECK(bytes.size() <= kLogs * (50 + 2 * 40));
  const auto parsed = ParseManifest(bytes);
  REQUIRE(parsed.ok());
  REQUIRE(parsed->size() == kLogs);
  bool same = true;
  for (const auto& [partition, summary] : logs) {
    const LogSummary& read = parsed->at(partition);
    same = same && read.offsets.start == summary.offsets.start && read.offsets.end == summary.offsets.end &&
           read.offsets.high_watermark == summary.offsets.high_watermark &&
           read.has_producers == summary.has_producers && read.segments.size() == summary.segments.size();
    for (std::size_t i = 0; same && i < read.segments.size(); ++i) {
      const SegmentSummary& a = read.segments[i];
      const SegmentSummary& b = summary.segments[i];
      same = a.base_offset == b.base_offset && a.size == b.size && a.first_append == b.first_append &&
             a.last_append == b.last_append && a.max_timestamp == b.max_timestamp;
    }
  }
  CHECK(same);
}

TEST_CASE("Clean manifest: cut anywhere, or stating more than there is, it is refused") {
  const std::vector<std::byte> one = SerializeManifest({{{Topic(1), 0}, Summary(20, 2)}});
  std::vector<std::byte> bytes = one;
  bytes.insert(bytes.end(), one.begin(), one.end());
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK(ParseManifest(ByteSpan(bytes).first(size)).ok() == (size == one.size()));
  }
  StoreBigEndian(bytes.data() + 45, std::uint32_t{0xffff'ffff});
  CHECK(absl::IsDataLoss(ParseManifest(bytes).status()));
}

TEST_CASE("Clean manifest: any changed byte is read as something else or refused, and takes no memory") {
  const std::vector<std::byte> whole = SerializeManifest({{{Topic(1), 0}, Summary(20, 2)}});
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    CAPTURE(bit);
    std::vector<std::byte> changed = whole;
    changed[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto parsed = ParseManifest(changed);
    if (!parsed.ok()) {
      CHECK(absl::IsDataLoss(parsed.status()));
    } else {
      REQUIRE(parsed->size() == 1);
      CHECK(parsed->begin()->second.segments.size() <= 2);
    }
  }
}

}  // namespace
}  // namespace headrace::storage
