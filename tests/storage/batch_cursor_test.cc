#include "storage/batch_cursor.h"

#include <catch2/catch.hpp>

#include "protocol/core/error_code.h"
#include "storage/segment_scan.h"
#include "tests/support/batches.h"
#include "tests/support/memory_file_system.h"

namespace headrace::storage {
namespace {

using headrace::testing::MakeBatch;
using headrace::testing::MemoryFileSystem;

// A file of batches of one record each, of growing size.
struct BatchFile {
  explicit BatchFile(int count, Offset base_offset = 0) {
    for (int i = 0; i < count; ++i) {
      const std::string value(static_cast<std::size_t>(1 + 13 * i), 'x');
      headrace::testing::BatchOptions options;
      options.base_offset = base_offset + i;
      options.timestamp = 1'000 + i;
      const std::vector<std::byte> batch = MakeBatch({value}, options);
      begins.push_back(bytes.size());
      bytes.insert(bytes.end(), batch.begin(), batch.end());
    }
    Store();
  }
  void Store() {
    files.Write("/segment", bytes);
    file = *files.Open("/segment", OpenMode::kRead);
  }

  MemoryFileSystem files;
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> begins;
  std::shared_ptr<File> file;
};

TEST_CASE("BatchCursor: walks every batch, over the edges of its buffer") {
  const BatchFile batches(120, 7);
  REQUIRE(batches.bytes.size() > 50'000);
  BatchCursor cursor(*batches.file, 0, batches.bytes.size());
  for (std::size_t i = 0; i < batches.begins.size(); ++i) {
    const absl::StatusOr<StoredBatch> batch = cursor.Next();
    REQUIRE(batch.ok());
    CHECK(batch->position == batches.begins[i]);
    CHECK(batch->base_offset == 7 + static_cast<Offset>(i));
    CHECK(batch->last_offset == batch->base_offset);
    CHECK(batch->max_timestamp == 1'000 + static_cast<TimestampMs>(i));
  }
  CHECK(cursor.done());
}

TEST_CASE("BatchCursor: never goes past its limit") {
  const BatchFile batches(3);
  const std::uint64_t end = batches.bytes.size();
  for (std::uint64_t limit = batches.begins[2] + 1; limit < end; ++limit) {
    BatchCursor cursor(*batches.file, batches.begins[2], limit);
    CHECK(CodeOf(cursor.Next().status()) == ErrorCode::kCorruptMessage);
  }
  BatchCursor cursor(*batches.file, end, end);
  CHECK(cursor.done());
}

TEST_CASE("BatchCursor: zeros and noise are no batch") {
  BatchFile batches(2);
  const std::byte filler = GENERATE(std::byte{0}, std::byte{0xff}, std::byte{2});
  batches.bytes.assign(200, filler);
  batches.Store();
  BatchCursor cursor(*batches.file, 0, 200);
  const absl::Status error = cursor.Next().status();
  CHECK(CodeOf(error) == ErrorCode::kCorruptMessage);
  CHECK(MessageOf(error).find("/segment") != std::string_view::npos);
}

TEST_CASE("SegmentScanner: finds every batch, and the end") {
  const BatchFile batches(40, 3);
  SegmentScanner scanner(*batches.file, {3, 0}, batches.bytes.size());
  for (int i = 0; i < 40; ++i) REQUIRE(*scanner.Next() == SegmentScanner::Found::kBatch);
  CHECK(*scanner.Next() == SegmentScanner::Found::kEnd);
  CHECK(scanner.place() == BatchPlace{43, batches.bytes.size()});
}

TEST_CASE("SegmentScanner: a batch with a damaged length is passed by searching") {
  BatchFile batches(5);
  batches.bytes[batches.begins[2] + 9] ^= std::byte{0x40};
  batches.Store();
  SegmentScanner scanner(*batches.file, {0, 0}, batches.bytes.size());
  REQUIRE(*scanner.Next() == SegmentScanner::Found::kBatch);
  REQUIRE(*scanner.Next() == SegmentScanner::Found::kBatch);
  REQUIRE(*scanner.Next() == SegmentScanner::Found::kBad);
  const absl::StatusOr<std::optional<BatchPlace>> next = scanner.FindNext(100);
  REQUIRE(next.ok());
  CHECK(**next == BatchPlace{3, batches.begins[3]});
}

TEST_CASE("SegmentScanner: a batch larger than its window is checked in pieces") {
  MemoryFileSystem files;
  const std::string large(5'000'000, 'y');
  std::vector<std::byte> bytes = MakeBatch({large});
  files.Write("/segment", bytes);
  const std::shared_ptr<File> whole = *files.Open("/segment", OpenMode::kRead);
  SegmentScanner scanner(*whole, {0, 0}, bytes.size());
  REQUIRE(*scanner.Next() == SegmentScanner::Found::kBatch);
  CHECK(scanner.batch().size() == bytes.size());
  bytes[2'000'000] ^= std::byte{1};
  files.Write("/segment", bytes);
  const std::shared_ptr<File> damaged = *files.Open("/segment", OpenMode::kRead);
  SegmentScanner second(*damaged, {0, 0}, bytes.size());
  CHECK(*second.Next() == SegmentScanner::Found::kBad);
}

// Counts what is read of another file.
class CountingFile final : public File {
 public:
  explicit CountingFile(const File& inner) : inner_(inner) {}
  absl::Status WriteAt(std::uint64_t, std::span<const ByteSpan>) override { return absl::OkStatus(); }
  absl::StatusOr<std::size_t> ReadAt(std::uint64_t position, MutableByteSpan out) const override {
    const absl::StatusOr<std::size_t> read = inner_.ReadAt(position, out);
    if (read.ok()) bytes_read += *read;
    return read;
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Truncate(std::uint64_t) override { return absl::OkStatus(); }
  absl::StatusOr<std::uint64_t> Size() const override { return inner_.Size(); }
  int descriptor() const override { return -1; }
  const std::string& path() const override { return inner_.path(); }

  mutable std::uint64_t bytes_read = 0;

 private:
  const File& inner_;
};

TEST_CASE("SegmentScanner: reads a sound file once, whatever the size of its batches") {
  MemoryFileSystem files;
  std::vector<std::byte> bytes;
  Offset next = 0;
  for (const std::size_t size :
       std::vector<std::size_t>{100, 200'000, 100, 300'000, 1'000'000, 500, 700'000, 60'000, 250'000}) {
    headrace::testing::BatchOptions options;
    options.base_offset = next++;
    const std::vector<std::byte> batch = MakeBatch({std::string(size, 'v')}, options);
    bytes.insert(bytes.end(), batch.begin(), batch.end());
  }
  files.Write("/segment", bytes);
  const std::shared_ptr<File> file = *files.Open("/segment", OpenMode::kRead);
  const CountingFile counting(*file);
  SegmentScanner scanner(counting, {0, 0}, bytes.size());
  while (*scanner.Next() == SegmentScanner::Found::kBatch) {
  }
  CHECK(scanner.place() == BatchPlace{next, bytes.size()});
  CHECK(counting.bytes_read == bytes.size());
}

TEST_CASE("SegmentScanner: a search reads a file once, however often it is damaged") {
  BatchFile batches(400);
  for (std::size_t i = 0; i < 400; i += 2) {
    std::fill_n(batches.bytes.begin() + static_cast<std::ptrdiff_t>(batches.begins[i]), 61, std::byte{7});
  }
  batches.Store();
  const CountingFile counting(*batches.file);
  SegmentScanner scanner(counting, {0, 0}, batches.bytes.size());
  for (std::size_t i = 1; i < 400; i += 2) {
    REQUIRE(*scanner.Next() == SegmentScanner::Found::kBad);
    const absl::StatusOr<std::optional<BatchPlace>> next = scanner.FindNext(400);
    REQUIRE(next.ok());
    REQUIRE(**next == BatchPlace{static_cast<Offset>(i), batches.begins[i]});
    scanner.Resume(**next);
    REQUIRE(*scanner.Next() == SegmentScanner::Found::kBatch);
  }
  CHECK(*scanner.Next() == SegmentScanner::Found::kEnd);
  // To look for batches, to check them, and to go through them.
  CHECK(counting.bytes_read < 4 * batches.bytes.size());
}

TEST_CASE("ScanIndexes: what it builds leads to every batch, around the damage") {
  BatchFile batches(30);
  batches.bytes[batches.begins[10] + 70] ^= std::byte{1};
  batches.Store();
  const absl::StatusOr<ScannedIndexes> indexes = ScanIndexes(*batches.file, 0, batches.bytes.size(), 30, 300);
  REQUIRE(indexes.ok());
  REQUIRE(indexes->offsets.damaged().size() == 1);
  CHECK(indexes->offsets.damaged().front() == DamagedRange{batches.begins[10], batches.begins[11], 10, 11});
  CHECK(indexes->max_timestamp == 1'029);
  for (Offset offset = 0; offset < 30; ++offset) {
    const BatchPlace floor = indexes->offsets.FloorOffset(offset);
    CHECK(floor.offset <= offset);
    CHECK(floor.position == batches.begins[static_cast<std::size_t>(floor.offset)]);
  }
}

}  // namespace
}  // namespace headrace::storage
