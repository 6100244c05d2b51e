// The real file system, on a real directory: what the in-memory one of the other tests stands for.
#include "storage/io/posix_file_system.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>

#include "protocol/core/error_code.h"
#include "tests/support/temp_dir.h"

namespace headrace::storage {
namespace {

using Catch::Contains;
using headrace::testing::TempDir;

std::string TextOf(const absl::Status& status) {
  return std::string(MessageOf(status));
}

std::string ContentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

absl::Status Write(File& file, std::uint64_t position, std::string_view text) {
  const ByteSpan piece = AsBytes(text);
  return file.WriteAt(position, {&piece, 1});
}

std::shared_ptr<File> Create(FileSystem& files, const std::string& path, std::string_view text = "") {
  auto file = files.Open(path, OpenMode::kCreate);
  REQUIRE(file.ok());
  REQUIRE(Write(**file, 0, text).ok());
  return *file;
}

// At most this many bytes in any file this process writes, while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    old_handler_ = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit before_{};
  sighandler_t old_handler_;
};

// A file system of its own, as far as this process may make one.
class Mounted {
 public:
  Mounted(std::string path, const char* options)
      : path_(std::move(path)), ok_(::mount("tmpfs", path_.c_str(), "tmpfs", 0, options) == 0) {}
  ~Mounted() {
    if (ok_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool ok() const { return ok_; }

 private:
  const std::string path_;
  const bool ok_;
};

// Another process that holds a lock until it is told to die.
class OtherHolder {
 public:
  explicit OtherHolder(const std::string& path) {
    std::array<int, 2> ready{};
    if (::pipe2(ready.data(), O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      PosixFileSystem files;
      const auto lock = files.Lock(path);
      const char answer = lock.ok() ? 'y' : 'n';
      if (::write(ready[1], &answer, 1) == 1) ::pause();
      ::_exit(1);
    }
    ::close(ready[1]);
    char answer = 0;
    holds_ = ::read(ready[0], &answer, 1) == 1 && answer == 'y';
    ::close(ready[0]);
  }
  ~OtherHolder() { Kill(); }

  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  pid_t pid() const { return pid_; }
  bool holds() const { return holds_; }

 private:
  pid_t pid_ = -1;
  bool holds_ = false;
};

TEST_CASE("PosixFileSystem: pieces are written one after the other, however many they are") {
  TempDir directory;
  PosixFileSystem files;
  const auto file = Create(files, directory / "f");
  const std::size_t count = GENERATE(as<std::size_t>{}, 0, 1, 63, 64, 65, 1024, 1025, 5000);
  std::string expected(3, '\0');  // written from position 3
  std::vector<std::string> texts(count);
  for (std::size_t i = 0; i < count; ++i) {
    texts[i] = std::string(i % 5, static_cast<char>('a' + i % 26));  // some are empty
    expected += texts[i];
  }
  std::vector<ByteSpan> pieces;
  for (const std::string& text : texts) pieces.push_back(AsBytes(text));
  REQUIRE(file->WriteAt(3, pieces).ok());
  if (expected.size() > 3) CHECK(ContentOf(directory / "f") == expected);
  CHECK(*file->Size() == (expected.size() > 3 ? expected.size() : 0));
}

TEST_CASE("PosixFileSystem: a read ends where the file does") {
  TempDir directory;
  PosixFileSystem files;
  const auto file = Create(files, directory / "f", "0123456789");
  std::array<std::byte, 6> out;
  CHECK(*file->ReadAt(0, out) == 6);
  CHECK(*file->ReadAt(7, out) == 3);
  CHECK(AsText(ByteSpan(out).first(3)) == "789");
  CHECK(*file->ReadAt(10, out) == 0);
  CHECK(*file->ReadAt(1'000, out) == 0);
  REQUIRE(file->Truncate(4).ok());
  CHECK(*file->Size() == 4);
  CHECK(*file->ReadAt(0, out) == 4);
  CHECK(file->Sync().ok());
}

TEST_CASE("PosixFileSystem: only kCreate makes a file, and keeps one that is there") {
  TempDir directory;
  PosixFileSystem files;
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kWrite}) {
    const auto missing = files.Open(directory / "f", mode);
    CHECK(absl::IsNotFound(missing.status()));
    CHECK_THAT(TextOf(missing.status()), Contains(directory / "f"));
  }
  Create(files, directory / "f", "kept");
  CHECK(files.Open(directory / "f", OpenMode::kCreate).ok());
  CHECK(ContentOf(directory / "f") == "kept");
  const auto reader = files.Open(directory / "f", OpenMode::kRead);
  REQUIRE(reader.ok());
  CHECK_FALSE(Write(**reader, 0, "lost").ok());
  CHECK(ContentOf(directory / "f") == "kept");
}

TEST_CASE("PosixFileSystem: descriptors are not inherited by programs started later") {
  TempDir directory;
  PosixFileSystem files;
  const auto file = Create(files, directory / "f");
  CHECK((::fcntl(file->descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("PosixFileSystem: a link is never followed as a file, and listed as something else") {
  TempDir directory;
  PosixFileSystem files;
  Create(files, directory / "target", "precious");
  std::filesystem::create_symlink(directory / "target", directory / "link");
  REQUIRE(files.CreateDirectory(directory / "inner").ok());
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kWrite, OpenMode::kCreate}) {
    CHECK_FALSE(files.Open(directory / "link", mode).ok());
  }
  CHECK_FALSE(files.Lock(directory / "link").ok());
  const auto entries = files.List(directory.path());
  REQUIRE(entries.ok());
  std::map<std::string, DirectoryEntry::Kind> kinds;
  for (const DirectoryEntry& entry : *entries) kinds[entry.name] = entry.kind;
  CHECK(kinds == std::map<std::string, DirectoryEntry::Kind>{{"inner", DirectoryEntry::Kind::kDirectory},
                                                             {"link", DirectoryEntry::Kind::kOther},
                                                             {"target", DirectoryEntry::Kind::kFile}});
  CHECK(absl::IsNotFound(files.List(directory / "nothing").status()));
}

TEST_CASE("PosixFileSystem: directories are made once and removed when empty") {
  TempDir directory;
  PosixFileSystem files;
  CHECK(files.CreateDirectory(directory / "d").ok());
  CHECK(files.CreateDirectory(directory / "d").ok());
  Create(files, directory / "d/f");
  CHECK_FALSE(files.CreateDirectory(directory / "d/f").ok());
  CHECK(absl::IsNotFound(files.CreateDirectory(directory / "none/d")));
  CHECK(absl::IsAlreadyExists(files.Remove(directory / "d")));
  CHECK(files.SyncDirectory(directory / "d").ok());
  CHECK(absl::IsNotFound(files.SyncDirectory(directory / "none")));
  CHECK(files.Remove(directory / "d/f").ok());
  CHECK(absl::IsNotFound(files.Remove(directory / "d/f")));
  CHECK(files.Remove(directory / "d").ok());
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("PosixFileSystem: a rename replaces, and open files keep their bytes when their name goes") {
  TempDir directory;
  PosixFileSystem files;
  const auto old_file = Create(files, directory / "f", "old");
  Create(files, directory / "f.new", "new");
  REQUIRE(files.Rename(directory / "f.new", directory / "f").ok());
  CHECK(ContentOf(directory / "f") == "new");
  REQUIRE(files.Remove(directory / "f").ok());
  std::array<std::byte, 3> out;
  CHECK(*old_file->ReadAt(0, out) == 3);
  CHECK(AsText(out) == "old");
  const absl::Status missing = files.Rename(directory / "f", directory / "g");
  CHECK(absl::IsNotFound(missing));
  CHECK_THAT(TextOf(missing), Contains(directory / "f") && Contains(directory / "g"));
}

TEST_CASE("PosixFileSystem: time and space") {
  TempDir directory;
  PosixFileSystem files;
  Create(files, directory / "f", "x");
  std::filesystem::last_write_time(directory / "f", std::filesystem::file_time_type::clock::now());
  const auto modified = files.ModificationTime(directory / "f");
  REQUIRE(modified.ok());
  CHECK(*modified > 1'600'000'000'000);  // milliseconds, of this century
  CHECK(absl::IsNotFound(files.ModificationTime(directory / "g").status()));
  const auto space = files.Space(directory.path());
  REQUIRE(space.ok());
  CHECK(space->total > 0);
  CHECK(space->free <= space->total);
}

TEST_CASE("PosixFileSystem: a full disk is RESOURCE_EXHAUSTED and names the file") {
  PosixFileSystem files;
  const auto full = files.Open("/dev/full", OpenMode::kWrite);
  REQUIRE(full.ok());
  const absl::Status status = Write(**full, 0, "x");
  CHECK(absl::IsResourceExhausted(status));
  CHECK_THAT(TextOf(status), Contains("/dev/full") && !Contains("inodes"));
}

TEST_CASE("PosixFileSystem: a short write goes on; the limit of a file's size is said in words") {
  TempDir directory;
  PosixFileSystem files;
  const auto file = Create(files, directory / "f");
  constexpr std::uint64_t kLimit = 1 << 20;
  const FileSizeLimit limit(kLimit);
  const std::string large(8'192, 'x');
  const std::array<ByteSpan, 2> pieces{AsBytes("head"), AsBytes(large)};
  // The kernel writes what fits and returns short; the next write fails.
  const absl::Status status = file->WriteAt(kLimit - 4'096, pieces);
  CHECK(absl::IsInternal(status));  // other room on the disk is no help
  CHECK_THAT(TextOf(status), Contains(directory / "f") && Contains("limit of a file's size"));
  CHECK(*file->Size() == kLimit);
  REQUIRE(file->WriteAt(kLimit - 8'196, pieces).ok());
}

TEST_CASE("PosixFileSystem: no inodes left is told from no space left") {
  TempDir directory;
  PosixFileSystem files;
  const Mounted mounted(directory.path(), "size=64k,nr_inodes=4");
  if (!mounted.ok()) {
    WARN("this user may not mount a file system: not tested");
    return;
  }
  absl::Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) {
    status = files.Open(directory / std::to_string(i), OpenMode::kCreate).status();
  }
  CHECK(absl::IsResourceExhausted(status));
  CHECK_THAT(TextOf(status), Contains("out of inodes"));
  CHECK_THAT(TextOf(files.CreateDirectory(directory / "d")), Contains("out of inodes"));
  REQUIRE(files.Remove(directory / "0").ok());
  const auto file = files.Open(directory / "0", OpenMode::kCreate);
  REQUIRE(file.ok());
  REQUIRE(files.Remove(directory / "1").ok());  // an inode is free, space will not be
  status = Write(**file, 0, std::string(128 << 10, 'x'));
  CHECK(absl::IsResourceExhausted(status));
  CHECK_THAT(TextOf(status), !Contains("inodes"));
}

TEST_CASE("PosixFileSystem: a lock has one holder, whose process id is told") {
  TempDir directory;
  PosixFileSystem files;
  Create(files, directory / "lock", "12345678901234567890\n");  // left by one that died
  {
    const auto lock = files.Lock(directory / "lock");
    REQUIRE(lock.ok());
    CHECK(ContentOf(directory / "lock") == std::to_string(::getpid()) + "\n");
    const auto second = files.Lock(directory / "lock");
    CHECK(absl::IsFailedPrecondition(second.status()));
    CHECK_THAT(TextOf(second.status()),
               Contains(directory / "lock") && Contains("process " + std::to_string(::getpid()) + ";"));
  }
  CHECK(files.Lock(directory / "lock").ok());
}

TEST_CASE("PosixFileSystem: another process' lock holds until that process is dead") {
  TempDir directory;
  PosixFileSystem files;
  OtherHolder other(directory / "lock");
  REQUIRE(other.holds());
  const auto refused = files.Lock(directory / "lock");
  CHECK(absl::IsFailedPrecondition(refused.status()));
  CHECK_THAT(TextOf(refused.status()), Contains("process " + std::to_string(other.pid()) + ";"));
  other.Kill();
  CHECK(files.Lock(directory / "lock").ok());
}

TEST_CASE("PosixFileSystem: without a descriptor left an open may be retried, and directories are synced") {
  const TempDir directory;
  PosixFileSystem files;
  const auto open = Create(files, directory / "open", "content");
  // The sanitizer's look at an object's type takes a descriptor, once for each type.
  REQUIRE(files.SyncDirectory(directory / "").ok());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int lowest_free = ::dup(0);
  ::close(lowest_free);
  const rlimit none{static_cast<rlim_t>(lowest_free), before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const absl::Status refused = files.Open(directory / "more", OpenMode::kCreate).status();
  const absl::Status synced = files.SyncDirectory(directory / "");
  const absl::Status again = files.SyncDirectory(directory / "");
  const absl::Status written = Write(*open, 0, "more");
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(absl::IsUnavailable(refused));
  CHECK(IsRetriable(CodeOf(refused)));
  CHECK_THAT(TextOf(refused), Contains("more") && Contains("ulimit"));
  CHECK(synced.ok());
  CHECK(again.ok());
  CHECK(written.ok());
  CHECK(files.Open(directory / "more", OpenMode::kCreate).ok());
}

}  // namespace
}  // namespace headrace::storage
