// Any bytes in place of what a broker keeps beside its logs are refused, or give values that can be used:
// whatever a disk has done to them, also where the sum happens to be right.
#include <vector>

#include "protocol/core/crc32c.h"
#include "protocol/core/status_macros.h"
#include "storage/checkpoint.h"
#include "storage/clean_manifest.h"
#include "storage/disposable_file.h"
#include "storage/io/small_file.h"
#include "storage/offset_index.h"
#include "storage/producer_state.h"
#include "storage/start_offset.h"
#include "storage/time_index.h"
#include "tests/support/memory_file_system.h"

namespace headrace::storage {
namespace {

using Bytes = std::vector<std::byte>;
constexpr std::size_t kSumAt = 4;  // in every file but the small ones, of all that follows it
constexpr std::size_t kCovered = 8;

Bytes Sealed(Bytes bytes, std::string_view magic) {
  if (bytes.size() < kCovered) return bytes;
  std::copy_n(AsBytes(magic).begin(), magic.size(), bytes.begin());
  StoreBigEndian(bytes.data() + kSumAt, Crc32c(ByteSpan(bytes).subspan(kCovered)));
  return bytes;
}

void FuzzIndexes(const Bytes& input) {
  if (input.size() < 24) return;
  const auto base_offset = LoadBigEndian<Offset>(input.data() + 8);
  const auto log_size = LoadBigEndian<std::uint64_t>(input.data() + 16);
  const Bytes offsets = Sealed(input, "HROI");
  if (const auto index = OffsetIndex::Parse(offsets, base_offset, log_size)) {
    HEADRACE_CHECK(index->Serialize(log_size) == offsets);
    HEADRACE_CHECK(index->FloorPosition(log_size).position <= log_size);
    index->FloorOffset(base_offset);
    index->DamageFrom(0);
  }
  if (const auto parsed = TimeIndex::Parse(Sealed(input, "HRTI"), base_offset, log_size)) {
    parsed->index.Floor(parsed->times.max_timestamp);
    HEADRACE_CHECK(parsed->index.entry_count() * 16 <= input.size());
  }
}

void FuzzProducers(const Bytes& input) {
  const auto snapshot = ProducerState::Parse(Sealed(input, "HRPS"));
  if (!snapshot.ok()) return;
  const auto again = ProducerState::Parse(snapshot->state.Serialize(snapshot->end));
  HEADRACE_CHECK(again.ok() && again->end == snapshot->end);
  HEADRACE_CHECK(again->state.size() == snapshot->state.size());
}

void FuzzFiles(const Bytes& input) {
  static testing::MemoryFileSystem files;
  const auto with = [](const Bytes& content) {
    files.Write("/file", content);
    return "/file";
  };
  ReadSmallFile(files, with(input)).status().IgnoreError();
  ReadStartOffset(files, "/file").status().IgnoreError();
  ReadCheckpoint(files, "/file").status().IgnoreError();
  if (const auto content = ReadDisposableFile(files, with(Sealed(input, "HRDF")))) {
    HEADRACE_CHECK(content->size() + kCovered == input.size());
  }
  ReadCheckpoint(files, with(Sealed(input, "HRCP"))).status().IgnoreError();
}

void Fuzz(const Bytes& input) {
  FuzzIndexes(input);
  FuzzProducers(input);
  FuzzFiles(input);
  ParseManifest(input).status().IgnoreError();
}

}  // namespace
}  // namespace headrace::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  headrace::storage::Fuzz({begin, begin + size});
  return 0;
}
