#include "storage/segment.h"

#include <catch2/catch.hpp>

#include "protocol/core/error_code.h"
#include "storage/io/file_cache.h"
#include "tests/support/batches.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace headrace::storage {
namespace {

using headrace::testing::BatchOptions;
using headrace::testing::FakeClock;
using headrace::testing::FaultyFileSystem;
using headrace::testing::MakeBatch;
using headrace::testing::MemoryFileSystem;

constexpr Offset kBase = 100;

// One segment in a directory of its own.
class Workbench {
 public:
  explicit Workbench(std::uint32_t index_interval = 128) {
    REQUIRE(memory.CreateDirectory("/log").ok());
    environment.files = &files;
    environment.clock = &clock;
    environment.cache = &cache;
    home = {&environment, std::make_shared<const std::string>("/log"), index_interval};
    segment = std::make_shared<Segment>(home, kBase);
    REQUIRE(segment->Create().ok());
  }

  std::vector<std::byte> Batch(std::size_t size = 10) const {
    const std::string value(size, 'v');
    BatchOptions options;
    options.base_offset = segment->written().offset;
    options.timestamp = 5'000 + options.base_offset;
    return MakeBatch({value}, options);
  }
  absl::Status Write(const std::vector<std::byte>& batch) {
    const ByteSpan piece = batch;
    return segment->Write({&piece, 1});
  }
  void Append(std::size_t size = 10) {
    const std::vector<std::byte> batch = Batch(size);
    REQUIRE(Write(batch).ok());
    const RecordBatchView view = *RecordBatchView::Parse(batch);
    segment->Adopt({&view, 1}, clock.WallNow());
  }
  void PublishAll() { segment->Publish({segment->written().position, segment->written().offset}); }
  // The same file, as a log finds it that was shut down.
  std::shared_ptr<Segment> Reopened(bool verified = true) const {
    return std::make_shared<Segment>(home, kBase, segment->written(), segment->times(), verified);
  }

  MemoryFileSystem memory;
  FaultyFileSystem files{memory};
  FakeClock clock;
  FileCache cache{files, 8};
  LogEnvironment environment;
  SegmentHome home;
  std::shared_ptr<Segment> segment;
};

TEST_CASE("Segment: its file is named by its base offset in twenty digits") {
  CHECK(SegmentPath("/log", 42, "log") == "/log/00000000000000000042.log");
  CHECK(SegmentPath("/log", 9'223'372'036'854'775'807, "index") == "/log/09223372036854775807.index");
}

TEST_CASE("Segment: what is written is taken in only by Adopt, and readable only by Publish") {
  Workbench bench;
  REQUIRE(bench.Write(bench.Batch()).ok());
  CHECK(bench.segment->written() == BatchPlace{kBase, 0});
  bench.Append();
  CHECK(bench.segment->written().offset == kBase + 1);
  CHECK(bench.segment->published().size == 0);
  bench.PublishAll();
  CHECK(bench.segment->published().offset == kBase + 1);
}

TEST_CASE("Segment: Publish never goes back") {
  Workbench bench;
  bench.Append();
  const BatchPlace first = bench.segment->written();
  bench.Append();
  bench.PublishAll();
  bench.segment->Publish({first.position, first.offset});
  CHECK(bench.segment->published().offset == kBase + 2);
}

TEST_CASE("Segment: CutBack removes what was not taken in, and nothing else") {
  Workbench bench;
  bench.Append();
  const std::vector<std::byte> before = bench.memory.Read("/log/00000000000000000100.log");
  REQUIRE(bench.Write(bench.Batch()).ok());
  REQUIRE(bench.segment->CutBack().ok());
  CHECK(bench.memory.Read("/log/00000000000000000100.log") == before);
}

TEST_CASE("Segment: holds its file exactly while bytes of it may not be on disk") {
  Workbench bench;
  bench.Append();
  const std::uint64_t first = bench.segment->written().position;
  CHECK(bench.segment->UnsyncedFile() != nullptr);
  bench.Append();
  bench.segment->MarkSynced(first);
  CHECK(bench.segment->UnsyncedFile() != nullptr);
  bench.segment->MarkSynced(bench.segment->written().position);
  CHECK(bench.segment->UnsyncedFile() == nullptr);
}

TEST_CASE("Segment: finds every offset, and ends every slice at a batch") {
  Workbench bench;
  std::vector<std::uint64_t> begins;
  for (std::size_t i = 0; i < 40; ++i) {
    begins.push_back(bench.segment->written().position);
    bench.Append(1 + i * 7 % 90);
  }
  bench.PublishAll();
  const int where = GENERATE(0, 1, 2);
  std::shared_ptr<Segment> segment = bench.segment;
  if (where >= 1) segment->StoreIndexes();
  if (where == 1) segment = bench.Reopened();  // by the stored index
  if (where == 2) {                            // by one that must be rebuilt
    REQUIRE(bench.memory.Remove("/log/00000000000000000100.index").ok());
    bench.environment.indexes = MakeIndexCache();
    segment = bench.Reopened();
  }
  begins.push_back(bench.segment->written().position);
  for (std::size_t i = 0; i < 40; ++i) {
    const BatchPlace begin{kBase + static_cast<Offset>(i), begins[i]};
    CHECK(*segment->Find(begin.offset) == begin);
    for (const std::uint64_t size_max :
         {std::uint64_t{1}, std::uint64_t{300}, std::uint64_t{1'500}, ~std::uint64_t{0}}) {
      const absl::StatusOr<BatchPlace> end = segment->SliceEnd(begin, size_max);
      REQUIRE(end.ok());
      const auto next = static_cast<std::size_t>(end->offset - kBase);
      REQUIRE(next > i);
      CHECK(begins[next] == end->position);
      CHECK((end->position - begin.position <= size_max || next == i + 1));
    }
  }
  if (where == 2) CHECK(bench.memory.Exists("/log/00000000000000000100.index"));
}

TEST_CASE("Segment: what a clean stop said is checked once, at first use") {
  Workbench bench;
  bench.Append();
  bench.PublishAll();
  std::vector<std::byte> bytes = bench.memory.Read("/log/00000000000000000100.log");
  const std::shared_ptr<Segment> reopened = bench.Reopened(false);
  SECTION("as it was") {
    CHECK(reopened->Open().ok());
    return;
  }
  SECTION("shorter") {
    bytes.pop_back();
  }
  SECTION("longer") {
    bytes.push_back(std::byte{1});
  }
  bench.memory.Write("/log/00000000000000000100.log", bytes);
  CHECK(absl::IsFailedPrecondition(reopened->Open().status()));
}

TEST_CASE("Segment: damage that nobody knew of is found by the walk that meets it") {
  // With an entry for every batch, and with none that would tell where the next one begins.
  Workbench bench(GENERATE(as<std::uint32_t>{}, 128, 1 << 20));
  for (int i = 0; i < 10; ++i) bench.Append(100);
  bench.PublishAll();
  const std::uint64_t size = bench.segment->written().position / 10;
  std::vector<std::byte> bytes = bench.memory.Read("/log/00000000000000000100.log");
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(4 * size), 61, std::byte{0});
  bench.memory.Write("/log/00000000000000000100.log", bytes);
  const bool sealed = GENERATE(true, false);
  if (sealed) bench.segment->StoreIndexes();
  const absl::Status error = bench.segment->SliceEnd({kBase + 4, 4 * size}, 1).status();
  CHECK(CodeOf(error) == ErrorCode::kCorruptMessage);
  CHECK(MessageOf(error).find("readable again from offset 105") != std::string_view::npos);
  CHECK(*bench.segment->SliceEnd({kBase, 0}, 1 << 20) == BatchPlace{kBase + 4, 4 * size});
  CHECK(*bench.segment->Find(kBase + 5) == BatchPlace{kBase + 5, 5 * size});
  CHECK(bench.segment->SliceEnd({kBase + 5, 5 * size}, 1 << 20)->offset == kBase + 10);
}

TEST_CASE("Segment: deletion removes all its files, and leaves open ones readable") {
  Workbench bench;
  bench.Append();
  bench.PublishAll();
  bench.segment->StoreIndexes();
  const std::shared_ptr<File> open = *bench.segment->Open();
  REQUIRE(bench.segment->Delete().ok());
  CHECK(bench.memory.Files().empty());
  std::byte first[8];
  CHECK(*open->ReadAt(0, first) == 8);
  CHECK(open.use_count() == 1);  // nobody else keeps the space
  CHECK(bench.segment->Delete().ok());
}

TEST_CASE("Segment: a full disk costs an index and nothing else") {
  Workbench bench;
  for (int i = 0; i < 10; ++i) bench.Append(100);
  bench.PublishAll();
  bench.files.SetDecide([](const headrace::testing::FileOperation&) {
    return headrace::testing::Fault{absl::ResourceExhaustedError("full"), 3};
  });
  bench.segment->StoreIndexes();
  bench.files.Heal();
  CHECK(bench.segment->Find(kBase + 7)->offset == kBase + 7);
  bench.environment.indexes = MakeIndexCache();
  CHECK(bench.segment->Find(kBase + 7)->offset == kBase + 7);
}

TEST_CASE("IndexCache: holds as much as it may, and forgets what was not used for longest") {
  const auto make = [] {
    OffsetIndex index(0, {0, 0});
    for (Offset i = 1; i <= 100; ++i) index.Note({i, static_cast<std::uint64_t>(i) * 10}, 10);
    return std::make_shared<const IndexCache::Loaded>(std::move(index), 1'010);
  };
  IndexCache cache(3 * make()->index.memory_size());
  for (const char* path : {"/a", "/b", "/c"}) cache.Put(path, make());
  CHECK(cache.Get("/a") != nullptr);
  cache.Put("/d", make());
  CHECK(cache.Get("/b") == nullptr);
  CHECK(cache.Get("/a") != nullptr);
  CHECK(cache.size() == 3 * make()->index.memory_size());
  cache.Drop("/a");
  CHECK(cache.Get("/a") == nullptr);
}

}  // namespace
}  // namespace headrace::storage
