#include "storage/log_recovery.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/status_macros.h"
#include "storage/checkpoint.h"
#include "storage/quarantine.h"
#include "storage/recovery_scan.h"
#include "storage/segment_swap.h"
#include "storage/start_offset.h"

namespace headrace::storage {
namespace {

constexpr std::size_t kDigits = 20;

// "<20 digits>.<suffix>" as a base offset.
std::optional<Offset> ParseName(const std::string& name, std::string_view suffix) {
  if (name.size() != kDigits + 1 + suffix.size() || name[kDigits] != '.' || !name.ends_with(suffix)) {
    return std::nullopt;
  }
  Offset base_offset = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, base_offset);
  if (error != std::errc() || end != name.data() + kDigits || base_offset < 0) return std::nullopt;
  return base_offset;
}

class Recovery {
 public:
  Recovery(Log::State& state, RecoveryReport& report)
      : state_(state), report_(report), files_(*state.environment.files) {}

  absl::Status Run();

 private:
  struct Start {
    std::size_t segment = 0;  // index
    BatchPlace place;
    TailRule rule = TailRule::kNoCheckpoint;
  };

  // False if there is no directory, so no log.
  absl::StatusOr<bool> ReadDirectory();
  absl::Status LoadStart();
  absl::Status CheckBeginning();
  absl::Status DeleteBelowStart();
  void LoadCheckpoint();
  // REQUIRES: there is a checkpoint.
  bool SameBoot() const;
  Start WhereToBegin();
  absl::StatusOr<SegmentTimes> TimesOf(const FoundSegment& segment, bool of_checkpoint) const;
  absl::Status AdoptSegments(Offset end);
  absl::Status EndAt(Offset end);
  absl::Status LoadDerived(Offset end);
  absl::Status MakeDurable();

  Log::State& state_;
  RecoveryReport& report_;
  FileSystem& files_;
  std::vector<FoundSegment> segments_;
  Offset start_ = 0;
  std::optional<Checkpoint> checkpoint_;
};

absl::StatusOr<bool> Recovery::ReadDirectory() {
  const absl::StatusOr<std::vector<DirectoryEntry>> entries = files_.List(*state_.directory);
  if (absl::IsNotFound(entries.status())) return false;
  RETURN_IF_ERROR(entries.status());
  const std::set<std::string> ours = {"checkpoint",           "producers",
                                      "leader_epochs",        "compacted",
                                      std::string(kSwapFile), std::string(kStartOffsetFile)};
  std::set<Offset> indexed;
  for (const auto& [name, kind] : *entries) {
    const bool is_file = kind == DirectoryEntry::Kind::kFile;
    if (const auto base = ParseName(name, "log"); is_file && base.has_value()) {
      segments_.push_back({});
      segments_.back().base_offset = *base;
      ASSIGN_OR_RETURN(const std::shared_ptr<File> file, files_.Open(state_.PathOf(name), OpenMode::kRead));
      ASSIGN_OR_RETURN(segments_.back().size, file->Size());
    } else if (is_file && ParseName(name, kCleanedSuffix).has_value()) {
      RETURN_IF_ERROR(files_.Remove(state_.PathOf(name)));  // of a compaction that was not finished
    } else if (is_file && name.ends_with(".new") && ours.contains(name.substr(0, name.size() - 4))) {
      RETURN_IF_ERROR(files_.Remove(state_.PathOf(name)));  // of a replacement that was not finished
    } else if (const auto index = ParseName(name, "index"); is_file && index.has_value()) {
      indexed.insert(*index);
    } else if (const auto times = ParseName(name, "timeindex"); is_file && times.has_value()) {
      indexed.insert(*times);
    } else if (!is_file || !ours.contains(name)) {
      if (name != "quarantine")
        state_.Report(absl::StrCat(state_.PathOf(name), " is not ours; it is left alone"));
    }
  }
  std::sort(segments_.begin(), segments_.end(), [](const FoundSegment& left, const FoundSegment& right) {
    return left.base_offset < right.base_offset;
  });
  for (const FoundSegment& segment : segments_) indexed.erase(segment.base_offset);
  for (const Offset orphan : indexed) {
    for (const std::string_view suffix : {"index", "timeindex"}) {
      const absl::Status removed = files_.Remove(SegmentPath(*state_.directory, orphan, suffix));
      if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
    }
  }
  return true;
}

absl::Status Recovery::LoadStart() {
  const absl::StatusOr<Offset> stored = ReadStartOffset(files_, state_.PathOf(kStartOffsetFile));
  if (absl::IsDataLoss(stored.status())) {
    Quarantine quarantine(state_.environment, *state_.directory);
    ASSIGN_OR_RETURN(const std::string kept, quarantine.MoveFile(std::string(kStartOffsetFile)));
    state_.Report(absl::StrCat(stored.status().message(), "; it was moved to ", kept,
                               ", and the log begins with its first segment"));
  } else {
    RETURN_IF_ERROR(stored.status());
    start_ = *stored;
  }
  return absl::OkStatus();
}

// Deletion stores the start first. A log that begins behind it lost segments in some other way.
absl::Status Recovery::CheckBeginning() {
  if (segments_.empty() || segments_.front().base_offset <= start_) return absl::OkStatus();
  const bool known_begun = !checkpoint_.has_value() || !checkpoint_->first;
  if (known_begun || SameBoot()) {
    state_.Report(absl::StrCat(*state_.directory, ": the segments from offset ", start_, " to ",
                               segments_.front().base_offset - 1, " are gone; the log begins behind them"));
    start_ = segments_.front().base_offset;
    return absl::OkStatus();
  }
  // Power was lost before the first sync: what has no beginning was never acknowledged.
  return RecoveryScan(state_, segments_, TailRule::kOtherBoot, report_).QuarantineFrom(0);
}

bool Recovery::SameBoot() const {
  return !state_.environment.boot_id.empty() && checkpoint_->boot_id == state_.environment.boot_id;
}

absl::Status Recovery::DeleteBelowStart() {
  bool deleted = false;
  while (segments_.size() > 1 && segments_[1].base_offset <= start_) {
    for (const std::string_view suffix : {"log", "index", "timeindex"}) {
      const absl::Status removed =
          files_.Remove(SegmentPath(*state_.directory, segments_.front().base_offset, suffix));
      if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
    }
    segments_.erase(segments_.begin());
    deleted = true;
  }
  return deleted ? files_.SyncDirectory(*state_.directory) : absl::OkStatus();
}

void Recovery::LoadCheckpoint() {
  auto stored = ReadCheckpoint(files_, state_.PathOf("checkpoint"));
  if (stored.ok()) {
    checkpoint_ = *std::move(stored);
  } else {
    state_.Report(absl::StrCat(stored.status().message(), "; without a checkpoint the whole log is read"));
  }
  state_.checkpoint_sequence = checkpoint_.has_value() ? checkpoint_->sequence : 0;
}

Recovery::Start Recovery::WhereToBegin() {
  Start begin;
  if (!segments_.empty()) begin.place = {segments_.front().base_offset, 0};
  if (!checkpoint_.has_value()) return begin;
  const TailRule rule = SameBoot() ? TailRule::kSameBoot : TailRule::kOtherBoot;
  if (segments_.empty()) return begin;
  if (checkpoint_->segment < segments_.front().base_offset) {
    begin.rule = rule;  // its segment was deleted since: all that is left lies behind it
    return begin;
  }
  const auto found = std::find_if(segments_.begin(), segments_.end(), [&](const FoundSegment& segment) {
    return segment.base_offset == checkpoint_->segment;
  });
  if (found == segments_.end() || found->size < checkpoint_->position) {
    state_.Report(absl::StrCat(state_.PathOf("checkpoint"), ": it says that ", checkpoint_->position,
                               " bytes of the segment at offset ", checkpoint_->segment,
                               " are on disk, and they are not; the whole log is read"));
    return begin;
  }
  begin.segment = static_cast<std::size_t>(found - segments_.begin());
  begin.place = {checkpoint_->end, checkpoint_->position};
  begin.rule = rule;
  for (std::size_t i = 0; i < begin.segment; ++i) {
    segments_[i].end = {segments_[i + 1].base_offset, segments_[i].size};
  }
  found->max_timestamp = checkpoint_->times.max_timestamp;
  return begin;
}

absl::StatusOr<SegmentTimes> Recovery::TimesOf(const FoundSegment& segment, bool of_checkpoint) const {
  SegmentTimes times;
  if (segment.size == 0) return times;
  const std::string path = SegmentPath(*state_.directory, segment.base_offset, "timeindex");
  const auto stored = TimeIndex::Parse(ReadIndexBytes(files_, path), segment.base_offset, segment.size);
  if (stored.has_value()) return stored->times;
  ASSIGN_OR_RETURN(const TimestampMs modified,
                   files_.ModificationTime(SegmentPath(*state_.directory, segment.base_offset, "log")));
  times.first_append =
      of_checkpoint && checkpoint_->position > 0 ? checkpoint_->times.first_append : modified;
  times.last_append = std::max(times.first_append, modified);
  times.max_timestamp = segment.scanned ? segment.max_timestamp : SegmentTimes::kUnknownTimestamp;
  return times;
}

absl::Status Recovery::AdoptSegments(Offset end) {
  for (FoundSegment& found : segments_) {
    const bool of_checkpoint = checkpoint_.has_value() && checkpoint_->segment == found.base_offset;
    ASSIGN_OR_RETURN(SegmentTimes times, TimesOf(found, of_checkpoint));
    times.last_append = std::max(times.last_append, state_.last_append);
    state_.last_append = times.last_append;
    const bool last = &found == &segments_.back();
    if (last && found.end.offset < end && found.indexes.has_value()) {
      found.indexes->offsets.NoteDamage({found.end.position, found.end.position, found.end.offset, end});
    }
    const BatchPlace written{last ? std::max(found.end.offset, end) : found.end.offset, found.size};
    auto segment = std::make_shared<Segment>(state_.Home(), found.base_offset, written, times, true);
    if (found.indexes.has_value()) segment->SetIndexes(*std::move(found.indexes));
    if (!last) segment->StoreIndexes();
    state_.size += found.size;
    state_.AddSegment(std::move(segment));
  }
  return absl::OkStatus();
}

absl::Status Recovery::EndAt(Offset end) {
  // What is appended next must not follow a hole in one file: a scan could not tell where it belongs.
  const bool hole = segments_.empty() ? end > 0 : segments_.back().end.offset < end;
  const bool damaged = !segments_.empty() && segments_.back().damaged_at_end();
  RETURN_IF_ERROR(AdoptSegments(end));
  state_.end = end;
  state_.high_watermark = end;
  state_.start = std::min(start_, end);
  if (!hole && !damaged) return absl::OkStatus();
  const std::shared_ptr<Segment> before = state_.Active();
  ASSIGN_OR_RETURN(std::shared_ptr<Segment> fresh, state_.CreateSegment(end));
  state_.AddSegment(std::move(fresh));
  if (before != nullptr) before->StoreIndexes();
  return absl::OkStatus();
}

absl::Status Recovery::LoadDerived(Offset end) {
  const Offset known = checkpoint_.has_value() ? std::min(checkpoint_->end, end) : 0;
  RETURN_IF_ERROR(
      state_.LoadProducers(end, checkpoint_.has_value() && !checkpoint_->has_producers ? known : 0));
  return state_.LoadEpochsAfterCrash(
      checkpoint_.has_value() ? std::optional(checkpoint_->epoch) : std::nullopt, known);
}

absl::Status Recovery::MakeDurable() {
  const std::shared_ptr<Segment> active = state_.Active();
  if (active == nullptr) return absl::OkStatus();
  // The first checkpoint is written before anything is synced: the names of directories may not be on disk.
  const bool first = !checkpoint_.has_value() || checkpoint_->first;
  if (first) state_.NoteNewDirectory();
  state_.NoteUnsynced(*state_.directory);
  RETURN_IF_ERROR(state_.SyncDirectories());
  SyncPoint point;
  point.end = state_.end.load();
  point.published_sizes.emplace_back(active, active->written().position);
  if (state_.producers.size() > 0) {
    point.producer_snapshot =
        std::make_shared<const std::vector<std::byte>>(state_.producers.Serialize(point.end));
  }
  state_.WriteCheckpoint(point);
  return first ? state_.SyncCheckpoint() : absl::OkStatus();
}

absl::Status Recovery::Run() {
  RETURN_IF_ERROR(FinishSwap(state_.environment, *state_.directory));
  ASSIGN_OR_RETURN(const bool exists, ReadDirectory());
  if (!exists) return absl::OkStatus();
  RETURN_IF_ERROR(LoadStart());
  LoadCheckpoint();
  RETURN_IF_ERROR(CheckBeginning());
  RETURN_IF_ERROR(DeleteBelowStart());
  const Start begin = WhereToBegin();
  RecoveryScan scan(state_, segments_, begin.rule, report_);
  RETURN_IF_ERROR(scan.Run(begin.segment, begin.place));
  Offset end = segments_.empty() ? 0 : segments_.back().end.offset;
  // No offset is given twice, even if what had it is lost.
  end = std::max({end, start_, checkpoint_.has_value() ? checkpoint_->end : Offset{0}});
  RETURN_IF_ERROR(EndAt(end));
  RETURN_IF_ERROR(LoadDerived(end));
  RETURN_IF_ERROR(MakeDurable());
  state_.DoomBelowStart();
  return state_.DeleteDoomed();
}

}  // namespace

absl::Status RecoverLog(Log::State& state, RecoveryReport& report) {
  report = RecoveryReport();
  return Recovery(state, report).Run();
}

}  // namespace headrace::storage
