// What does a record cost on its way into a batch and out again, and what does each codec add?
//
// Records of 100 bytes of text with an 8-byte key, in batches of 16 KiB and 1 MiB. Expect 10 to 20 ns for a
// record built (with its checksum) or walked; a checksum at tens of GB/s, by table about 2; and of the
// codecs, per record: lz4, snappy and zstd one to some hundreds of ns, gzip microseconds to compress.
// "s/record" is the figure to compare, its unit behind it ("6.1n" is 6.1 ns); `ratio` is compressed by plain
// size.
#include <benchmark/benchmark.h>

#include <array>
#include <random>
#include <string>

#include "protocol/core/crc32c.h"
#include "protocol/core/record_batch_builder.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

constexpr std::size_t kValueSize = 100;
constexpr std::size_t kDecompressedSizeMax = 16 << 20;

// Text that compresses about as lines of a log do: words of a small vocabulary, and numbers.
class Records {
 public:
  explicit Records(std::size_t size) {
    constexpr std::array<std::string_view, 8> kWords = {
        "INFO ", "request ", "took ", "status=", "GET ", "/index ", "cached ", "user="};
    std::mt19937_64 random(1);
    for (std::size_t i = 0; i * (kValueSize + 20) < size; ++i) {
      std::string value;
      while (value.size() < kValueSize) {
        value += kWords[random() % kWords.size()];
        value += std::to_string(random() % 1000) + ' ';
      }
      value.resize(kValueSize);
      values_.push_back(std::move(value));
      keys_.push_back(std::to_string(10'000'000 + i));
    }
  }

  std::size_t count() const { return values_.size(); }

  void AddTo(RecordBatchBuilder& builder) const {
    RecordView record;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      record.timestamp = 1'700'000'000'000 + static_cast<TimestampMs>(i);
      record.key = AsBytes(keys_[i]);
      record.value = AsBytes(values_[i]);
      builder.Add(record);
    }
  }

 private:
  std::vector<std::string> values_;
  std::vector<std::string> keys_;
};

std::vector<std::byte> BuildBatch(const Records& records, Compression compression) {
  RecordBatchBuilder builder(compression);
  records.AddTo(builder);
  auto batch = builder.Build();
  HEADRACE_CHECK(batch.ok());
  return *std::move(batch);
}

void ReportPerRecord(benchmark::State& state, std::size_t records_a_round) {
  const double records = static_cast<double>(records_a_round) * static_cast<double>(state.iterations());
  state.counters["s/record"] =
      benchmark::Counter(records, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void Build(benchmark::State& state) {
  const Records records(static_cast<std::size_t>(state.range(0)));
  RecordBatchBuilder builder;
  for (auto _ : state) {
    records.AddTo(builder);
    auto batch = builder.Build();
    benchmark::DoNotOptimize(batch);
  }
  ReportPerRecord(state, records.count());
}

void Iterate(benchmark::State& state) {
  const Records records(static_cast<std::size_t>(state.range(0)));
  const auto bytes = BuildBatch(records, Compression::kNone);
  for (auto _ : state) {
    auto iterator = RecordIterator::Open(*RecordBatchView::Parse(bytes), kDecompressedSizeMax);
    while (iterator->Next()) benchmark::DoNotOptimize(iterator->record());
    HEADRACE_CHECK(iterator->status().ok());
  }
  ReportPerRecord(state, records.count());
}

void CheckProduced(benchmark::State& state) {
  const Records records(static_cast<std::size_t>(state.range(0)));
  const auto bytes = BuildBatch(records, Compression::kNone);
  for (auto _ : state) {
    const auto batch = RecordBatchView::Parse(bytes);
    benchmark::DoNotOptimize(batch->CheckProduced());
  }
  ReportPerRecord(state, records.count());
}

void Crc(benchmark::State& state, std::uint32_t (*sum)(ByteSpan, std::uint32_t)) {
  const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)), std::byte{7});
  for (auto _ : state) benchmark::DoNotOptimize(sum(bytes, 0));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void BuildCompressed(benchmark::State& state, Compression compression) {
  const Records records(static_cast<std::size_t>(state.range(0)));
  RecordBatchBuilder builder(compression);
  std::size_t size = 0;
  for (auto _ : state) {
    records.AddTo(builder);
    size = builder.Build()->size();
  }
  ReportPerRecord(state, records.count());
  state.counters["ratio"] =
      static_cast<double>(size) / static_cast<double>(BuildBatch(records, Compression::kNone).size());
}

void IterateCompressed(benchmark::State& state, Compression compression) {
  const Records records(static_cast<std::size_t>(state.range(0)));
  const auto bytes = BuildBatch(records, compression);
  for (auto _ : state) {
    auto iterator = RecordIterator::Open(*RecordBatchView::Parse(bytes), kDecompressedSizeMax);
    while (iterator->Next()) benchmark::DoNotOptimize(iterator->record());
    HEADRACE_CHECK(iterator->status().ok());
  }
  ReportPerRecord(state, records.count());
}

constexpr std::int64_t kSmall = 16 << 10;
constexpr std::int64_t kLarge = 1 << 20;

BENCHMARK(Build)->Arg(kSmall)->Arg(kLarge);
BENCHMARK(Iterate)->Arg(kSmall)->Arg(kLarge);
BENCHMARK(CheckProduced)->Arg(kSmall)->Arg(kLarge);
BENCHMARK_CAPTURE(Crc, isal, Crc32c)->Arg(kSmall)->Arg(kLarge);
BENCHMARK_CAPTURE(Crc, portable, Crc32cPortable)->Arg(kSmall)->Arg(kLarge);
BENCHMARK_CAPTURE(BuildCompressed, gzip, Compression::kGzip)->Arg(kSmall)->Arg(kLarge);
BENCHMARK_CAPTURE(BuildCompressed, snappy, Compression::kSnappy)->Arg(kSmall)->Arg(kLarge);
BENCHMARK_CAPTURE(BuildCompressed, lz4, Compression::kLz4)->Arg(kSmall)->Arg(kLarge);
BENCHMARK_CAPTURE(BuildCompressed, zstd, Compression::kZstd)->Arg(kSmall)->Arg(kLarge);
BENCHMARK_CAPTURE(IterateCompressed, gzip, Compression::kGzip)->Arg(kSmall)->Arg(kLarge);
BENCHMARK_CAPTURE(IterateCompressed, snappy, Compression::kSnappy)->Arg(kSmall)->Arg(kLarge);
BENCHMARK_CAPTURE(IterateCompressed, lz4, Compression::kLz4)->Arg(kSmall)->Arg(kLarge);
BENCHMARK_CAPTURE(IterateCompressed, zstd, Compression::kZstd)->Arg(kSmall)->Arg(kLarge);

}  // namespace
}  // namespace headrace

BENCHMARK_MAIN();
