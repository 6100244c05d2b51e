// Refuses appends before the disk is full, so that commits, deletes and truncation still work.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "protocol/core/mutex.h"
#include "storage/io/ballast.h"
#include "storage/io/file.h"

namespace headrace::topic {

// One per data directory. Thread: Refresh from the janitor's, the rest from any.
class DiskGuard {
 public:
  // Of one line each: that appends are refused, and that they go on. Called under a lock of the guard.
  using Report = std::function<void(const std::string&)>;

  // `ballast`, if there is one, is filled again whenever there is room.
  DiskGuard(storage::FileSystem& files, std::string path, storage::Ballast* ballast = nullptr,
            Report report = nullptr);

  // OK, or kDiskFull with path, free bytes and the reserve, or with the write that met a full disk. Costs one
  // atomic load while there is room.
  absl::Status Check() const HEADRACE_EXCLUDES(mutex_);
  // Asks the file system again. Appends go on by themselves once there is room.
  void Refresh() HEADRACE_EXCLUDES(mutex_);
  // A write met a full disk, or a quota that free bytes do not show: refuse until Refresh finds room.
  void NoteFull(const absl::Status& cause) HEADRACE_EXCLUDES(mutex_);

 private:
  std::string Reason() const HEADRACE_REQUIRES(mutex_);
  void Tell(const std::string& line) const HEADRACE_REQUIRES(mutex_);

  storage::FileSystem& files_;
  const std::string path_;
  storage::Ballast* const ballast_;
  const Report report_;
  std::atomic<bool> full_{false};
  mutable core::Mutex mutex_;
  std::uint64_t free_ HEADRACE_GUARDED_BY(mutex_) = 0;
  std::uint64_t reserve_ HEADRACE_GUARDED_BY(mutex_) = 0;
  std::string cause_ HEADRACE_GUARDED_BY(mutex_);  // of NoteFull, since the last Refresh
  bool told_ HEADRACE_GUARDED_BY(mutex_) = false;  // that appends are refused, and not yet that they go on
};

}  // namespace headrace::topic
