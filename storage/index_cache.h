// Indexes of sealed segments, loaded on demand and forgotten in the order of their last use.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "protocol/core/mutex.h"
#include "storage/offset_index.h"

namespace headrace::storage {

// Shared by all logs of a data directory. Thread: any. Holds at most `size_max` bytes of indexes, or one.
class IndexCache {
 public:
  struct Loaded {
    OffsetIndex index;
    std::uint64_t log_size = 0;  // bytes of the segment that it covers
  };

  explicit IndexCache(std::size_t size_max) : size_max_(size_max) {}

  // nullptr if it is not here. `path` is that of the segment file.
  std::shared_ptr<const Loaded> Get(const std::string& path) HEADRACE_EXCLUDES(mutex_);
  void Put(const std::string& path, std::shared_ptr<const Loaded> loaded) HEADRACE_EXCLUDES(mutex_);
  void Drop(const std::string& path) HEADRACE_EXCLUDES(mutex_);
  std::size_t size() const HEADRACE_EXCLUDES(mutex_);  // bytes

 private:
  struct Entry {
    std::string path;
    std::shared_ptr<const Loaded> loaded;
  };
  void Forget(std::list<Entry>::iterator entry) HEADRACE_REQUIRES(mutex_);

  const std::size_t size_max_;
  mutable core::Mutex mutex_;
  std::list<Entry> entries_ HEADRACE_GUARDED_BY(mutex_);  // most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_path_ HEADRACE_GUARDED_BY(mutex_);
  std::size_t size_ HEADRACE_GUARDED_BY(mutex_) = 0;
};

// The cache of a data directory: 16 MiB, the indexes of some 30 GiB of segments.
std::shared_ptr<IndexCache> MakeIndexCache();

}  // namespace headrace::storage
