// Refuses appends before the disk is full, so that commits, deletes and truncation still work.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/status.h"
#include "storage/io/file.h"

namespace headrace::topic {

// One per data directory. Thread: Check from any, Refresh from the janitor's.
class DiskGuard {
 public:
  DiskGuard(storage::FileSystem& files, std::string path);

  // OK, or kDiskFull with path, free bytes and the reserve. Costs one atomic load.
  absl::Status Check() const;
  // Asks the file system again. Appends go on by themselves once there is room.
  void Refresh();
  // A write met a full disk: refuse until Refresh finds room.
  void NoteFull() { full_.store(true, std::memory_order_relaxed); }

 private:
  storage::FileSystem& files_;
  const std::string path_;
  std::atomic<bool> full_{false};
  std::atomic<std::uint64_t> free_{0};
  std::atomic<std::uint64_t> reserve_{0};
};

}  // namespace headrace::topic
