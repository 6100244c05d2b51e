// A file system in memory that can lose what was not synced.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "storage/io/file.h"

namespace headrace::testing {

// Files and directories with two states each: as they are now, and as power loss would leave them for certain
// (file content as of the last Sync, names as of the last SyncDirectory). A rename is two changes, one of
// each directory's names, and what is below a renamed directory is sure only after its own SyncDirectory:
// both are harsher than real file systems are. Thread: any.
class MemoryFileSystem final : public storage::FileSystem {
 public:
  MemoryFileSystem();

  absl::StatusOr<std::shared_ptr<storage::File>> Open(const std::string& path,
                                                      storage::OpenMode mode) override;
  absl::StatusOr<std::vector<storage::DirectoryEntry>> List(const std::string& directory) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<TimestampMs> ModificationTime(const std::string& path) override;
  absl::StatusOr<storage::DiskSpace> Space(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<storage::FileLock>> Lock(const std::string& path) override;

  // The process dies: files open until now fail from here on, what was written stays.
  void CrashProcess();
  // The power fails: of what was not synced a random part stays, chosen by `seed`: any subset of the changed
  // 4 KiB pages, any length between the synced and the present one, any subset of the changed names.
  void CrashPower(std::uint64_t seed);

  // For tests that damage files. Empty if there is no such file.
  std::vector<std::byte> Read(const std::string& path) const;
  void Write(const std::string& path, std::vector<std::byte> content);  // counts as synced
  bool Exists(const std::string& path) const;
  // All paths of files, in order.
  std::vector<std::string> Files() const;
  void SetFreeSpace(std::uint64_t bytes);
  void SetTime(TimestampMs now);

 private:
  friend class MemoryFile;

  struct Inode {
    std::vector<std::byte> content;
    std::vector<std::byte> synced;
    TimestampMs modified = 0;
  };
  // A null inode is a directory.
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  static std::optional<std::shared_ptr<Inode>> Lookup(const Names& names, const std::string& path);
  static std::string ParentOf(const std::string& path);
  absl::Status CheckParent(const std::string& path) const;
  void LosePages(Inode& inode, std::mt19937_64& random);

  mutable std::mutex mutex_;
  Names names_;
  Names synced_names_;
  std::map<std::string, std::uint64_t> locks_;  // with the generation of their owner
  std::uint64_t generation_ = 0;                // files of an earlier one are dead
  std::uint64_t free_space_ = std::uint64_t{1} << 40;
  TimestampMs now_ = 0;
};

}  // namespace headrace::testing
