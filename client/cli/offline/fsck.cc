#include "client/cli/offline/fsck.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "client/cli/offline/file_check.h"
#include "client/cli/offline/index_check.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/data_directory.h"
#include "storage/io/small_file.h"
#include "storage/segment.h"
#include "storage/segment_swap.h"

namespace headrace::cli::offline {
namespace {

using storage::DirectoryEntry;

constexpr std::string_view kLogSuffix = ".log";
constexpr std::size_t kCopyPiece = 1U << 20;

template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.starts_with('-')) return std::nullopt;
  return value;
}

}  // namespace

std::string Fsck::Segment::Sibling(std::string_view suffix) const {
  return path.substr(0, path.size() - kLogSuffix.size()) + "." + std::string(suffix);
}

void Fsck::Report(Finding finding) {
  ++report_.findings;
  if (!finding.repair.empty()) ++report_.repaired;
  on_finding_(finding);
}

absl::StatusOr<FsckReport> Fsck::Run() {
  const auto top = files_.List(directory_);
  if (!top.ok()) return top.status();
  const bool ours =
      std::any_of(top->begin(), top->end(), [](const DirectoryEntry& entry) { return entry.name == "meta"; });
  if (!ours) {
    return absl::FailedPreconditionError(directory_ +
                                         " is no Headrace data directory: it has no file 'meta'");
  }
  ASSIGN_OR_RETURN(const auto lock, files_.Lock(directory_ + "/lock"));
  RETURN_IF_ERROR(CheckMeta());
  RETURN_IF_ERROR(CheckSmallFiles(*top));
  clean_ = ReadCleanManifest(files_, directory_ + "/clean");
  const auto topics = files_.List(directory_ + "/topics");
  if (topics.status().code() == absl::StatusCode::kNotFound) return report_;
  if (!topics.ok()) return topics.status();
  for (const DirectoryEntry& topic : *topics) RETURN_IF_ERROR(CheckTopic(topic.name));
  if (cut_ && std::any_of(top->begin(), top->end(),
                          [](const DirectoryEntry& entry) { return entry.name == "clean"; })) {
    // What the last shutdown knew is no longer so: the next start must look for itself.
    ASSIGN_OR_RETURN(const std::string aside, FreeQuarantinePath("clean"));
    RETURN_IF_ERROR(files_.Rename(directory_ + "/clean", aside));
    RETURN_IF_ERROR(files_.SyncDirectory(directory_));
  }
  return report_;
}

absl::Status Fsck::CheckMeta() {
  const std::string path = directory_ + "/meta";
  const auto meta = storage::ReadSmallFile(files_, path);
  if (!meta.ok()) {
    Report({path, std::nullopt, std::string(MessageOf(meta.status())), ""});
    return absl::OkStatus();
  }
  if (meta->format <= storage::DataDirectoryMeta::kFormat) return absl::OkStatus();
  return absl::FailedPreconditionError(
      path + " has format " + std::to_string(meta->format) + ", and this program knows formats up to " +
      std::to_string(storage::DataDirectoryMeta::kFormat) + "; use a newer one");
}

// Every other file at the top, but the lock and the ballast, is a small file with a sum.
absl::Status Fsck::CheckSmallFiles(const std::vector<DirectoryEntry>& top) {
  for (const DirectoryEntry& entry : top) {
    const bool other = entry.kind != DirectoryEntry::Kind::kFile || entry.name == "meta" ||
                       entry.name == "lock" || entry.name == "ballast";
    if (other || entry.name.ends_with(".new")) continue;  // a crash may leave the latter; it is never read
    const auto file = storage::ReadSmallFile(files_, directory_ + "/" + entry.name);
    if (file.ok()) continue;
    if (file.status().code() != absl::StatusCode::kDataLoss) return file.status();
    Report({directory_ + "/" + entry.name, std::nullopt, std::string(MessageOf(file.status())), ""});
  }
  return absl::OkStatus();
}

absl::Status Fsck::CheckTopic(const std::string& name) {
  const std::string path = directory_ + "/topics/" + name;
  const auto topic = TopicId::Parse(name);
  if (!topic) {
    Report({path, std::nullopt, "the name is no topic id (32 hexadecimal digits); the broker leaves it alone",
            ""});
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const auto entries, files_.List(path));
  for (const DirectoryEntry& entry : entries) {
    const auto number = ParseNumber<PartitionId>(entry.name);
    if (entry.kind == DirectoryEntry::Kind::kDirectory && number) {
      RETURN_IF_ERROR(CheckPartition(path + "/" + entry.name, {*topic, *number}));
    } else {
      Report({path + "/" + entry.name, std::nullopt, "the name is no partition number", ""});
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Fsck::Segment>> Fsck::FindSegments(const std::string& directory,
                                                              const LogState& state) {
  ASSIGN_OR_RETURN(const auto entries, files_.List(directory));
  std::vector<Segment> segments;
  for (const auto& [name, kind] : entries) {
    const bool is_file = kind == DirectoryEntry::Kind::kFile;
    if (const auto base = BaseOffsetOf(name); is_file && base) {
      segments.push_back({*base, directory + "/" + name});
    } else if (!is_file) {
      Report({directory + "/" + name, std::nullopt, "the name is not the broker's; it leaves it alone", ""});
    } else if (!BaseOffsetOf(name, "index") && !BaseOffsetOf(name, "timeindex")) {
      ASSIGN_OR_RETURN(const auto problem, CheckLogFile(files_, directory, name));
      if (problem && problem->disposable) {
        RETURN_IF_ERROR(ReportDisposable(directory + "/" + name, problem->problem, state));
      } else if (problem) {
        Report({directory + "/" + name, std::nullopt, problem->problem, ""});
      }
    }
  }
  std::sort(segments.begin(), segments.end(),
            [](const Segment& a, const Segment& b) { return a.base_offset < b.base_offset; });
  // Of a replacement that was made and not finished: the next start removes what was replaced.
  const auto swap = storage::ReadSwapRecord(files_, directory);
  if (!swap.ok()) return segments;
  const Offset first = swap->segment.base_offset;
  const std::string fresh = storage::SegmentPath(directory, first, storage::kCleanedSuffix);
  if (files_.Open(fresh, storage::OpenMode::kRead).ok()) return segments;
  std::erase_if(segments, [&](const Segment& segment) {
    return segment.base_offset > first && segment.base_offset < swap->end;
  });
  return segments;
}

absl::Status Fsck::CheckPartition(const std::string& directory, TopicPartition partition) {
  ++report_.partitions;
  LogState state;
  state.quarantine_name = partition.topic.ToString() + "-" + std::to_string(partition.partition);
  ASSIGN_OR_RETURN(const std::vector<Segment> segments, FindSegments(directory, state));
  if (const auto known = clean_.find(partition); known != clean_.end()) {
    RETURN_IF_ERROR(CheckAgainst(known->second, directory));
  }
  for (const Segment& segment : segments) {
    if (state.next && segment.base_offset != *state.next) {
      Report({segment.path, std::nullopt,
              "the segment begins at offset " + std::to_string(segment.base_offset) +
                  ", and the one before ends at " + std::to_string(*state.next),
              ""});
    }
    state.next = segment.base_offset;
    RETURN_IF_ERROR(CheckSegment(segment, &segment == &segments.back() ? nullptr : &segment + 1, state));
  }
  return absl::OkStatus();
}

// What a clean shutdown left must be there still, or the broker takes no more writes for this log.
absl::Status Fsck::CheckAgainst(const storage::LogSummary& known, const std::string& directory) {
  for (const storage::SegmentSummary& segment : known.segments) {
    const std::string path = storage::SegmentPath(directory, segment.base_offset, "log");
    const auto file = files_.Open(path, storage::OpenMode::kRead);
    if (file.status().code() == absl::StatusCode::kNotFound) {
      Report({path, std::nullopt, "the last shutdown left this segment, and it is gone", ""});
      continue;
    }
    RETURN_IF_ERROR(file.status());
    ASSIGN_OR_RETURN(const std::uint64_t size, (*file)->Size());
    if (size == segment.size) continue;
    Report({path, std::nullopt,
            "the last shutdown left " + std::to_string(segment.size) + " bytes, and it has " +
                std::to_string(size) + "; without the file 'clean' the next start recovers the log",
            ""});
  }
  return absl::OkStatus();
}

absl::Status Fsck::CheckSegment(const Segment& segment, const Segment* following, LogState& state) {
  ++report_.segments;
  ASSIGN_OR_RETURN(const auto file, files_.Open(segment.path, storage::OpenMode::kRead));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  report_.bytes += size;
  ASSIGN_OR_RETURN(IndexCheck index,
                   IndexCheck::Load(files_, segment.Sibling("index"), segment.base_offset, size));
  BatchWalk walk(*file, size, segment.base_offset,
                 following ? std::optional(following->base_offset) : std::nullopt);
  while (true) {
    ASSIGN_OR_RETURN(const auto stretch, walk.Next());
    if (!stretch) break;
    if (stretch->kind == Stretch::Kind::kBatch) index.Note(stretch->position, *stretch->batch);
    if (stretch->kind == Stretch::Kind::kTorn) {
      // If the next segment continues what was read so far, no offset is lost behind the tear.
      const bool complete = following == nullptr || state.next == following->base_offset;
      RETURN_IF_ERROR(CheckTear(segment, *stretch, complete, state));
      if (!complete) state.next.reset();
    } else {
      CheckContinues(segment, *stretch, state);
    }
  }
  const std::string times = segment.Sibling("timeindex");
  ASSIGN_OR_RETURN(const std::string problem, CheckIndexFile(files_, times, "HRTI", segment.base_offset));
  RETURN_IF_ERROR(ReportDisposable(segment.Sibling("index"), index.problem(), state));
  return ReportDisposable(times, problem, state);
}

absl::Status Fsck::ReportDisposable(const std::string& path, const std::string& problem,
                                    const LogState& state) {
  if (problem.empty()) return absl::OkStatus();
  Finding finding{path, std::nullopt, problem + "; the broker rebuilds it", ""};
  if (repair_) {
    const std::string name = path.substr(path.rfind('/') + 1);
    ASSIGN_OR_RETURN(const std::string aside, FreeQuarantinePath(state.quarantine_name + "-" + name));
    RETURN_IF_ERROR(files_.Rename(path, aside));
    finding.repair = "moved to " + aside;
  }
  Report(std::move(finding));
  return absl::OkStatus();
}

void Fsck::CheckContinues(const Segment& segment, const Stretch& stretch, LogState& state) {
  if (stretch.kind == Stretch::Kind::kDamaged) {
    const std::string from = state.next ? " from offset " + std::to_string(*state.next) : "";
    Report({segment.path, stretch.position,
            std::to_string(stretch.size) + " bytes" + from +
                " are damaged, sound batches follow: " + stretch.problem,
            ""});
    state.next.reset();
    return;
  }
  const RecordBatchView& batch = *stretch.batch;
  ++report_.batches;
  report_.records += static_cast<std::uint64_t>(batch.record_count());
  state.next = batch.last_offset() + 1;
}

absl::Status Fsck::CheckTear(const Segment& segment, const Stretch& tear, bool may_cut,
                             const LogState& state) {
  Finding finding{segment.path, tear.position,
                  std::to_string(tear.size) + " bytes at the end are no batch: " + tear.problem, ""};
  if (repair_ && may_cut) {
    ASSIGN_OR_RETURN(const std::string copy, CutTail(segment, tear, state));
    finding.repair = "moved to " + copy;
  }
  Report(std::move(finding));
  return absl::OkStatus();
}

// The copy is on disk, with its name, before the tail goes.
absl::StatusOr<std::string> Fsck::CutTail(const Segment& segment, const Stretch& tear,
                                          const LogState& state) {
  ASSIGN_OR_RETURN(const std::string copy, FreeQuarantinePath(state.quarantine_name + "-" +
                                                              std::to_string(segment.base_offset) + ".tail"));
  ASSIGN_OR_RETURN(const auto from, files_.Open(segment.path, storage::OpenMode::kWrite));
  ASSIGN_OR_RETURN(const auto to, files_.Open(copy, storage::OpenMode::kCreate));
  std::vector<std::byte> piece(kCopyPiece);
  for (std::uint64_t done = 0; done < tear.size;) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), tear.size - done));
    ASSIGN_OR_RETURN(const std::size_t got,
                     from->ReadAt(tear.position + done, MutableByteSpan(piece).first(want)));
    if (got != want) return absl::DataLossError(segment.path + " became shorter while it was read");
    const ByteSpan bytes = ByteSpan(piece).first(got);
    RETURN_IF_ERROR(to->WriteAt(done, {&bytes, 1}));
    done += got;
  }
  RETURN_IF_ERROR(to->Sync());
  const std::string why =
      segment.path + ", position " + std::to_string(tear.position) + ", cut by fsck: " + tear.problem + "\n";
  RETURN_IF_ERROR(WriteFile(copy + ".reason", AsBytes(why)));
  RETURN_IF_ERROR(files_.SyncDirectory(directory_ + "/quarantine"));
  RETURN_IF_ERROR(from->Truncate(tear.position));
  RETURN_IF_ERROR(from->Sync());
  cut_ = true;
  return copy;
}

absl::StatusOr<std::string> Fsck::FreeQuarantinePath(const std::string& name) {
  const std::string quarantine = directory_ + "/quarantine";
  RETURN_IF_ERROR(files_.CreateDirectory(quarantine));
  RETURN_IF_ERROR(files_.SyncDirectory(directory_));
  ASSIGN_OR_RETURN(const auto entries, files_.List(quarantine));
  std::set<std::string> taken;
  for (const DirectoryEntry& entry : entries) taken.insert(entry.name);
  std::string free = name;
  for (int n = 1; taken.contains(free); ++n) free = name + "." + std::to_string(n);
  return quarantine + "/" + free;
}

absl::Status Fsck::WriteFile(const std::string& path, ByteSpan content) {
  ASSIGN_OR_RETURN(const auto file, files_.Open(path, storage::OpenMode::kCreate));
  RETURN_IF_ERROR(file->WriteAt(0, {&content, 1}));
  return file->Sync();
}

}  // namespace headrace::cli::offline
