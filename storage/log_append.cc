// Appending: plan which batches go to which segment, write, and take in all or nothing.
#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/log_state.h"

namespace headrace::storage {
namespace {

// Positions and offsets of an index entry have 32 bits.
constexpr std::uint64_t kPositionMax = std::numeric_limits<std::uint32_t>::max();
constexpr Offset kRelativeOffsetMax = std::numeric_limits<std::int32_t>::max();

// Consecutive batches that go to one segment.
struct Run {
  Offset base_offset = 0;  // of the segment
  bool fresh = false;      // the segment is yet to be made
  std::size_t first = 0;   // index of its first batch
  std::size_t count = 0;
  std::uint64_t size = 0;  // bytes
  std::shared_ptr<Segment> segment;
};

std::vector<RecordBatchView> ParseBatches(std::span<const ByteSpan> batches, Offset next) {
  std::vector<RecordBatchView> views;
  views.reserve(batches.size());
  for (const ByteSpan bytes : batches) {
    const absl::StatusOr<RecordBatchView> view = RecordBatchView::Parse(bytes);
    HEADRACE_CHECK(view.ok() && view->size() == bytes.size() && view->base_offset() == next);
    next = view->last_offset() + 1;
    views.push_back(*view);
  }
  return views;
}

bool Fits(std::uint64_t position, Offset segment_base, const RecordBatchView& batch, std::uint64_t size_max) {
  if (position == 0) return true;  // a batch is never split: too large a one has a segment of its own
  return position + batch.size() <= std::min(size_max, kPositionMax) &&
         batch.last_offset() - segment_base <= kRelativeOffsetMax;
}

std::vector<Run> Plan(std::span<const RecordBatchView> batches, const std::shared_ptr<Segment>& active,
                      bool roll_first, std::uint64_t size_max) {
  std::vector<Run> runs;
  std::uint64_t position = 0;
  if (active != nullptr && !roll_first) {
    runs.push_back({active->base_offset(), false, 0, 0, 0, active});
    position = active->written().position;
  }
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (runs.empty() || !Fits(position, runs.back().base_offset, batches[i], size_max)) {
      runs.push_back({batches[i].base_offset(), true, i, 0, 0, nullptr});
      position = 0;
    }
    ++runs.back().count;
    runs.back().size += batches[i].size();
    position += batches[i].size();
  }
  if (runs.front().count == 0) runs.erase(runs.begin());
  return runs;
}

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? std::string() : path.substr(0, slash);
}

absl::Status CreateDirectories(FileSystem& files, const std::string& path) {
  const absl::Status created = files.CreateDirectory(path);
  if (!absl::IsNotFound(created)) return created;
  const std::string parent = ParentOf(path);
  if (parent.empty()) return created;
  RETURN_IF_ERROR(CreateDirectories(files, parent));
  return files.CreateDirectory(path);
}

// Takes back what Append has done so far.
absl::Status Undo(std::span<Run> runs) {
  absl::Status undone;
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    if (run->segment == nullptr) continue;
    undone.Update(run->fresh ? run->segment->Delete() : run->segment->CutBack());
  }
  return undone;
}

}  // namespace

absl::StatusOr<std::shared_ptr<Segment>> Log::State::CreateSegment(Offset base_offset) {
  auto segment = std::make_shared<Segment>(Home(), base_offset);
  absl::Status created = segment->Create();
  if (absl::IsNotFound(created)) {
    RETURN_IF_ERROR(CreateDirectories(*environment.files, *directory));
    created = segment->Create();
  }
  if (created.ok() && Active() == nullptr && base_offset == end.load()) {
    // Also if the directory was there: whoever made it may have crashed before its name was on disk.
    NoteNewDirectory();
    WriteFirstCheckpoint(base_offset);
  }
  NoteUnsynced(*directory);
  if (!created.ok()) {
    // The name may be there even so, and must not meet its successor.
    const absl::Status deleted = segment->Delete();
    return deleted.ok() ? created : deleted;
  }
  return segment;
}

void Log::State::NoteUnsynced(const std::string& name) {
  ++directory_changes;
  if (std::find(unsynced_directories.begin(), unsynced_directories.end(), name) ==
      unsynced_directories.end()) {
    unsynced_directories.push_back(name);
  }
}

void Log::State::NoteNewDirectory() {
  std::string parent = ParentOf(*directory);
  for (int level = 0; level < 2 && !parent.empty(); ++level, parent = ParentOf(parent)) NoteUnsynced(parent);
}

absl::Status Log::Append(std::span<const ByteSpan> batches, std::span<const std::uint32_t> sent_crcs) {
  State& state = *state_;
  RETURN_IF_ERROR(fenced());
  if (batches.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(state.LoadEpochs());
  const std::vector<RecordBatchView> views = ParseBatches(batches, state.end.load());
  const TimestampMs now = std::max(state.environment.clock->WallNow(), state.last_append);
  const std::shared_ptr<Segment> active = state.Active();
  std::vector<Run> runs = Plan(views, active, state.MustRoll(now), state.options.segment_size_max);

  absl::Status written;
  for (Run& run : runs) {
    if (run.fresh) {
      absl::StatusOr<std::shared_ptr<Segment>> created = state.CreateSegment(run.base_offset);
      written = created.status();
      if (!written.ok()) break;
      run.segment = *std::move(created);
    }
    written = run.segment->Write(batches.subspan(run.first, run.count));
    if (!written.ok()) break;
  }
  if (!written.ok()) {
    const absl::Status undone = Undo(runs);
    return undone.ok() ? state.FailedWrite(written) : state.Fence(undone);
  }

  std::shared_ptr<Segment> sealed = active;
  std::uint64_t size = 0;
  for (const Run& run : runs) {
    run.segment->Adopt(std::span(views).subspan(run.first, run.count), now);
    size += run.size;
    if (state.unsynced.empty() || state.unsynced.back() != run.segment) state.unsynced.push_back(run.segment);
    if (!run.fresh) continue;
    state.AddSegment(run.segment);
    if (sealed != nullptr) sealed->StoreIndexes();
    sealed = run.segment;
  }
  state.Note(views, sent_crcs, now, size);
  return absl::OkStatus();
}

bool Log::AppendMayBlock(const RecordBatchView& batch) const {
  const State& state = *state_;
  const std::shared_ptr<Segment> active = state.Active();
  if (active == nullptr || !state.epochs_loaded) return true;
  return state.MustRoll(state.environment.clock->WallNow()) ||
         !Fits(active->written().position, active->base_offset(), batch, state.options.segment_size_max);
}

bool Log::State::MustRoll(TimestampMs now) const {
  const std::shared_ptr<Segment> active = Active();
  if (active == nullptr) return true;
  TimestampMs age_max = options.segment_age_max_ms;
  // The last segment is never compacted, so its records must not wait there.
  if (options.compact) age_max = std::min(age_max, options.max_compaction_lag_ms);
  return active->written().position > 0 && now - active->times().first_append > age_max;
}

void Log::State::Note(std::span<const RecordBatchView> batches, std::span<const std::uint32_t> sent_crcs,
                      TimestampMs now, std::uint64_t bytes) {
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const RecordBatchView& batch = batches[i];
    producers.Update(batch, now, sent_crcs.empty() ? batch.crc() : sent_crcs[i]);
    epochs_changed |= epochs.Note(batch.leader_epoch(), batch.base_offset());
  }
  last_append = now;
  bytes_since_checkpoint += bytes;
  size.fetch_add(bytes, std::memory_order_relaxed);
  end.store(batches.back().last_offset() + 1);
}

}  // namespace headrace::storage
