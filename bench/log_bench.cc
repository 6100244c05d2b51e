// The log alone: appending, following it with a cursor, looking offsets up. On a real file system, in
// $TMPDIR or /tmp; nothing is synced but what a case says.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "protocol/core/record_batch_builder.h"
#include "protocol/core/status_macros.h"
#include "storage/io/clock.h"
#include "storage/io/file_cache.h"
#include "storage/io/posix_file_system.h"
#include "storage/log.h"
#include "storage/offset_index.h"

namespace headrace::storage {
namespace {

std::vector<std::byte> MakeBatch(std::size_t size) {
  RecordBatchBuilder builder;
  const std::string value(100, 'v');
  RecordView record;
  record.timestamp = 1'700'000'000'000;
  record.value = AsBytes(value);
  do {
    builder.Add(record);
  } while (builder.size() < size);
  absl::StatusOr<std::vector<std::byte>> batch = builder.Build();
  HEADRACE_CHECK(batch.ok());
  return *std::move(batch);
}

// A log in a directory that goes with it.
class Bench {
 public:
  explicit Bench(std::size_t batch_size) : batch_(MakeBatch(batch_size)) {
    std::string path = (std::filesystem::temp_directory_path() / "headrace-log-bench-XXXXXX").string();
    HEADRACE_CHECK(mkdtemp(path.data()) != nullptr);
    root_ = path;
    environment_.files = &files_;
    environment_.clock = &clock_;
    environment_.cache = &cache_;
    environment_.boot_id = "bench";
    environment_.quarantine = path + "/quarantine";
    Open(std::nullopt);
  }
  ~Bench() { std::filesystem::remove_all(root_); }

  void Append() {
    const auto view = RecordBatchView::Parse(batch_);
    StampBatch(batch_, log_->offsets().end, 0);
    const ByteSpan piece = batch_;
    HEADRACE_CHECK(view.ok() && log_->Append({&piece, 1}).ok());
    log_->Publish(log_->WrittenPoint());
  }
  void Sync() {
    const SyncPoint point = log_->UnsyncedPoint();
    for (const auto& file : point.files) HEADRACE_CHECK(file->Sync().ok());
    for (const auto& directory : point.directories) HEADRACE_CHECK(files_.SyncDirectory(directory).ok());
    log_->MarkSynced(point);
    log_->Publish(point);
  }
  void Fill(std::uint64_t size) {
    while (log_->size() < size) Append();
    Sync();
  }
  // Deletes what is old, so that a long run does not fill the disk.
  void Limit(std::uint64_t size) {
    if (log_->size() < size) return;
    Sync();
    HEADRACE_CHECK(log_->Trim(log_->offsets().high_watermark, writer_).ok());
  }
  void Open(const std::optional<LogSummary>& summary) {
    auto log = Log::Open(environment_, (root_ / "topics/bench/0").string(), LogOptions(), summary, nullptr);
    HEADRACE_CHECK(log.ok());
    log_ = *std::move(log);
  }
  void Reopen() {
    const absl::StatusOr<LogSummary> summary = log_->Close();
    HEADRACE_CHECK(summary.ok());
    Open(*summary);
  }
  Log& log() { return *log_; }
  std::size_t batch_size() const { return batch_.size(); }

 private:
  PosixFileSystem files_;
  SystemClock clock_;
  FileCache cache_{files_, 64};
  LogEnvironment environment_;
  std::filesystem::path root_;
  std::vector<std::byte> batch_;
  std::unique_ptr<Log> log_;
  core::Mutex writer_;
};

// Bytes of a batch.
void BM_Append(benchmark::State& state) {
  Bench bench(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    bench.Append();
    bench.Limit(std::uint64_t{2} << 30);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bench.batch_size()));
}
BENCHMARK(BM_Append)->Arg(1 << 10)->Arg(16 << 10)->Arg(128 << 10)->Arg(1 << 20)->UseRealTime();

void BM_AppendAndSync(benchmark::State& state) {
  Bench bench(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    bench.Append();
    bench.Sync();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bench.batch_size()));
}
BENCHMARK(BM_AppendAndSync)->Arg(1 << 10)->Arg(128 << 10)->UseRealTime();

// Following 1 GiB with slices of this many bytes: what a stream costs beside its sendfile.
void BM_ReadNext(benchmark::State& state) {
  Bench bench(16 << 10);
  bench.Fill(std::uint64_t{1} << 30);
  ReadCursor cursor;
  for (auto _ : state) {
    const absl::StatusOr<FileSlice> slice =
        bench.log().Read(cursor, static_cast<std::uint64_t>(state.range(0)));
    HEADRACE_CHECK(slice.ok());
    if (slice->length == 0) cursor = ReadCursor{};
  }
}
BENCHMARK(BM_ReadNext)->Arg(64 << 10)->Arg(1 << 20);

// At the end of the log there is nothing to read: what a poll costs.
void BM_ReadAtEnd(benchmark::State& state) {
  Bench bench(16 << 10);
  bench.Fill(1 << 20);
  ReadCursor cursor;
  cursor.offset = bench.log().offsets().high_watermark;
  for (auto _ : state) benchmark::DoNotOptimize(bench.log().Read(cursor, 1 << 20));
}
BENCHMARK(BM_ReadAtEnd);

// From an offset anywhere in 1 GiB of small batches. 0: indexes from memory and cache, as after writing; 1:
// as after an orderly restart, when they come from disk first.
void BM_ReadByOffset(benchmark::State& state) {
  Bench bench(1 << 10);
  bench.Fill(std::uint64_t{1} << 30);
  if (state.range(0) == 1) bench.Reopen();
  std::mt19937_64 random(1);
  const auto end = static_cast<std::uint64_t>(bench.log().offsets().high_watermark);
  for (auto _ : state) {
    ReadCursor cursor;
    cursor.offset = static_cast<Offset>(random() % end);
    HEADRACE_CHECK(bench.log().Read(cursor, 1 << 20).ok());
  }
}
BENCHMARK(BM_ReadByOffset)->Arg(0)->Arg(1);

void BM_IndexFloor(benchmark::State& state) {
  OffsetIndex index(0, {0, 0});
  for (Offset i = 1; i <= 16'384; ++i) index.Note({10 * i, static_cast<std::uint64_t>(i) << 14}, 1 << 14);
  std::mt19937_64 random(1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(index.FloorOffset(static_cast<Offset>(random() % 163'840)));
  }
}
BENCHMARK(BM_IndexFloor);

// Opening logs that were shut down in order: per log.
void BM_OpenClean(benchmark::State& state) {
  Bench bench(1 << 10);
  bench.Fill(1 << 20);
  const absl::StatusOr<LogSummary> summary = bench.log().Close();
  HEADRACE_CHECK(summary.ok());
  for (auto _ : state) bench.Open(*summary);
}
BENCHMARK(BM_OpenClean);

}  // namespace
}  // namespace headrace::storage

BENCHMARK_MAIN();
