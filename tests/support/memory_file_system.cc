#include "tests/support/memory_file_system.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "absl/strings/str_cat.h"
#include "protocol/core/status_macros.h"

namespace headrace::testing {
namespace {

constexpr std::size_t kPage = 4096;

absl::Status Missing(const std::string& path) {
  return absl::NotFoundError(path + ": no such file or directory");
}

}  // namespace

class MemoryFile final : public storage::File {
 public:
  MemoryFile(MemoryFileSystem& files, std::shared_ptr<MemoryFileSystem::Inode> inode, std::string path,
             bool writable)
      : files_(files),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writable_(writable),
        generation_(files.generation_) {}

  absl::Status WriteAt(std::uint64_t position, std::span<const ByteSpan> pieces) override {
    const std::lock_guard lock(files_.mutex_);
    RETURN_IF_ERROR(CheckWritable());
    for (const ByteSpan piece : pieces) {
      if (inode_->content.size() < position + piece.size()) inode_->content.resize(position + piece.size());
      std::copy(piece.begin(), piece.end(), inode_->content.begin() + static_cast<std::ptrdiff_t>(position));
      position += piece.size();
    }
    inode_->modified = files_.now_;
    return absl::OkStatus();
  }

  absl::StatusOr<std::size_t> ReadAt(std::uint64_t position, MutableByteSpan out) const override {
    const std::lock_guard lock(files_.mutex_);
    RETURN_IF_ERROR(CheckAlive());
    const std::vector<std::byte>& content = inode_->content;
    if (position >= content.size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(out.size(), content.size() - position);
    std::memcpy(out.data(), content.data() + position, count);
    return count;
  }

  absl::Status Sync() override {
    const std::lock_guard lock(files_.mutex_);
    RETURN_IF_ERROR(CheckAlive());
    inode_->synced = inode_->content;
    return absl::OkStatus();
  }

  absl::Status Truncate(std::uint64_t size) override {
    const std::lock_guard lock(files_.mutex_);
    RETURN_IF_ERROR(CheckWritable());
    inode_->content.resize(size);
    inode_->modified = files_.now_;
    return absl::OkStatus();
  }

  absl::StatusOr<std::uint64_t> Size() const override {
    const std::lock_guard lock(files_.mutex_);
    RETURN_IF_ERROR(CheckAlive());
    return inode_->content.size();
  }

  int descriptor() const override { return -1; }
  const std::string& path() const override { return path_; }

 private:
  absl::Status CheckAlive() const {
    return generation_ == files_.generation_ ? absl::OkStatus()
                                             : absl::AbortedError(path_ + ": opened before the crash");
  }
  absl::Status CheckWritable() const {
    RETURN_IF_ERROR(CheckAlive());
    return writable_ ? absl::OkStatus() : absl::PermissionDeniedError(path_ + ": opened for reading");
  }

  MemoryFileSystem& files_;
  const std::shared_ptr<MemoryFileSystem::Inode> inode_;
  const std::string path_;
  const bool writable_;
  const std::uint64_t generation_;
};

namespace {

class MemoryLock final : public storage::FileLock {
 public:
  MemoryLock(std::mutex& mutex, std::map<std::string, std::uint64_t>& locks, std::string path,
             std::uint64_t generation)
      : mutex_(mutex), locks_(locks), path_(std::move(path)), generation_(generation) {}
  // What died with a crash holds nothing any more, though its objects may still be there.
  ~MemoryLock() override {
    const std::lock_guard lock(mutex_);
    const auto found = locks_.find(path_);
    if (found != locks_.end() && found->second == generation_) locks_.erase(found);
  }

 private:
  std::mutex& mutex_;
  std::map<std::string, std::uint64_t>& locks_;
  const std::string path_;
  const std::uint64_t generation_;
};

}  // namespace

MemoryFileSystem::MemoryFileSystem() {
  names_["/"] = nullptr;
  synced_names_ = names_;
}

std::string MemoryFileSystem::ParentOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status MemoryFileSystem::CheckParent(const std::string& path) const {
  const auto parent = names_.find(ParentOf(path));
  return parent != names_.end() && parent->second == nullptr ? absl::OkStatus() : Missing(path);
}

absl::StatusOr<std::shared_ptr<storage::File>> MemoryFileSystem::Open(const std::string& path,
                                                                      storage::OpenMode mode) {
  const std::lock_guard lock(mutex_);
  auto found = names_.find(path);
  if (found == names_.end()) {
    if (mode != storage::OpenMode::kCreate) return Missing(path);
    RETURN_IF_ERROR(CheckParent(path));
    auto inode = std::make_shared<Inode>();
    inode->modified = now_;
    found = names_.emplace(path, std::move(inode)).first;
  }
  if (found->second == nullptr) return absl::FailedPreconditionError(path + " is a directory");
  return std::make_shared<MemoryFile>(*this, found->second, path, mode != storage::OpenMode::kRead);
}

absl::StatusOr<std::vector<storage::DirectoryEntry>> MemoryFileSystem::List(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(directory);
  if (found == names_.end() || found->second != nullptr) return Missing(directory);
  std::vector<storage::DirectoryEntry> entries;
  for (const auto& [path, inode] : names_) {
    if (path == "/" || ParentOf(path) != directory) continue;
    using Kind = storage::DirectoryEntry::Kind;
    entries.push_back({path.substr(path.rfind('/') + 1), inode == nullptr ? Kind::kDirectory : Kind::kFile});
  }
  return entries;
}

absl::Status MemoryFileSystem::CreateDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(CheckParent(path));
  const auto [at, fresh] = names_.emplace(path, nullptr);
  return fresh || at->second == nullptr ? absl::OkStatus() : absl::AlreadyExistsError(path + " is a file");
}

absl::Status MemoryFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(from);
  if (found == names_.end()) return Missing(from);
  RETURN_IF_ERROR(CheckParent(to));
  Names moved;
  for (auto at = names_.begin(); at != names_.end();) {
    const bool inside = at->first == from || at->first.starts_with(from + "/");
    if (inside) moved[to + at->first.substr(from.size())] = at->second;
    at = inside ? names_.erase(at) : std::next(at);
  }
  for (auto& [path, inode] : moved) names_[path] = inode;
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::Remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(path);
  if (found == names_.end()) return Missing(path);
  const auto next = names_.upper_bound(path + "/");
  if (found->second == nullptr && next != names_.end() && next->first.starts_with(path + "/")) {
    return absl::AlreadyExistsError(path + ": directory not empty");
  }
  names_.erase(found);
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::SyncDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (!names_.contains(path)) return Missing(path);
  std::erase_if(synced_names_,
                [&](const auto& name) { return name.first != "/" && ParentOf(name.first) == path; });
  for (const auto& [name, inode] : names_) {
    if (name != "/" && ParentOf(name) == path) synced_names_[name] = inode;
  }
  return absl::OkStatus();
}

absl::StatusOr<TimestampMs> MemoryFileSystem::ModificationTime(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(path);
  if (found == names_.end()) return Missing(path);
  return found->second == nullptr ? now_ : found->second->modified;
}

absl::StatusOr<storage::DiskSpace> MemoryFileSystem::Space(const std::string&) {
  const std::lock_guard lock(mutex_);
  return storage::DiskSpace{free_space_, std::uint64_t{1} << 40};
}

absl::StatusOr<std::unique_ptr<storage::FileLock>> MemoryFileSystem::Lock(const std::string& path) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(CheckParent(path));
  if (!locks_.emplace(path, generation_).second)
    return absl::FailedPreconditionError(path + " is held by process 1");
  if (!names_.contains(path)) names_[path] = std::make_shared<Inode>();
  return std::make_unique<MemoryLock>(mutex_, locks_, path, generation_);
}

std::optional<std::shared_ptr<MemoryFileSystem::Inode>> MemoryFileSystem::Lookup(const Names& names,
                                                                                 const std::string& path) {
  const auto found = names.find(path);
  if (found == names.end()) return std::nullopt;
  return found->second;
}

void MemoryFileSystem::CrashProcess() {
  const std::lock_guard lock(mutex_);
  ++generation_;
  locks_.clear();
}

void MemoryFileSystem::CrashPower(std::uint64_t seed) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  locks_.clear();
  std::mt19937_64 random(seed);
  Names all = synced_names_;
  all.insert(names_.begin(), names_.end());
  Names kept;
  for (const auto& [path, ignored] : all) {
    if (path != "/" && !kept.contains(ParentOf(path))) continue;  // its directory is gone, and it with that
    const std::optional<std::shared_ptr<Inode>> now = Lookup(names_, path);
    const std::optional<std::shared_ptr<Inode>> synced = Lookup(synced_names_, path);
    const auto& choice = now == synced || (random() & 1) != 0 ? now : synced;
    if (choice) kept[path] = *choice;
  }
  names_ = kept;
  synced_names_ = kept;
  std::set<Inode*> done;
  for (const auto& [path, inode] : names_) {
    if (inode != nullptr && done.insert(inode.get()).second) LosePages(*inode, random);
  }
}

void MemoryFileSystem::LosePages(Inode& inode, std::mt19937_64& random) {
  const std::size_t shorter = std::min(inode.synced.size(), inode.content.size());
  const std::size_t longer = std::max(inode.synced.size(), inode.content.size());
  std::vector<std::byte> result = inode.synced;
  result.resize(shorter + (longer == shorter ? 0 : random() % (longer - shorter + 1)));
  for (std::size_t page = 0; page < result.size(); page += kPage) {
    if ((random() & 1) == 0 || page >= inode.content.size()) continue;
    const std::size_t size = std::min({kPage, result.size() - page, inode.content.size() - page});
    std::memcpy(result.data() + page, inode.content.data() + page, size);
  }
  inode.content = result;
  inode.synced = std::move(result);
}

std::vector<std::byte> MemoryFileSystem::Read(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(path);
  return found == names_.end() || found->second == nullptr ? std::vector<std::byte>()
                                                           : found->second->content;
}

void MemoryFileSystem::Write(const std::string& path, std::vector<std::byte> content) {
  const std::lock_guard lock(mutex_);
  auto& inode = names_[path];
  if (inode == nullptr) inode = std::make_shared<Inode>();
  inode->synced = content;
  inode->content = std::move(content);
  inode->modified = now_;
  synced_names_[path] = inode;
}

bool MemoryFileSystem::Exists(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  return names_.contains(path);
}

std::vector<std::string> MemoryFileSystem::Files() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> paths;
  for (const auto& [path, inode] : names_) {
    if (inode != nullptr) paths.push_back(path);
  }
  return paths;
}

void MemoryFileSystem::SetFreeSpace(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  free_space_ = bytes;
}

void MemoryFileSystem::SetTime(TimestampMs now) {
  const std::lock_guard lock(mutex_);
  now_ = now;
}

}  // namespace headrace::testing
