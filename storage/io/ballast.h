// Space kept for the day the disk is full: what frees more of it has to write a little first.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "protocol/core/mutex.h"
#include "storage/io/file.h"

namespace headrace::storage {

// A file of kSize bytes that shrinks when a small file cannot be written for want of space, so that topics
// can be trimmed, altered and deleted on a disk that has no byte left, and grows again at once with what the
// file that was replaced has left. Owned by the data directory. Thread: any.
class Ballast {
 public:
  static constexpr std::uint64_t kSize = std::uint64_t{1} << 20;

  Ballast(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}

  // Makes the file as large as there is room for; costs next to nothing while it is whole.
  void Fill() HEADRACE_EXCLUDES(mutex_);
  // Runs `write`, and as long as the disk is full runs it again with half as much ballast. REQUIRES: `write`
  // may be run again, as the replacement of a small file may.
  absl::Status Lighten(const std::function<absl::Status()>& write) HEADRACE_EXCLUDES(mutex_);

 private:
  void Grow() HEADRACE_REQUIRES(mutex_);
  absl::Status GiveUpHalf() HEADRACE_REQUIRES(mutex_);

  FileSystem& files_;
  const std::string path_;
  core::Mutex mutex_;
  std::uint64_t size_ HEADRACE_GUARDED_BY(mutex_) = 0;  // of the file, in whole pieces
};

}  // namespace headrace::storage
