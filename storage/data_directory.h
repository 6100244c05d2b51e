// A broker's data directory: who holds it, what format it has, and how its last shutdown went.
//
//   <data>/lock                 held while a broker runs; holds its process id
//   <data>/meta                 format number, cluster id, leader epoch; not disposable
//   <data>/clean                what a clean shutdown knew of every log; removed first at start
//   <data>/topics/<topic id>/<partition>/   one log each
//   <data>/ballast              space that is given up when the disk is full (storage/io/ballast.h)
//   <data>/quarantine/          whatever was cut or not understood; never deleted by the broker
//
// Other parts keep small files of their own beside these (the topic registry, producer-id blocks).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/io/ballast.h"
#include "storage/io/file_cache.h"
#include "storage/log.h"

namespace headrace::storage {

// The `meta` file's content.
struct DataDirectoryMeta {
  static constexpr std::uint32_t kFormat = 1;
  std::uint32_t format = kFormat;
  std::string cluster_id;
  LeaderEpoch leader_epoch = 0;  // raised by one, and synced, before logs are recovered
};

// Thread: Open, Close and the destructor on one; the rest from any.
class DataDirectory {
 public:
  // Creates the directory if it is missing (its parent must exist), takes the lock, reads `meta` (a newer
  // format refuses to start, changing nothing), reads and then removes `clean`, before anything else may
  // write. Errors name the path, and the process id that holds the lock.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Open(FileSystem& files, Clock& clock,
                                                             std::string path, std::size_t open_files_max,
                                                             std::string boot_id,
                                                             std::function<void(const std::string&)> report);
  ~DataDirectory();

  const std::string& path() const { return path_; }
  const DataDirectoryMeta& meta() const { return meta_; }
  // Whether the last shutdown was clean (true for a fresh directory).
  bool was_clean() const { return was_clean_; }
  LogEnvironment& environment() { return environment_; }
  FileCache& cache() { return *cache_; }

  // ReplaceSmallFile for a file of the directory's own; on a full disk with the ballast's space.
  absl::Status Replace(std::string_view name, std::uint32_t format, ByteSpan content);

  std::string LogPath(const TopicPartition& partition) const;
  // What the clean shutdown knew of this log; nullopt after an unclean one: then it must be recovered.
  std::optional<LogSummary> SummaryOf(const TopicPartition& partition) const;
  // Moves a file or directory to quarantine/ with a file beside it that says why. Never overwrites; on disk
  // when it returns OK. If the reason cannot be written, nothing is moved.
  absl::Status Quarantine(const std::string& path, const std::string& reason);
  // Directories under topics/ whose topic or partition is not in `known` are moved to quarantine; names that
  // are not ours are reported once and left alone.
  absl::Status QuarantineUnknown(const std::map<TopicId, PartitionId>& known_partition_counts);

  // Free bytes below which produce is refused: max(64 MiB, min(5 % of the disk, 1 GiB)).
  static std::uint64_t ReserveOf(const DiskSpace& space);

  // Writes `clean` with what Log::Close said of every log, synced. The last act of an orderly stop. If some
  // could not be closed, they are left out of it and `all` is false: the next start recovers them, in a new
  // leader epoch.
  absl::Status MarkClean(const std::vector<std::pair<TopicPartition, LogSummary>>& logs, bool all = true);

 private:
  DataDirectory(FileSystem& files, std::string path);
  // Refuses a newer format. Reads only, so that a refusal leaves even the lock file as it was.
  absl::Status CheckFormat();
  // Makes the directory's own name survive power loss.
  absl::Status SyncParent();
  absl::Status ReadMeta();
  absl::Status WriteMeta();
  absl::Status RaiseLeaderEpoch();
  absl::Status ReadClean();
  // A name in quarantine that neither a file nor a reason has.
  absl::StatusOr<std::string> FreeQuarantinePath(const std::string& path);
  absl::Status WriteReason(const std::string& path, const std::string& reason);
  absl::Status QuarantineUnknownPartitions(const std::string& topic_path, PartitionId count);
  void ReportForeign(const std::string& path);
  void QuarantineOrReport(const std::string& path, const std::string& reason);

  FileSystem& files_;
  std::string path_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<FileCache> cache_;
  Ballast ballast_;
  DataDirectoryMeta meta_;
  bool was_clean_ = false;
  std::map<TopicPartition, LogSummary> summaries_;
  LogEnvironment environment_;
};

// The running kernel's boot id, or "" where the kernel does not tell.
std::string ReadBootId();

}  // namespace headrace::storage
