// A file system that fails on demand.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "storage/io/file.h"

namespace headrace::testing {

// What was about to happen. Only operations that change something are counted; the others can fail too.
struct FileOperation {
  enum class Kind {
    kCreate,
    kWrite,
    kSync,
    kTruncate,
    kCreateDirectory,
    kRename,
    kRemove,
    kSyncDirectory,
    kRead,  // of bytes
    kLook   // open what is there, list, ask for size, time or space, lock
  };
  Kind kind;
  std::string path;
  std::uint64_t
      number;  // from 1, of the operations that change something; kRead and kLook have the last one's
  std::uint64_t size = 0;  // of a write, bytes
};

// What to do instead. `bytes_first` of a write are written before it fails.
struct Fault {
  absl::Status status;
  std::uint64_t bytes_first = 0;
};

// Wraps another file system, which it does not own. `decide` is called for every operation; OK lets it pass.
// Thread: any.
class FaultyFileSystem final : public storage::FileSystem {
 public:
  using Decide = std::function<Fault(const FileOperation&)>;

  explicit FaultyFileSystem(storage::FileSystem& inner) : inner_(inner) {}

  void SetDecide(Decide decide) { decide_ = std::move(decide); }
  // From operation `number` on everything fails: the process has died there.
  void DieAt(std::uint64_t number);
  // Exactly operation `number` fails.
  void FailAt(std::uint64_t number, absl::Status status, std::uint64_t bytes_first = 0);
  // After this many more bytes the disk is full: a write has what still fits, and fails.
  void FillAfter(std::uint64_t bytes);
  // Nothing fails any more, and operations are counted from 1 again.
  void Heal();
  std::uint64_t operations() const { return operations_.load(); }

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

  // For the files it hands out.
  Fault Next(FileOperation::Kind kind, const std::string& path, std::uint64_t size = 0);

 private:
  storage::FileSystem& inner_;
  Decide decide_;
  std::atomic<std::uint64_t> operations_{0};
};

}  // namespace headrace::testing
