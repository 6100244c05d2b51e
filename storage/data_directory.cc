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
const std::set<std::string, std::less<>> kOwnNames = {"lock",     "meta",         "clean",  "ballast",
                                                      "registry", "producer_ids", "topics", "quarantine"};

// Only names exactly as LogPath writes them: another spelling ("01", capitals) is another directory.
std::optional<TopicId> TopicOf(const DirectoryEntry& entry) {
  const std::optional<TopicId> id = TopicId::Parse(entry.name);
  const bool ours = entry.kind == DirectoryEntry::Kind::kDirectory && id && id->ToString() == entry.name;
  return ours ? id : std::nullopt;
}

std::optional<PartitionId> PartitionOf(const DirectoryEntry& entry) {
  PartitionId number = -1;
  std::from_chars(entry.name.data(), entry.name.data() + entry.name.size(), number);
  const bool ours =
      entry.kind == DirectoryEntry::Kind::kDirectory && number >= 0 && absl::StrCat(number) == entry.name;
  return ours ? std::optional(number) : std::nullopt;
}

}  // namespace

std::string ReadBootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

DataDirectory::DataDirectory(FileSystem& files, std::string path)
    : files_(files), path_(std::move(path)), ballast_(files, path_ + "/ballast") {}
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
  environment.ballast = &directory->ballast_;
  environment.boot_id = std::move(boot_id);
  environment.quarantine = directory->path_ + "/quarantine";
  environment.report = std::move(report);
  RETURN_IF_ERROR(directory->ReadMeta());
  RETURN_IF_ERROR(files.CreateDirectory(directory->path_ + "/topics"));
  RETURN_IF_ERROR(files.CreateDirectory(environment.quarantine));
  RETURN_IF_ERROR(files.SyncDirectory(directory->path_));
  RETURN_IF_ERROR(directory->ReadClean());
  directory->ballast_.Fill();
  if (!directory->was_clean_) RETURN_IF_ERROR(directory->RaiseLeaderEpoch());
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
  return Replace("meta", DataDirectoryMeta::kFormat, content);
}

absl::Status DataDirectory::RaiseLeaderEpoch() {
  ++meta_.leader_epoch;
  return WriteMeta();
}

absl::Status DataDirectory::Replace(std::string_view name, std::uint32_t format, ByteSpan content) {
  const std::string path = absl::StrCat(path_, "/", std::string(name));
  return ballast_.Lighten([&] { return ReplaceSmallFile(files_, path, format, content); });
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
  return absl::OkStatus();
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

absl::StatusOr<std::string> DataDirectory::FreeQuarantinePath(const std::string& path) {
  std::string flat = path.substr(path.starts_with(path_ + "/") ? path_.size() + 1 : 0);
  std::replace(flat.begin(), flat.end(), '/', '_');
  ASSIGN_OR_RETURN(const auto entries, files_.List(environment_.quarantine));
  std::set<std::string> taken;
  for (const DirectoryEntry& entry : entries) taken.insert(entry.name);
  std::string name = flat;
  for (int copy = 1; taken.contains(name) || taken.contains(name + ".reason"); ++copy) {
    name = absl::StrCat(flat, ".", copy);
  }
  return environment_.quarantine + "/" + name;
}

absl::Status DataDirectory::WriteReason(const std::string& path, const std::string& reason) {
  ASSIGN_OR_RETURN(const auto note, files_.Open(path, OpenMode::kCreate));
  const std::string text = reason + "\n";
  const ByteSpan piece = AsBytes(text);
  RETURN_IF_ERROR(note->WriteAt(0, {&piece, 1}));
  RETURN_IF_ERROR(note->Sync());
  return files_.SyncDirectory(environment_.quarantine);
}

absl::Status DataDirectory::Quarantine(const std::string& path, const std::string& reason) {
  ASSIGN_OR_RETURN(const std::string target, FreeQuarantinePath(path));
  // The reason is on disk first: whatever lies in quarantine has one, also after a crash.
  absl::Status status = WriteReason(target + ".reason", reason);
  if (status.ok()) status = files_.Rename(path, target);
  if (!status.ok()) {
    files_.Remove(target + ".reason").IgnoreError();  // best effort: left behind, it is only not reused
    return status;
  }
  RETURN_IF_ERROR(files_.SyncDirectory(environment_.quarantine));
  RETURN_IF_ERROR(files_.SyncDirectory(path.substr(0, path.rfind('/'))));
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

void DataDirectory::ReportForeign(const std::string& path) {
  environment_.report(path + " is not ours; it is left alone");
}

absl::Status DataDirectory::QuarantineUnknown(const std::map<TopicId, PartitionId>& known_partition_counts) {
  ASSIGN_OR_RETURN(const auto names, files_.List(path_));
  for (const DirectoryEntry& entry : names) {
    if (!kOwnNames.contains(entry.name) && !entry.name.ends_with(".new"))
      ReportForeign(path_ + "/" + entry.name);
  }
  ASSIGN_OR_RETURN(const auto topics, files_.List(path_ + "/topics"));
  for (const DirectoryEntry& entry : topics) {
    const std::string path = path_ + "/topics/" + entry.name;
    const std::optional<TopicId> id = TopicOf(entry);
    const auto known = id ? known_partition_counts.find(*id) : known_partition_counts.end();
    if (!id) {
      ReportForeign(path);
    } else if (known == known_partition_counts.end()) {
      QuarantineOrReport(path, "the topic registry does not know this topic");
    } else {
      RETURN_IF_ERROR(QuarantineUnknownPartitions(path, known->second));
    }
  }
  return absl::OkStatus();
}

absl::Status DataDirectory::QuarantineUnknownPartitions(const std::string& topic_path, PartitionId count) {
  ASSIGN_OR_RETURN(const auto partitions, files_.List(topic_path));
  for (const DirectoryEntry& entry : partitions) {
    const std::string path = topic_path + "/" + entry.name;
    const std::optional<PartitionId> number = PartitionOf(entry);
    if (!number) {
      ReportForeign(path);
    } else if (*number >= count) {
      QuarantineOrReport(path, "the topic has no such partition");
    }
  }
  return absl::OkStatus();
}

std::uint64_t DataDirectory::ReserveOf(const DiskSpace& space) {
  constexpr std::uint64_t kMin = std::uint64_t{64} << 20;
  constexpr std::uint64_t kMax = std::uint64_t{1} << 30;
  return std::max(kMin, std::min(space.total / 20, kMax));
}

absl::Status DataDirectory::MarkClean(const std::vector<std::pair<TopicPartition, LogSummary>>& logs,
                                      bool all) {
  if (!all) RETURN_IF_ERROR(RaiseLeaderEpoch());
  return Replace("clean", kCleanFormat, SerializeManifest(logs));
}

}  // namespace headrace::storage
