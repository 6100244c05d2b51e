// The indexes of a segment: the part in memory, the part on disk, and finding one's way by them.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/segment.h"

namespace headrace::storage {
namespace {

constexpr std::uint64_t kIndexFileSizeMax = std::uint64_t{1} << 30;
// When the indexes are worth storing again: after so many entries, and so much of what they covered.
constexpr std::uint64_t kEntriesGrown = 4;
constexpr std::uint64_t kShareGrown = 16;

absl::Status WriteWhole(FileSystem& files, const std::string& path, ByteSpan content) {
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, files.Open(path, OpenMode::kCreate));
  RETURN_IF_ERROR(file->Truncate(0));
  return file->WriteAt(0, {&content, 1});
}

}  // namespace

BatchPlace Segment::MemoryBegin() const {
  return memory_ == nullptr ? written_ : memory_->offsets.first();
}

std::string Segment::IndexKey() const {
  return revision_ == 0 ? Path("log") : absl::StrCat(Path("log"), "+", revision_);
}

Segment::Memory& Segment::EnsureMemory() {
  if (memory_ == nullptr) {
    memory_ = std::make_unique<Memory>(Memory{OffsetIndex(base_offset_, written_), TimeIndex(base_offset_)});
  }
  return *memory_;
}

void Segment::SetIndexes(ScannedIndexes indexes) {
  const core::MutexLock lock(mutex_);
  memory_ = std::make_unique<Memory>(Memory{std::move(indexes.offsets), std::move(indexes.times)});
}

std::vector<std::byte> ReadIndexBytes(FileSystem& files, const std::string& path) {
  const absl::StatusOr<std::shared_ptr<File>> file = files.Open(path, OpenMode::kRead);
  if (!file.ok()) return {};
  const absl::StatusOr<std::uint64_t> size = (*file)->Size();
  if (!size.ok() || *size > kIndexFileSizeMax) return {};
  std::vector<std::byte> bytes(*size);
  const absl::StatusOr<std::size_t> read = (*file)->ReadAt(0, bytes);
  bytes.resize(read.ok() ? *read : 0);
  return bytes;
}

void Segment::StoreIndexFiles(const OffsetIndex& offsets, const TimeIndex& times, std::uint64_t log_size,
                              const SegmentTimes& segment_times) const {
  const core::MutexLock store_lock(store_mutex_);
  {
    const core::MutexLock lock(mutex_);
    if (retired_) return;
  }
  FileSystem& files = *home_.environment->files;
  absl::Status stored = WriteWhole(files, Path("index"), offsets.Serialize(log_size));
  if (stored.ok()) stored = WriteWhole(files, Path("timeindex"), times.Serialize(log_size, segment_times));
  if (!stored.ok() && home_.environment->report) {
    home_.environment->report(absl::StrCat(
        Path("index"), ": not written, so it will be rebuilt when it is needed: ", stored.message()));
  }
  bool deleted = false;
  {
    const core::MutexLock lock(mutex_);
    deleted = deleted_;
  }
  if (!deleted) return;
  // The segment went while a reader was rebuilding its index: nothing of it may stay.
  files.Remove(Path("index")).IgnoreError();
  files.Remove(Path("timeindex")).IgnoreError();
}

void Segment::StoreIndexes() {
  if (StoreWholeIndexes()) return;
  const core::MutexLock lock(mutex_);
  prefix_damaged_.reset();
  memory_.reset();
}

void Segment::StoreIndexesIfGrown() {
  {
    const core::MutexLock lock(mutex_);
    const std::uint64_t stored = MemoryBegin().position;
    const std::uint64_t grown = written_.position - stored;
    if (grown < std::max(kEntriesGrown * home_.index_interval, stored / kShareGrown)) return;
  }
  StoreWholeIndexes();
}

bool Segment::StoreWholeIndexes() {
  std::optional<Memory> memory;
  BatchPlace end;
  SegmentTimes segment_times;
  {
    const core::MutexLock lock(mutex_);
    if (memory_ == nullptr) return true;
    memory = *memory_;
    end = written_;
    segment_times = times_;
  }
  if (const BatchPlace begin = memory->offsets.first(); begin.position > 0) {
    const Prefix prefix = PrefixAtHand(begin);
    std::optional<TimeIndex::Parsed> times = StoredTimes(begin.position);
    if (prefix == nullptr || prefix->log_size != begin.position || !times.has_value()) return false;
    memory->offsets.Prepend(prefix->index);
    memory->times.Prepend(times->index);
  }
  StoreIndexFiles(memory->offsets, memory->times, end.position, segment_times);
  const bool damaged = !memory->offsets.damaged().empty();
  auto loaded = std::make_shared<const IndexCache::Loaded>(std::move(memory->offsets), end.position);
  home_.environment->indexes->Put(IndexKey(), std::move(loaded));
  const core::MutexLock lock(mutex_);
  prefix_damaged_ = damaged;
  memory_.reset();
  return true;
}

Segment::Prefix Segment::PrefixAtHand(BatchPlace end) const {
  const std::string path = IndexKey();
  IndexCache& cache = *home_.environment->indexes;
  // More may have been stored since the caller looked.
  if (Prefix cached = cache.Get(path); cached != nullptr && cached->log_size >= end.position) return cached;
  std::optional<OffsetIndex> index = OffsetIndex::Parse(
      ReadIndexBytes(*home_.environment->files, Path("index")), base_offset_, end.position);
  if (!index.has_value()) return nullptr;
  auto loaded = std::make_shared<const IndexCache::Loaded>(*std::move(index), end.position);
  cache.Put(path, loaded);
  return loaded;
}

absl::StatusOr<Segment::Prefix> Segment::LoadPrefix() const {
  BatchPlace end;
  {
    const core::MutexLock lock(mutex_);
    end = MemoryBegin();
  }
  Prefix prefix = end.position == 0 ? std::make_shared<const IndexCache::Loaded>(
                                          OffsetIndex(base_offset_, {base_offset_, 0}), 0)
                                    : PrefixAtHand(end);
  if (prefix == nullptr) {
    ASSIGN_OR_RETURN(ScannedIndexes scanned, ScanPrefix(end));
    prefix = std::make_shared<const IndexCache::Loaded>(std::move(scanned.offsets), end.position);
    home_.environment->indexes->Put(IndexKey(), prefix);
  }
  const core::MutexLock lock(mutex_);
  if (MemoryBegin() == end) prefix_damaged_ = !prefix->index.damaged().empty();
  return prefix;
}

absl::StatusOr<ScannedIndexes> Segment::ScanPrefix(BatchPlace end) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, Open());
  ASSIGN_OR_RETURN(ScannedIndexes scanned,
                   ScanIndexes(*file, base_offset_, end.position, end.offset, home_.index_interval));
  StoreIndexFiles(scanned.offsets, scanned.times, end.position, times());
  return scanned;
}

std::optional<TimeIndex::Parsed> Segment::StoredTimes(std::uint64_t log_size) const {
  return TimeIndex::Parse(ReadIndexBytes(*home_.environment->files, Path("timeindex")), base_offset_,
                          log_size);
}

absl::StatusOr<BatchPlace> Segment::FloorOffset(Offset offset) const {
  {
    const core::MutexLock lock(mutex_);
    if (memory_ != nullptr && offset >= memory_->offsets.first().offset)
      return memory_->offsets.FloorOffset(offset);
  }
  ASSIGN_OR_RETURN(const Prefix prefix, LoadPrefix());
  return prefix->index.FloorOffset(offset);
}

absl::StatusOr<BatchPlace> Segment::FloorPosition(std::uint64_t position) const {
  {
    const core::MutexLock lock(mutex_);
    if (memory_ != nullptr && position >= memory_->offsets.first().position) {
      return memory_->offsets.FloorPosition(position);
    }
  }
  ASSIGN_OR_RETURN(const Prefix prefix, LoadPrefix());
  return prefix->index.FloorPosition(position);
}

absl::StatusOr<BatchPlace> Segment::FloorTimestamp(TimestampMs timestamp) const {
  BatchPlace end;
  {
    const core::MutexLock lock(mutex_);
    end = MemoryBegin();
    if (memory_ != nullptr) {
      if (const std::optional<BatchPlace> floor = memory_->times.Floor(timestamp); floor.has_value())
        return *floor;
    }
  }
  const BatchPlace begin{base_offset_, 0};
  if (end.position == 0) return begin;
  if (const auto stored = StoredTimes(end.position); stored.has_value()) {
    return stored->index.Floor(timestamp).value_or(begin);
  }
  ASSIGN_OR_RETURN(const ScannedIndexes scanned, ScanPrefix(end));
  return scanned.times.Floor(timestamp).value_or(begin);
}

absl::StatusOr<std::optional<DamagedRange>> Segment::DamageFrom(std::uint64_t position) const {
  std::optional<DamagedRange> in_memory;
  {
    const core::MutexLock lock(mutex_);
    if (memory_ != nullptr) {
      in_memory = memory_->offsets.DamageFrom(position);
      if (position >= memory_->offsets.first().position) return in_memory;
    }
    if (prefix_damaged_ == false) return in_memory;
  }
  ASSIGN_OR_RETURN(const Prefix prefix, LoadPrefix());
  const std::optional<DamagedRange> below = prefix->index.DamageFrom(position);
  return below.has_value() ? below : in_memory;
}

absl::Status Segment::LearnDamage(BatchPlace place) const {
  BatchPlace end;
  {
    const core::MutexLock lock(mutex_);
    end = MemoryBegin();
  }
  if (place.position >= end.position) {
    RETURN_IF_ERROR(LearnDamageInMemory(place));
  } else {
    ASSIGN_OR_RETURN(ScannedIndexes scanned, ScanPrefix(end));
    const bool damaged = !scanned.offsets.damaged().empty();
    home_.environment->indexes->Put(
        IndexKey(), std::make_shared<const IndexCache::Loaded>(std::move(scanned.offsets), end.position));
    const core::MutexLock lock(mutex_);
    if (MemoryBegin() == end) prefix_damaged_ = damaged;
  }
  ASSIGN_OR_RETURN(const std::optional<DamagedRange> range, DamageFrom(place.position));
  if (!range.has_value() || range->position > place.position) {
    return MakeError(ErrorCode::kStorageError, absl::StrCat(Path("log"), ": the batch at position ",
                                                            place.position, " changed while it was read"));
  }
  if (home_.environment->report) home_.environment->report(std::string(MessageOf(DamageError(*range))));
  return DamageError(*range);
}

absl::Status Segment::LearnDamageInMemory(BatchPlace place) const {
  const PublishedEnd end = published();
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, Open());
  SegmentScanner scanner(*file, place, end.size);
  ASSIGN_OR_RETURN(const SegmentScanner::Found found, scanner.Next());
  if (found == SegmentScanner::Found::kBatch) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<BatchPlace> found_next, scanner.FindNext(end.offset));
  const BatchPlace next = found_next.value_or(BatchPlace{end.offset, end.size});
  const core::MutexLock lock(mutex_);
  if (memory_ != nullptr && place.position >= memory_->offsets.first().position) {
    memory_->offsets.NoteDamage({place.position, next.position, place.offset, next.offset});
  }
  return absl::OkStatus();
}

absl::StatusOr<BatchPlace> Segment::Find(Offset offset) const {
  const PublishedEnd end = published();
  ASSIGN_OR_RETURN(BatchPlace at, FloorOffset(offset));
  ASSIGN_OR_RETURN(std::optional<DamagedRange> damage, DamageFrom(at.position));
  std::shared_ptr<File> file;
  std::optional<BatchCursor> cursor;
  for (;;) {
    if (damage.has_value() && damage->position == at.position) {
      if (offset < damage->next_offset) return DamageError(*damage);
      at = {damage->next_offset, damage->end};
      if (cursor.has_value()) cursor->SkipTo(at.position);
      ASSIGN_OR_RETURN(damage, DamageFrom(at.position));
      continue;
    }
    if (at.offset >= offset) return at;
    if (!cursor.has_value()) {
      ASSIGN_OR_RETURN(file, Open());
      cursor.emplace(*file, at.position, end.size);
    }
    if (cursor->done()) return LearnDamage(at);
    const absl::StatusOr<StoredBatch> batch = cursor->Next();
    if (!batch.ok() && CodeOf(batch.status()) != ErrorCode::kCorruptMessage) return batch.status();
    if (!batch.ok() || batch->base_offset != at.offset) return LearnDamage(at);
    if (offset <= batch->last_offset) return at;
    at = batch->next();
  }
}

absl::StatusOr<BatchPlace> Segment::SliceEnd(BatchPlace begin, std::uint64_t size_max) const {
  const PublishedEnd end = published();
  ASSIGN_OR_RETURN(const std::optional<DamagedRange> damage, DamageFrom(begin.position));
  BatchPlace limit{end.offset, end.size};
  if (damage.has_value()) {
    if (damage->position <= begin.position) return DamageError(*damage);
    if (damage->position <= end.size) limit = {damage->offset, damage->position};
  }
  if (limit.position - begin.position <= size_max) return limit;
  ASSIGN_OR_RETURN(const BatchPlace floor, FloorPosition(begin.position + size_max));
  if (floor.position > begin.position) return floor;
  return WalkToEnd(begin, limit.position, size_max);
}

absl::StatusOr<BatchPlace> Segment::WalkToEnd(BatchPlace begin, std::uint64_t limit,
                                              std::uint64_t size_max) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, Open());
  BatchCursor cursor(*file, begin.position, limit);
  BatchPlace end = begin;
  while (!cursor.done()) {
    const absl::StatusOr<StoredBatch> batch = cursor.Next();
    const bool good = batch.ok() && batch->base_offset == end.offset;
    if (good && end.position > begin.position && batch->next().position - begin.position > size_max) break;
    if (good) {
      end = batch->next();
      continue;
    }
    if (end.position > begin.position) break;
    if (!batch.ok() && CodeOf(batch.status()) != ErrorCode::kCorruptMessage) return batch.status();
    return LearnDamage(begin);
  }
  return end;
}

}  // namespace headrace::storage
