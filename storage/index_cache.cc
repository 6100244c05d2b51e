#include "storage/index_cache.h"

#include <utility>

namespace headrace::storage {

std::shared_ptr<const IndexCache::Loaded> IndexCache::Get(const std::string& path) {
  const core::MutexLock lock(mutex_);
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->loaded;
}

void IndexCache::Put(const std::string& path, std::shared_ptr<const Loaded> loaded) {
  const core::MutexLock lock(mutex_);
  if (const auto found = by_path_.find(path); found != by_path_.end()) Forget(found->second);
  size_ += loaded->index.memory_size();
  entries_.push_front({path, std::move(loaded)});
  by_path_[path] = entries_.begin();
  while (size_ > size_max_ && entries_.size() > 1) Forget(std::prev(entries_.end()));
}

void IndexCache::Drop(const std::string& path) {
  const core::MutexLock lock(mutex_);
  if (const auto found = by_path_.find(path); found != by_path_.end()) Forget(found->second);
}

std::size_t IndexCache::size() const {
  const core::MutexLock lock(mutex_);
  return size_;
}

void IndexCache::Forget(std::list<Entry>::iterator entry) {
  size_ -= entry->loaded->index.memory_size();
  by_path_.erase(entry->path);
  entries_.erase(entry);
}

std::shared_ptr<IndexCache> MakeIndexCache() {
  return std::make_shared<IndexCache>(std::size_t{16} << 20);
}

}  // namespace headrace::storage
