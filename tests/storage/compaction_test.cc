// Of each key the last record stays, at its offset; everything else about a log is as it was.
#include <catch2/catch.hpp>

#include "tests/support/compacted_log.h"

namespace headrace::storage {
namespace {

using headrace::testing::CompactedLog;
using headrace::testing::Keyed;

constexpr TimestampMs kDay = TimestampMs{24} * 3600 * 1000;

TEST_CASE("Compaction: of each key the last record stays, at its offset") {
  CompactedLog log(300);
  REQUIRE(log.Fill({{"a", "1"}, {"b", "1"}, {"a", "2"}, {"c", "1"}, {"b", "2"}, {"a", "3"}}).ok());
  const std::size_t before = log.log().log().size();
  REQUIRE(log.Seal().ok());
  const CompactionResult result = log.Compact();
  CHECK(result.records_dropped == 3);
  CHECK(log.log().log().size() < before + 200);
  CHECK(log.Records() ==
        std::map<Offset, Keyed>{{3, {"c", "1"}}, {4, {"b", "2"}}, {5, {"a", "3"}}, {6, {"seal", "seal"}}});
  CHECK(log.log().offsets().start == 0);
  REQUIRE(log.log().Restart().ok());
  CHECK(log.Records().size() == 4);
  log.log().CrashPower(3);
  REQUIRE(log.log().Recover().ok());
  CHECK(log.Records().size() == 4);
  CHECK(log.log().report().damaged_ranges == 0);
}

TEST_CASE("Compaction: small segments become one") {
  CompactedLog log(200);
  for (int i = 0; i < 40; ++i) REQUIRE(log.Fill({{"k" + std::to_string(i % 3), std::to_string(i)}}).ok());
  REQUIRE(log.Seal().ok());
  const std::uint32_t before = log.log().log().segment_count();
  const CompactionResult result = log.Compact();
  CHECK(before > 10);
  CHECK(log.log().log().segment_count() <= 4);
  CHECK(result.segments_after < result.segments_before);
  CHECK(log.Records().size() == 4);
  CHECK(log.log().Orphans().empty());
}

TEST_CASE("Compaction: a deletion stays for its time, and then goes") {
  CompactedLog log(300);
  REQUIRE(log.Fill({{"a", "1"}, {"b", "1"}, {"a", std::nullopt}}).ok());
  REQUIRE(log.Seal().ok());
  log.Compact();
  CHECK(log.Records() ==
        std::map<Offset, Keyed>{{1, {"b", "1"}}, {2, {"a", std::nullopt}}, {3, {"seal", "seal"}}});
  const std::map<Offset, TimestampMs> times = log.Timestamps();
  log.log().clock.Advance(std::chrono::milliseconds(kDay - 1));
  CHECK(log.Compact().passes == 0);
  CHECK(log.Records().count(2) == 1);
  CHECK(times.at(2) == 1'020);  // though its batch's base timestamp is the time of its end now
  REQUIRE(log.log().Restart().ok());
  log.log().clock.Advance(std::chrono::milliseconds(1));
  CHECK(log.Compact().passes == 1);
  CHECK(log.Records() == std::map<Offset, Keyed>{{1, {"b", "1"}}, {3, {"seal", "seal"}}});
}

TEST_CASE("Compaction: records without a key stay") {
  CompactedLog log(300);
  REQUIRE(log.Fill({{std::nullopt, "x"}, {"a", "1"}, {std::nullopt, "y"}, {"a", "2"}}).ok());
  REQUIRE(log.Seal().ok());
  log.Compact();
  CHECK(log.Records() ==
        std::map<Offset, Keyed>{
            {0, {std::nullopt, "x"}}, {2, {std::nullopt, "y"}}, {3, {"a", "2"}}, {4, {"seal", "seal"}}});
}

TEST_CASE("Compaction: compressed batches are compressed again") {
  const auto codec =
      GENERATE(Compression::kGzip, Compression::kSnappy, Compression::kLz4, Compression::kZstd);
  CompactedLog log(600);
  log.codec = codec;
  REQUIRE(log.FillTogether({{"a", "1"}, {"b", "1"}, {"a", "2"}}).ok());
  REQUIRE(log.FillTogether({{"a", "3"}, {"c", "1"}}).ok());
  REQUIRE(log.Seal().ok());
  log.Compact();
  CHECK(log.Records() ==
        std::map<Offset, Keyed>{{1, {"b", "1"}}, {3, {"a", "3"}}, {4, {"c", "1"}}, {5, {"seal", "seal"}}});
  CHECK(log.CodecAt(1) == codec);
}

TEST_CASE("Compaction: a map too small for all keys takes several passes") {
  CompactedLog log(2'000);
  std::map<Offset, Keyed> expected;
  for (int i = 0; i < 600; ++i) {
    const Keyed record{"key-" + std::to_string(i % 300), std::to_string(i)};
    REQUIRE(log.Fill({record}).ok());
    if (i >= 300) expected[i] = record;
  }
  REQUIRE(log.Seal().ok());
  expected[600] = {"seal", "seal"};
  CompactionLimits limits;
  limits.key_map_size_max = 64 * 24;
  const CompactionResult result = log.Compact(limits);
  CHECK(result.passes > 5);
  CHECK(log.Records() == expected);
}

TEST_CASE("Compaction: a producer goes on where it was, over a restart without a snapshot") {
  CompactedLog log(300);
  log.log().producer_id = 7;
  REQUIRE(log.FillTogether({{"a", "1"}, {"a", "2"}, {"b", "1"}}).ok());
  REQUIRE(log.FillTogether({{"a", "3"}, {"b", "2"}}).ok());
  log.log().producer_id = kNoProducerId;
  REQUIRE(log.Fill({{"a", "4"}, {"b", "3"}}).ok());
  REQUIRE(log.Seal().ok());
  log.Compact();
  CHECK(log.Records().size() == 3);
  log.log().memory.Write(log.log().PathOf("producers"), {});
  log.log().CrashProcess();
  REQUIRE(log.log().Recover().ok());
  const auto next = log.MakeProduced(7, 5);
  const auto gap = log.MakeProduced(7, 6);
  CHECK(log.log().log().producers().Check(*RecordBatchView::Parse(next), 1).ok());
  CHECK_FALSE(log.log().log().producers().Check(*RecordBatchView::Parse(gap), 1).ok());
}

TEST_CASE("Compaction: a reader goes on over it, with slices and cursors of old segments") {
  CompactedLog log(300);
  for (int i = 0; i < 20; ++i) REQUIRE(log.Fill({{"k" + std::to_string(i % 2), std::to_string(i)}}).ok());
  REQUIRE(log.Seal().ok());
  ReadCursor cursor;
  const auto slice = log.log().log().Read(cursor, 1);
  REQUIRE(slice.ok());
  REQUIRE(log.log().log().Read(cursor, 1).ok());
  std::vector<std::byte> before(slice->length);
  REQUIRE(slice->file->ReadAt(slice->position, before).ok());
  log.Compact();
  std::vector<std::byte> after(slice->length);
  REQUIRE(slice->file->ReadAt(slice->position, after).ok());
  CHECK(before == after);
  CHECK(log.RecordsFrom(cursor) ==
        std::map<Offset, Keyed>{{18, {"k0", "18"}}, {19, {"k1", "19"}}, {20, {"seal", "seal"}}});
}

TEST_CASE("Compaction: a damaged segment stays as it is") {
  CompactedLog log(300);
  for (int i = 0; i < 12; ++i) REQUIRE(log.Fill({{"a", std::to_string(i)}}).ok());
  REQUIRE(log.Seal().ok());
  const std::string path = log.log().SegmentFile(0);
  std::vector<std::byte> bytes = log.log().memory.Read(path);
  bytes[70] ^= std::byte{1};
  log.log().memory.Write(path, bytes);
  log.Compact();
  CHECK(log.log().memory.Read(path) == bytes);
  CHECK(log.log().findings().size() == 1);
  CHECK(log.Damaged());
}

TEST_CASE("Compaction: a deletion stays as long as what it deletes may be where nobody can read") {
  CompactedLog log(300);
  CompactionLimits limits;
  SECTION("in a damaged segment") {
    REQUIRE(log.Fill({{"z", "1"}, {"a", "old"}}).ok());
  }
  SECTION("in a batch that decompresses to more than is allowed") {
    log.codec = Compression::kZstd;
    REQUIRE(log.Fill({{"a", std::string(5'000, 'x')}, {"z", "1"}}).ok());
    log.codec = Compression::kNone;
    limits.decompressed_size_max = 1'000;
  }
  for (int i = 0; i < 4; ++i) REQUIRE(log.Fill({{"pad" + std::to_string(i), "1"}}).ok());
  REQUIRE(log.Fill({{"a", std::nullopt}}).ok());
  REQUIRE(log.Seal().ok());
  if (limits.decompressed_size_max > 1'000) {
    const std::string path = log.log().SegmentFile(0);
    std::vector<std::byte> bytes = log.log().memory.Read(path);
    bytes[65] ^= std::byte{1};  // in the batch of "z"
    log.log().memory.Write(path, bytes);
  }
  const auto deletion = [&] {
    ReadCursor cursor;
    cursor.offset = 2;
    return log.RecordsFrom(cursor).at(6);
  };
  log.Compact(limits);
  CHECK(deletion() == Keyed{"a", std::nullopt});
  log.log().clock.Advance(std::chrono::milliseconds(2 * kDay));
  CHECK(log.Compact(limits).passes == 0);  // its time is no reason to look again
  REQUIRE(log.Fill({{"b", "1"}}).ok());
  REQUIRE(log.Seal().ok());
  CHECK(log.Compact(limits).passes == 1);
  CHECK(deletion() == Keyed{"a", std::nullopt});
}

TEST_CASE("Compaction: a batch with more keys than the map holds leaves no older record behind") {
  CompactedLog log(10'000);
  std::vector<Keyed> deletions;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(log.Fill({{"key-" + std::to_string(i), "old"}}).ok());
    deletions.push_back({"key-" + std::to_string(i), std::nullopt});
  }
  REQUIRE(log.FillTogether(deletions).ok());
  REQUIRE(log.Seal().ok());
  CompactionLimits limits;
  limits.key_map_size_max = 64 * 24;
  CHECK(log.Compact(limits).passes > 2);
  std::map<Offset, Keyed> expected{{200, {"seal", "seal"}}};
  for (int i = 0; i < 100; ++i) expected[100 + i] = deletions[static_cast<std::size_t>(i)];
  CHECK(log.Records() == expected);
  log.log().clock.Advance(std::chrono::milliseconds(2 * kDay));
  log.Compact(limits);
  CHECK(log.Records() == std::map<Offset, Keyed>{{200, {"seal", "seal"}}});
}

TEST_CASE("Compaction: with retention beside it, old segments go whole") {
  CompactedLog log(300);
  LogOptions options = log.log().options();
  options.delete_by_retention = true;
  options.retention_bytes = 0;
  log.log().SetOptions(options);
  for (int i = 0; i < 12; ++i) REQUIRE(log.Fill({{"k" + std::to_string(i), "v"}}).ok());
  REQUIRE(log.Seal().ok());
  log.Compact();
  REQUIRE(log.log().ApplyRetention().ok());
  CHECK(log.log().log().segment_count() == 1);
  CHECK(log.Records().size() == 1);
  options.delete_by_retention = false;
  log.log().SetOptions(options);
  REQUIRE(log.Fill({{"x", "1"}}).ok());
  REQUIRE(log.Seal().ok());
  CHECK(*log.log().ApplyRetention() == 0);
}

TEST_CASE("SegmentsToCompact: waits for dirt, age or a deletion's end, and leaves the active and the young") {
  const std::vector<SegmentSummary> segments = {
      {0, 100, 1'000, 1'100, 0}, {10, 100, 1'200, 1'300, 0}, {20, 100, 1'400, 1'500, 0}};
  LogOptions options;
  options.compact = true;
  CompactionProgress progress;
  CHECK(SegmentsToCompact(segments, progress, 30, options, 2'000) == 2);
  CHECK(SegmentsToCompact(segments, progress, 15, options, 2'000) == 1);
  CHECK(SegmentsToCompact(segments, progress, 9, options, 2'000) == 0);
  progress.first_dirty = 20;
  CHECK(SegmentsToCompact(segments, progress, 30, options, 2'000) == 0);
  progress.next_horizon = 2'000;
  CHECK(SegmentsToCompact(segments, progress, 30, options, 2'000) == 2);
  progress = {10, CompactionProgress::kNever};
  options.min_cleanable_dirty_ratio = 0.6;
  CHECK(SegmentsToCompact(segments, progress, 30, options, 2'000) == 0);
  options.max_compaction_lag_ms = 700;
  CHECK(SegmentsToCompact(segments, progress, 30, options, 2'000) == 2);
  options.min_compaction_lag_ms = 800;
  CHECK(SegmentsToCompact(segments, progress, 30, options, 2'000) == 0);
  options = LogOptions();
  CHECK(SegmentsToCompact(segments, CompactionProgress(), 30, options, 2'000) == 0);
}

TEST_CASE("KeyMap: keeps the highest offset of as many keys as fit") {
  KeyMap map(128 * 24);
  std::size_t put = 0;
  for (int i = 0; i < 200; ++i) put += map.Put(AsBytes(std::to_string(i)), i) ? 1 : 0;
  CHECK(map.size() == put);
  CHECK(map.full());
  CHECK(put < 128);
  CHECK(map.Put(AsBytes("5"), 900));
  CHECK(map.Put(AsBytes("5"), 30));
  CHECK(map.Find(AsBytes("5")) == 900);
  CHECK_FALSE(map.Find(AsBytes("199")).has_value());
}

TEST_CASE("HashKey: is SipHash-2-4 of 128 bits") {
  // The first vectors of its authors: key 00 01 .. 0f, inputs of no byte and of the byte 00.
  const std::array<std::uint64_t, 2> secret{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  const KeyHash none = HashKey({}, secret);
  CHECK(none.low == 0xe6a825ba047f81a3);
  CHECK(none.high == 0x930255c71472f66d);
  const std::byte zero{0};
  const KeyHash one = HashKey({&zero, 1}, secret);
  CHECK(one.low == 0x44af996bd8c187da);
  CHECK(one.high == 0x45fc229b11597634);
}

}  // namespace
}  // namespace headrace::storage
