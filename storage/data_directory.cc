#include "storage/data_directory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "protocol/core/status_macros.h"
#include "storage/clean_manifest.h"
#include "storage/io/small_file.h"

namespace headrace::storage {
namespace {

constexpr std::uint32_t kCleanFormat = 1;
constexpr std::size_t kMetaSize = 8;  // leader epoch (4), size of the cluster id (4), cluster id

// The directory's names that are not logs.
const std::set<std::string, std::less<>> kOwnNames = {"lock",         "meta",   "clean",     "registry",
                                                      "producer_ids", "topics", "quarantine"};

}  // namespace

std::string ReadBootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

DataDirectory::DataDirectory(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
DataDirectory::~DataDirectory() = default;

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Open(
    FileSystem& files, Clock& clock, std::string path, std::size_t open_files_max, std::string boot_id,
    std::function<void(const std::string&)> report) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory(files, std::move(path)));
  RETURN_IF_ERROR(directory->CheckFormat());
  RETURN_IF_ERROR(files.CreateDirectory(directory->path_));
  ASSIGN_OR_RETURN(directory->lock_, files.Lock(directory->path_ + "/lock"));
  directory->cache_ = std::make_unique<FileCache>(files, open_files_max);
  LogEnvironment& environment = directory->environment_;
  environment.files = &files;
  environment.clock = &clock;
  environment.cache = directory->cache_.get();
  environment.boot_id = std::move(boot_id);
  environment.quarantine = directory->path_ + "/quarantine";
  environment.report = std::move(report);
  RETURN_IF_ERROR(directory->ReadMeta());
  RETURN_IF_ERROR(files.CreateDirectory(directory->path_ + "/topics"));
  RETURN_IF_ERROR(files.CreateDirectory(environment.quarantine));
  RETURN_IF_ERROR(files.SyncDirectory(directory->path_));
  RETURN_IF_ERROR(directory->ReadClean());
  return directory;
}

absl::Status DataDirectory::CheckFormat() {
  const auto file = ReadSmallFile(files_, path_ + "/meta");
  if (!file.ok() || file->format <= DataDirectoryMeta::kFormat) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(path_, " has format ", file->format,
                                                    "; this broker knows up to ", DataDirectoryMeta::kFormat,
                                                    ": use the newer broker that wrote it"));
}

absl::Status DataDirectory::SyncParent() {
  const std::size_t last = path_.find_last_not_of('/');
  const std::size_t slash = last == std::string::npos ? last : path_.rfind('/', last);
  const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : path_.substr(0, slash);
  const absl::Status synced = files_.SyncDirectory(parent);
  if (!absl::IsPermissionDenied(synced)) return synced;
  // Somebody else made the directory for this broker, and it cannot look at what is above.
  environment_.report(absl::StrCat(synced.message(), "; ", path_, " itself is only as durable as that"));
  return absl::OkStatus();
}

absl::Status DataDirectory::ReadMeta() {
  RETURN_IF_ERROR(CheckFormat());  // again, now that nobody else can change it
  const auto file = ReadSmallFile(files_, path_ + "/meta");
  if (absl::IsNotFound(file.status())) {
    // No meta: a fresh directory, or one that lost it. Logs without it are never taken for our own silently.
    const auto topics = files_.List(path_ + "/topics");
    if (topics.ok() && !topics->empty()) {
      return absl::DataLossError(
          absl::StrCat(path_, "/meta is missing but ", path_,
                       "/topics holds logs; restore "
                       "meta from a backup, or move the directory away to start afresh"));
    }
    RETURN_IF_ERROR(SyncParent());
    was_clean_ = true;
    meta_.cluster_id = TopicId::Random().ToString();
    return WriteMeta();
  }
  RETURN_IF_ERROR(file.status());
  if (file->content.size() < kMetaSize) return absl::DataLossError(absl::StrCat(path_, "/meta is cut short"));
  meta_.leader_epoch = LoadBigEndian<std::int32_t>(file->content.data());
  const std::size_t size = LoadBigEndian<std::uint32_t>(file->content.data() + 4);
  if (size != file->content.size() - kMetaSize)
    return absl::DataLossError(absl::StrCat(path_, "/meta is cut short"));
  meta_.cluster_id = AsText(ByteSpan(file->content).subspan(kMetaSize));
  return absl::OkStatus();
}

absl::Status DataDirectory::WriteMeta() {
  std::vector<std::byte> content(kMetaSize);
  StoreBigEndian(content.data(), meta_.leader_epoch);
  StoreBigEndian(content.data() + 4, static_cast<std::uint32_t>(meta_.cluster_id.size()));
  const ByteSpan id = AsBytes(meta_.cluster_id);
  content.insert(content.end(), id.begin(), id.end());
  return ReplaceSmallFile(files_, path_ + "/meta", DataDirectoryMeta::kFormat, content);
}

absl::Status DataDirectory::ReadClean() {
  const std::string path = path_ + "/clean";
  const auto file = ReadSmallFile(files_, path);
  if (file.ok() && file->format == kCleanFormat) {
    auto summaries = ParseManifest(file->content);
    if (summaries.ok()) {
      summaries_ = *std::move(summaries);
      was_clean_ = true;
    }
  }
  if (!absl::IsNotFound(file.status())) {
    if (!was_clean_) environment_.report(absl::StrCat(path, " is damaged: every log is recovered instead"));
    // Gone before anything else happens: a crash from here on is a crash, not a clean shutdown.
    RETURN_IF_ERROR(files_.Remove(path));
    RETURN_IF_ERROR(files_.SyncDirectory(path_));
  }
  if (was_clean_) return absl::OkStatus();
  ++meta_.leader_epoch;
  return WriteMeta();
}

std::string DataDirectory::LogPath(const TopicPartition& partition) const {
  return absl::StrCat(path_, "/topics/", partition.topic.ToString(), "/", partition.partition);
}

std::optional<LogSummary> DataDirectory::SummaryOf(const TopicPartition& partition) const {
  if (!was_clean_) return std::nullopt;
  const auto found = summaries_.find(partition);
  // A log the clean shutdown did not know is not trusted to be empty: it is looked at.
  if (found == summaries_.end()) return std::nullopt;
  return found->second;
}

absl::Status DataDirectory::Quarantine(const std::string& path, const std::string& reason) {
  std::string flat = path.substr(path.starts_with(path_) ? path_.size() + 1 : 0);
  std::replace(flat.begin(), flat.end(), '/', '_');
  const auto taken = files_.List(environment_.quarantine);
  RETURN_IF_ERROR(taken.status());
  const auto exists = [&](const std::string& name) {
    return std::any_of(taken->begin(), taken->end(),
                       [&](const DirectoryEntry& entry) { return entry.name == name; });
  };
  std::string name = flat;
  for (int copy = 1; exists(name); ++copy) name = absl::StrCat(flat, ".", copy);
  const std::string target = environment_.quarantine + "/" + name;
  RETURN_IF_ERROR(files_.Rename(path, target));
  ASSIGN_OR_RETURN(const auto note, files_.Open(target + ".reason", OpenMode::kCreate));
  const std::string text = reason + "\n";
  const ByteSpan piece = AsBytes(text);
  RETURN_IF_ERROR(note->WriteAt(0, {&piece, 1}));
  RETURN_IF_ERROR(files_.SyncDirectory(environment_.quarantine));
  environment_.report(absl::StrCat(path, " was moved to ", target, ": ", reason));
  return absl::OkStatus();
}

void DataDirectory::QuarantineOrReport(const std::string& path, const std::string& reason) {
  const absl::Status moved = Quarantine(path, reason);
  if (!moved.ok()) {
    environment_.report(
        absl::StrCat(path, " could not be moved to quarantine (", moved.message(), "): ", reason));
  }
}

absl::Status DataDirectory::QuarantineUnknown(const std::map<TopicId, PartitionId>& known_partition_counts) {
  ASSIGN_OR_RETURN(const auto names, files_.List(path_));
  for (const DirectoryEntry& entry : names) {
    if (kOwnNames.contains(entry.name) || entry.name.ends_with(".new")) continue;
    environment_.report(absl::StrCat(path_, "/", entry.name, " is not ours; it is left alone"));
  }
  ASSIGN_OR_RETURN(const auto topics, files_.List(path_ + "/topics"));
  for (const DirectoryEntry& entry : topics) {
    const std::string path = path_ + "/topics/" + entry.name;
    const std::optional<TopicId> id = TopicId::Parse(entry.name);
    if (!id || entry.kind != DirectoryEntry::Kind::kDirectory) {
      environment_.report(path + " is not ours; it is left alone");
      continue;
    }
    const auto known = known_partition_counts.find(*id);
    if (known == known_partition_counts.end()) {
      QuarantineOrReport(path, "the topic registry does not know this topic");
      continue;
    }
    ASSIGN_OR_RETURN(const auto partitions, files_.List(path));
    for (const DirectoryEntry& partition : partitions) {
      PartitionId number = -1;
      const char* end = partition.name.data() + partition.name.size();
      const auto parsed = std::from_chars(partition.name.data(), end, number);
      if (parsed.ec != std::errc() || parsed.ptr != end) {
        environment_.report(absl::StrCat(path, "/", partition.name, " is not ours; it is left alone"));
      } else if (number >= known->second) {
        QuarantineOrReport(absl::StrCat(path, "/", partition.name), "the topic has no such partition");
      }
    }
  }
  return absl::OkStatus();
}

std::uint64_t DataDirectory::ReserveOf(const DiskSpace& space) {
  constexpr std::uint64_t kMin = std::uint64_t{64} << 20;
  constexpr std::uint64_t kMax = std::uint64_t{1} << 30;
  return std::max(kMin, std::min(space.total / 20, kMax));
}

absl::Status DataDirectory::MarkClean(const std::vector<std::pair<TopicPartition, LogSummary>>& logs) {
  return ReplaceSmallFile(files_, path_ + "/clean", kCleanFormat, SerializeManifest(logs));
}

}  // namespace headrace::storage
