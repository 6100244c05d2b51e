// What is on disk: sync points, checkpoints, and the orderly end.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/checkpoint.h"
#include "storage/disposable_file.h"
#include "storage/log_state.h"

namespace headrace::storage {
namespace {

constexpr std::chrono::seconds kCheckpointInterval{1};

}  // namespace

bool Log::State::CheckpointIsDue() const {
  return !last_checkpoint.has_value() || bytes_since_checkpoint >= options.checkpoint_interval ||
         environment.clock->MonotonicNow() - *last_checkpoint >= kCheckpointInterval;
}

SyncPoint Log::UnsyncedPoint() {
  State& state = *state_;
  SyncPoint point = WrittenPoint();
  std::vector<std::pair<std::shared_ptr<Segment>, std::uint64_t>> sizes;
  for (const std::shared_ptr<Segment>& segment : state.unsynced) {
    if (std::shared_ptr<File> file = segment->UnsyncedFile()) point.files.push_back(std::move(file));
    sizes.emplace_back(segment, segment->written().position);
  }
  for (auto& unpublished : point.published_sizes) {
    if (sizes.empty() || sizes.back().first->base_offset() < unpublished.first->base_offset()) {
      sizes.push_back(std::move(unpublished));
    }
  }
  point.published_sizes = std::move(sizes);
  if (state.unsynced_checkpoint != nullptr) point.files.push_back(state.unsynced_checkpoint);
  point.directories = state.unsynced_directories;
  point.directory_changes = state.directory_changes;
  if (state.producers.size() > 0 && state.CheckpointIsDue()) {
    point.producer_snapshot =
        std::make_shared<const std::vector<std::byte>>(state.producers.Serialize(point.end));
  }
  return point;
}

void Log::MarkSynced(const SyncPoint& point) {
  State& state = *state_;
  for (const auto& [segment, size] : point.published_sizes) segment->MarkSynced(size);
  std::erase_if(state.unsynced,
                [](const std::shared_ptr<Segment>& segment) { return segment->UnsyncedFile() == nullptr; });
  if (std::find(point.files.begin(), point.files.end(), state.unsynced_checkpoint) != point.files.end()) {
    state.unsynced_checkpoint = nullptr;
  }
  if (point.directory_changes == state.directory_changes) state.unsynced_directories.clear();
  if (!point.published_sizes.empty() && fenced().ok() && state.CheckpointIsDue())
    state.WriteCheckpoint(point);
}

void Log::State::WriteCheckpoint(const SyncPoint& point) {
  const auto& [segment, position] = point.published_sizes.back();
  // It never goes back: compaction may have replaced what lies below.
  if (segment->base_offset() < checkpoint_segment) return;
  last_checkpoint = environment.clock->MonotonicNow();
  if (!AllSegments().empty() && segment->base_offset() < AllSegments().front()->base_offset()) return;
  Checkpoint checkpoint;
  checkpoint.sequence = NextCheckpointSequence();
  checkpoint.segment = segment->base_offset();
  checkpoint.position = position;
  checkpoint.end = point.end;
  checkpoint.times = segment->times();
  checkpoint.epoch = epochs.entries().empty() ? kNoLeaderEpoch : epochs.entries().back().epoch;
  checkpoint.has_producers = producers.size() > 0;
  checkpoint.boot_id = environment.boot_id;
  absl::Status written;
  // In this order: a checkpoint says that what the other two files leave out lies behind it.
  if (point.producer_snapshot != nullptr) {
    written = WriteDisposableFile(*environment.files, PathOf("producers"), *point.producer_snapshot);
  }
  if (written.ok() && epochs_changed) {
    written = WriteDisposableFile(*environment.files, PathOf("leader_epochs"), epochs.Serialize());
    epochs_changed = !written.ok();
  }
  if (written.ok()) written = storage::WriteCheckpoint(*environment.cache, PathOf("checkpoint"), checkpoint);
  if (written.ok()) {
    bytes_since_checkpoint = 0;
    checkpoint_segment = checkpoint.segment;
    segment->StoreIndexesIfGrown();
  } else {
    Report(absl::StrCat(*directory,
                        ": no checkpoint written, so recovery will have more to read: ", written.message()));
  }
}

std::uint64_t Log::State::NextCheckpointSequence() {
  if (!checkpoint_sequence.has_value()) {
    const absl::StatusOr<std::optional<Checkpoint>> last =
        ReadCheckpoint(*environment.files, PathOf("checkpoint"));
    checkpoint_sequence = last.ok() && last->has_value() ? (*last)->sequence : 0;
  }
  return ++*checkpoint_sequence;
}

void Log::State::WriteFirstCheckpoint(Offset base_offset) {
  Checkpoint checkpoint;
  checkpoint.sequence = NextCheckpointSequence();
  checkpoint.segment = base_offset;
  checkpoint.end = base_offset;
  checkpoint.first = true;
  checkpoint.boot_id = environment.boot_id;
  const std::string path = PathOf("checkpoint");
  if (!storage::WriteCheckpoint(*environment.cache, path, checkpoint).ok()) return;
  absl::StatusOr<std::shared_ptr<File>> file = environment.cache->Get(path, OpenMode::kWrite);
  if (file.ok()) unsynced_checkpoint = *std::move(file);
}

absl::Status Log::State::SyncCheckpoint() {
  const absl::StatusOr<std::shared_ptr<File>> file =
      environment.cache->Get(PathOf("checkpoint"), OpenMode::kWrite);
  if (absl::IsNotFound(file.status())) return absl::OkStatus();  // it could not be written, and was reported
  RETURN_IF_ERROR(file.status());
  RETURN_IF_ERROR((*file)->Sync());
  return environment.files->SyncDirectory(*directory);
}

absl::Status Log::State::SyncDirectories() {
  for (const std::string& name : unsynced_directories) {
    const absl::Status synced = environment.files->SyncDirectory(name);
    if (!synced.ok()) return Fence(synced);
  }
  unsynced_directories.clear();
  return absl::OkStatus();
}

void Log::State::StoreProducers() {
  if (producers.size() == 0) return;
  const absl::Status written =
      WriteDisposableFile(*environment.files, PathOf("producers"), producers.Serialize(end.load()));
  if (written.ok()) return;
  Report(absl::StrCat(*directory, ": the next start reads the log for its producers: ", written.message()));
}

absl::Status Log::State::StoreEpochs() {
  if (!epochs_changed) return absl::OkStatus();
  const std::string path = PathOf("leader_epochs");
  // After a clean start nothing tells an old file from this one, so this one is on disk, or none is.
  absl::Status stored = WriteDisposableFile(*environment.files, path, epochs.Serialize());
  if (stored.ok()) stored = SyncDisposableFile(*environment.files, path);
  if (!stored.ok()) {
    Report(absl::StrCat(*directory, ": the next start reads the log for its epochs: ", stored.message()));
    const absl::Status removed = environment.files->Remove(path);
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  }
  RETURN_IF_ERROR(environment.files->SyncDirectory(*directory));
  epochs_changed = false;
  return absl::OkStatus();
}

absl::StatusOr<LogSummary> Log::Close() {
  State& state = *state_;
  RETURN_IF_ERROR(fenced());
  const SyncPoint point = UnsyncedPoint();
  for (const std::shared_ptr<File>& file : point.files) {
    const absl::Status synced = file->Sync();
    if (!synced.ok()) return state.Fence(synced);
  }
  RETURN_IF_ERROR(state.SyncDirectories());
  MarkSynced(point);
  Publish(point);
  LogSummary summary;
  summary.offsets = offsets();
  if (const std::shared_ptr<Segment> active = state.Active()) active->StoreIndexes();
  for (const std::shared_ptr<Segment>& segment : state.AllSegments()) {
    summary.segments.push_back(segment->Summary());
  }
  summary.has_producers = state.producers.size() > 0;
  state.StoreProducers();
  RETURN_IF_ERROR(state.StoreEpochs());
  return summary;
}

}  // namespace headrace::storage
