#include "storage/io/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::size_t kPiecesMax = 64;  // of one pwritev; the kernel takes up to 1024 (IOV_MAX)

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Asks the file's directory where there is no such file: inodes are missed when one should be created. File
// systems that make inodes as they go (btrfs) count none at all.
bool IsOutOfInodes(const std::string& path) {
  struct statvfs space{};
  const bool known = ::statvfs(path.c_str(), &space) == 0 || ::statvfs(ParentOf(path).c_str(), &space) == 0;
  return known && space.f_files > 0 && space.f_favail == 0;
}

// `path` is the one that the call would have made or changed; `shown` stands in the message.
absl::Status Error(std::string_view call, const std::string& path, const std::string& shown) {
  const int code = errno;
  std::string text = absl::StrCat(std::string(call), " ", shown, ": ", std::strerror(code));
  switch (code) {
    case ENOSPC:
      if (IsOutOfInodes(path)) text += " (the file system is out of inodes)";
      return absl::ResourceExhaustedError(text);
    case EDQUOT:
      return absl::ResourceExhaustedError(text);
    case EFBIG:
      return absl::InternalError(text + " (the limit of a file's size is reached)");
    case ENOENT:
      return absl::NotFoundError(text);
    case EEXIST:
    case ENOTEMPTY:
      return absl::AlreadyExistsError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    default:
      return absl::InternalError(text);
  }
}

absl::Status Error(std::string_view call, const std::string& path) {
  return Error(call, path, path);
}

bool IsOutOfDescriptors(int code) {
  return code == EMFILE || code == ENFILE;
}

absl::Status OpenError(const std::string& path) {
  if (!IsOutOfDescriptors(errno) && errno != ENOMEM) return Error("open", path);
  return absl::UnavailableError(absl::StrCat("open ", path, ": ", std::strerror(errno), " (ulimit -n)"));
}

template <typename Call>
auto Retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

class PosixFile final : public File {
 public:
  PosixFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~PosixFile() override { ::close(descriptor_); }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  absl::Status WriteAt(std::uint64_t position, std::span<const ByteSpan> pieces) override {
    while (!pieces.empty()) {
      const auto group = pieces.first(std::min(pieces.size(), kPiecesMax));
      RETURN_IF_ERROR(WriteGroup(position, group));
      for (const ByteSpan piece : group) position += piece.size();
      pieces = pieces.subspan(group.size());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::size_t> ReadAt(std::uint64_t position, MutableByteSpan out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t count = Retry([&] {
        return ::pread(descriptor_, out.data() + done, out.size() - done,
                       static_cast<off_t>(position + done));
      });
      if (count < 0) return Error("read", path_);
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    return done;
  }

  // Not retried on EINTR: after an interrupted sync nothing is known either way.
  absl::Status Sync() override {
    return ::fdatasync(descriptor_) == 0 ? absl::OkStatus() : Error("sync", path_);
  }

  absl::Status Truncate(std::uint64_t size) override {
    const int result = Retry([&] { return ::ftruncate(descriptor_, static_cast<off_t>(size)); });
    return result == 0 ? absl::OkStatus() : Error("truncate", path_);
  }

  absl::StatusOr<std::uint64_t> Size() const override {
    struct stat status{};
    if (::fstat(descriptor_, &status) != 0) return Error("stat", path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

  int descriptor() const override { return descriptor_; }
  const std::string& path() const override { return path_; }

 private:
  absl::Status WriteGroup(std::uint64_t position, std::span<const ByteSpan> group) {
    std::array<iovec, kPiecesMax> pieces;
    for (std::size_t i = 0; i < group.size(); ++i) {
      pieces[i] = {const_cast<std::byte*>(group[i].data()), group[i].size()};
    }
    iovec* next = pieces.data();
    auto left = static_cast<int>(group.size());
    while (left > 0) {
      if (next->iov_len == 0) {
        ++next;
        --left;
        continue;
      }
      const ssize_t count =
          Retry([&] { return ::pwritev(descriptor_, next, left, static_cast<off_t>(position)); });
      if (count < 0) return Error("write", path_);
      if (count == 0) return absl::InternalError(absl::StrCat("write ", path_, ": no byte was taken"));
      position += static_cast<std::uint64_t>(count);
      // A short write goes on where it stopped.
      auto done = static_cast<std::size_t>(count);
      while (left > 0 && done >= next->iov_len) {
        done -= next->iov_len;
        ++next;
        --left;
      }
      if (left > 0) {
        next->iov_base = static_cast<std::byte*>(next->iov_base) + done;
        next->iov_len -= done;
      }
    }
    return absl::OkStatus();
  }

  const int descriptor_;
  const std::string path_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(int descriptor) : descriptor_(descriptor) {}
  ~PosixFileLock() override { ::close(descriptor_); }

 private:
  const int descriptor_;
};

DirectoryEntry::Kind KindOf(const std::string& directory, const dirent& entry) {
  if (entry.d_type == DT_REG) return DirectoryEntry::Kind::kFile;
  if (entry.d_type == DT_DIR) return DirectoryEntry::Kind::kDirectory;
  if (entry.d_type != DT_UNKNOWN) return DirectoryEntry::Kind::kOther;
  struct stat status{};
  if (::lstat((directory + "/" + entry.d_name).c_str(), &status) != 0) return DirectoryEntry::Kind::kOther;
  if (S_ISREG(status.st_mode)) return DirectoryEntry::Kind::kFile;
  return S_ISDIR(status.st_mode) ? DirectoryEntry::Kind::kDirectory : DirectoryEntry::Kind::kOther;
}

absl::Status OpenAndSync(const std::string& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return OpenError(directory);
  const int result = ::fsync(descriptor);
  absl::Status status = result == 0 ? absl::OkStatus() : Error("sync directory", directory);
  // A failed sync does not pass, so it must not look like a write that a full disk refused.
  if (absl::IsResourceExhausted(status)) status = absl::InternalError(status.message());
  ::close(descriptor);
  return status;
}

int OpenReserve() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace

PosixFileSystem::PosixFileSystem() : reserve_(OpenReserve()) {}

PosixFileSystem::~PosixFileSystem() {
  if (reserve_ >= 0) ::close(reserve_);
}

absl::StatusOr<std::shared_ptr<File>> PosixFileSystem::Open(const std::string& path, OpenMode mode) {
  int flags = O_CLOEXEC | O_NOFOLLOW | (mode == OpenMode::kRead ? O_RDONLY : O_RDWR);
  if (mode == OpenMode::kCreate) flags |= O_CREAT;
  const int descriptor = Retry([&] { return ::open(path.c_str(), flags, 0644); });
  if (descriptor < 0) return OpenError(path);
  return std::make_shared<PosixFile>(descriptor, path);
}

absl::StatusOr<std::vector<DirectoryEntry>> PosixFileSystem::List(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (!stream) return Error("list", directory);
  std::vector<DirectoryEntry> entries;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") entries.push_back({name, KindOf(directory, *entry)});
    errno = 0;
  }
  if (errno != 0) return Error("list", directory);
  return entries;
}

absl::Status PosixFileSystem::CreateDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0) return absl::OkStatus();
  struct stat status{};
  if (errno == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode))
    return absl::OkStatus();
  return Error("create directory", path);
}

absl::Status PosixFileSystem::Rename(const std::string& from, const std::string& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus() : Error("rename", to, from + " to " + to);
}

absl::Status PosixFileSystem::Remove(const std::string& path) {
  return ::remove(path.c_str()) == 0 ? absl::OkStatus() : Error("remove", path);
}

absl::Status PosixFileSystem::SyncDirectory(const std::string& path) {
  absl::Status status = OpenAndSync(path);
  if (!absl::IsUnavailable(status)) return status;
  // What a sync would have made durable cannot be taken back any more.
  const core::MutexLock lock(reserve_mutex_);
  if (reserve_ >= 0) ::close(reserve_);
  status = OpenAndSync(path);
  reserve_ = OpenReserve();
  return status;
}

absl::StatusOr<TimestampMs> PosixFileSystem::ModificationTime(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return Error("stat", path);
  return static_cast<TimestampMs>(status.st_mtim.tv_sec) * 1000 + status.st_mtim.tv_nsec / 1'000'000;
}

absl::StatusOr<DiskSpace> PosixFileSystem::Space(const std::string& path) {
  struct statvfs space{};
  if (::statvfs(path.c_str(), &space) != 0) return Error("statvfs", path);
  return DiskSpace{space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize};
}

absl::StatusOr<std::unique_ptr<FileLock>> PosixFileSystem::Lock(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor < 0) return Error("open", path);
  auto lock = std::make_unique<PosixFileLock>(descriptor);
  char text[32] = {};
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Error("lock", path);
    const ssize_t size = ::pread(descriptor, text, sizeof text - 1, 0);
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is held by process ", size > 0 ? std::string(text, strcspn(text, "\n")) : "(unknown)",
        "; stop it first, or choose another data directory"));
  }
  const std::string id = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(descriptor, 0) != 0) return Error("truncate", path);
  if (::pwrite(descriptor, id.data(), id.size(), 0) < 0 && errno != ENOSPC) return Error("write", path);
  return lock;
}

}  // namespace headrace::storage
