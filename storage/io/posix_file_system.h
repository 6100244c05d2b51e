// The real file system.
#pragma once

#include "protocol/core/mutex.h"
#include "storage/io/file.h"

namespace headrace::storage {

// Thread: any. Descriptors are close-on-exec, and a symbolic link is never followed as a file. Keeps one
// descriptor in reserve, so that a directory can be synced when there is no other.
class PosixFileSystem final : public FileSystem {
 public:
  PosixFileSystem();
  ~PosixFileSystem() override;
  PosixFileSystem(const PosixFileSystem&) = delete;
  PosixFileSystem& operator=(const PosixFileSystem&) = delete;

  absl::StatusOr<std::shared_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& directory) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<TimestampMs> ModificationTime(const std::string& path) override;
  absl::StatusOr<DiskSpace> Space(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

 private:
  core::Mutex reserve_mutex_;
  int reserve_ HEADRACE_GUARDED_BY(reserve_mutex_);  // -1: none could be had
};

}  // namespace headrace::storage
