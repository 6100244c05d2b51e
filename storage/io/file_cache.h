// An LRU of open files, so that an idle partition holds no descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "protocol/core/mutex.h"
#include "storage/io/file.h"

namespace headrace::storage {

// Shared by all logs of a data directory. Thread: any. Holds one reference to each file it knows; a file in
// use elsewhere (a slice on its way, a segment with unsynced bytes) stays open when it is evicted here.
class FileCache {
 public:
  // `open_max`: files kept open by the cache itself.
  FileCache(FileSystem& files, std::size_t open_max);

  // The open file of this path, opened for reading and writing if it was not open. The caller passes a name
  // that is never reused for another file (segment paths are not, once deleted).
  absl::StatusOr<std::shared_ptr<File>> Get(const std::string& path, OpenMode mode) HEADRACE_EXCLUDES(mutex_);
  // Forgets a path whose name is about to go.
  void Drop(const std::string& path) HEADRACE_EXCLUDES(mutex_);
  std::size_t open_count() const HEADRACE_EXCLUDES(mutex_);

 private:
  struct Entry {
    std::string path;
    std::shared_ptr<File> file;
  };

  // Lets go of half of the files, those that were used longest ago; false if there is none.
  bool EvictHalf() HEADRACE_EXCLUDES(mutex_);
  std::list<Entry> Evict(std::size_t keep) HEADRACE_REQUIRES(mutex_);

  FileSystem& files_;
  const std::size_t open_max_;
  mutable core::Mutex mutex_;
  std::uint64_t drops_ HEADRACE_GUARDED_BY(mutex_) = 0;
  std::list<Entry> entries_ HEADRACE_GUARDED_BY(mutex_);  // most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_path_ HEADRACE_GUARDED_BY(mutex_);
};

}  // namespace headrace::storage
