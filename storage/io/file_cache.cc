#include "storage/io/file_cache.h"

#include "protocol/core/status_macros.h"

namespace headrace::storage {

FileCache::FileCache(FileSystem& files, std::size_t open_max) : files_(files), open_max_(open_max) {}

absl::StatusOr<std::shared_ptr<File>> FileCache::Get(const std::string& path, OpenMode mode) {
  std::uint64_t drops_before = 0;
  {
    const core::MutexLock lock(mutex_);
    drops_before = drops_;
    if (const auto found = by_path_.find(path); found != by_path_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return found->second->file;
    }
  }
  // Opened without the lock: an open may wait for the disk, and others need the cache meanwhile.
  absl::StatusOr<std::shared_ptr<File>> opened = files_.Open(path, mode);
  while (absl::IsUnavailable(opened.status()) && EvictHalf()) opened = files_.Open(path, mode);
  RETURN_IF_ERROR(opened.status());
  std::shared_ptr<File> file = *std::move(opened);
  std::list<Entry> evicted;  // destroyed, and so perhaps closed, after the lock
  const core::MutexLock lock(mutex_);
  if (const auto found = by_path_.find(path); found != by_path_.end()) return found->second->file;
  // A name that was dropped meanwhile may be this one: kept here, its file would keep the deleted bytes.
  if (drops_ != drops_before) return file;
  entries_.push_front({path, file});
  by_path_[path] = entries_.begin();
  evicted = Evict(open_max_);
  return file;
}

bool FileCache::EvictHalf() {
  std::list<Entry> evicted;
  const core::MutexLock lock(mutex_);
  evicted = Evict(entries_.size() / 2);
  return !evicted.empty();
}

std::list<FileCache::Entry> FileCache::Evict(std::size_t keep) {
  std::list<Entry> evicted;
  while (entries_.size() > keep) {
    by_path_.erase(entries_.back().path);
    evicted.splice(evicted.begin(), entries_, std::prev(entries_.end()));
  }
  return evicted;
}

void FileCache::Drop(const std::string& path) {
  std::shared_ptr<File> dropped;
  const core::MutexLock lock(mutex_);
  ++drops_;
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return;
  dropped = std::move(found->second->file);
  entries_.erase(found->second);
  by_path_.erase(found);
}

std::size_t FileCache::open_count() const {
  const core::MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace headrace::storage
