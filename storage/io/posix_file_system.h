// The real file system.
#pragma once

#include "storage/io/file.h"

namespace headrace::storage {

// Stateless; thread: any. Descriptors are close-on-exec, and a symbolic link is never followed as a file.
class PosixFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::shared_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& directory) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<TimestampMs> ModificationTime(const std::string& path) override;
  absl::StatusOr<DiskSpace> Space(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
};

}  // namespace headrace::storage
