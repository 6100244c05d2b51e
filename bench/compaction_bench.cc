// Compaction of a log, on a real file system in $TMPDIR or /tmp: 64 MiB of batches of records of 100 bytes
// (values of 4 random bits a byte), without the throttle that a broker puts on it. Arguments: keys, and the
// codec of the batches.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <random>

#include "protocol/core/record_batch_builder.h"
#include "protocol/core/status_macros.h"
#include "storage/compaction.h"
#include "storage/io/clock.h"
#include "storage/io/file_cache.h"
#include "storage/io/posix_file_system.h"
#include "storage/log.h"

namespace headrace::storage {
namespace {

constexpr std::uint64_t kLogSize = std::uint64_t{64} << 20;
constexpr std::size_t kBatchSize = 64 << 10;

// A log in a directory that goes with it.
class Bench {
 public:
  Bench(std::uint64_t keys, Compression codec) : keys_(keys), codec_(codec) {
    std::string path = (std::filesystem::temp_directory_path() / "headrace-compaction-bench-XXXXXX").string();
    HEADRACE_CHECK(mkdtemp(path.data()) != nullptr);
    root_ = path;
    environment_.files = &files_;
    environment_.clock = &clock_;
    environment_.cache = &cache_;
    environment_.boot_id = "bench";
    environment_.quarantine = path + "/quarantine";
    LogOptions options;
    options.compact = true;
    options.segment_size_max = std::uint64_t{8} << 20;
    auto log = Log::Open(environment_, path + "/topics/bench/0", options, std::nullopt, nullptr);
    HEADRACE_CHECK(log.ok());
    log_ = *std::move(log);
    while (log_->size() < kLogSize) Append();
    Sync();
  }
  ~Bench() { std::filesystem::remove_all(root_); }

  CompactionResult Compact() {
    auto plan = log_->PlanCompaction();
    HEADRACE_CHECK(plan.ok() && *plan != nullptr);
    Compaction compaction(*std::move(*plan), CompactionLimits());
    for (;;) {
      const auto ready = compaction.Next();
      HEADRACE_CHECK(ready.ok());
      if (!ready->has_value()) break;
      const auto swapped = log_->SwapCompacted(**ready);
      HEADRACE_CHECK(swapped.ok() && compaction.Settle(**ready, *swapped).ok());
    }
    log_->FinishCompaction(compaction.progress());
    return compaction.result();
  }

 private:
  void Append() {
    RecordBatchBuilder builder(codec_);
    std::string value(80, '\0');
    RecordView record;
    record.timestamp = 1'700'000'000'000;
    do {
      const std::string key = "key-" + std::to_string(random_() % keys_);
      for (char& each : value) each = static_cast<char>('a' + random_() % 16);
      record.key = AsBytes(key);
      record.value = AsBytes(value);
      builder.Add(record);
    } while (builder.size() < kBatchSize);
    auto batch = builder.Build();
    HEADRACE_CHECK(batch.ok());
    StampBatch(*batch, log_->offsets().end, 0);
    const ByteSpan piece = *batch;
    HEADRACE_CHECK(log_->Append({&piece, 1}).ok());
    log_->Publish(log_->WrittenPoint());
  }
  void Sync() {
    const SyncPoint point = log_->UnsyncedPoint();
    for (const auto& file : point.files) HEADRACE_CHECK(file->Sync().ok());
    for (const auto& directory : point.directories) HEADRACE_CHECK(files_.SyncDirectory(directory).ok());
    log_->MarkSynced(point);
    log_->Publish(point);
  }

  PosixFileSystem files_;
  SystemClock clock_;
  FileCache cache_{files_, 64};
  LogEnvironment environment_;
  std::filesystem::path root_;
  const std::uint64_t keys_;
  const Compression codec_;
  std::mt19937_64 random_{1};
  std::unique_ptr<Log> log_;
};

// Bytes per second are those of the log as it was; `kept` is the share of them that is left.
void BM_Compact(benchmark::State& state) {
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  const auto codec = static_cast<Compression>(state.range(1));
  std::int64_t bytes = 0;
  CompactionResult result;
  for (auto _ : state) {
    state.PauseTiming();
    std::optional<Bench> bench(std::in_place, keys, codec);
    state.ResumeTiming();
    result = bench->Compact();
    state.PauseTiming();
    bytes += static_cast<std::int64_t>(result.bytes_before);
    bench.reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(bytes);
  state.counters["kept"] = static_cast<double>(result.bytes_after) / static_cast<double>(result.bytes_before);
  state.counters["passes"] = result.passes;
}
BENCHMARK(BM_Compact)
    ->ArgsProduct({{1'000, 300'000, 2'000'000},
                   {static_cast<int>(Compression::kNone), static_cast<int>(Compression::kLz4),
                    static_cast<int>(Compression::kZstd)}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace headrace::storage

BENCHMARK_MAIN();
