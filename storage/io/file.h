// The seam between storage and the kernel: the only virtual interfaces in storage beside Clock, so that tests
// run on an in-memory file system that fails on demand.
//
// Errors: a full disk or quota is absl::StatusCode::kResourceExhausted, an open without a descriptor left
// kUnavailable, a missing name kNotFound, everything else kInternal or a closer code; messages name the call,
// the path and errno's text. EINTR and short writes are handled inside. What a full disk or the want of a
// descriptor refused may be tried again, but for a sync: no failure of one passes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "protocol/core/bytes.h"
#include "protocol/core/types.h"

namespace headrace::storage {

// An open file. Closes its descriptor in the destructor and nowhere else; whoever still holds a
// shared_ptr keeps the bytes alive, also after the name is gone. Thread: any; writers are serialised by
// their owner.
class File {
 public:
  virtual ~File() = default;

  // Writes all of `pieces`, one after the other, from `position`. On an error any prefix may have been
  // written.
  virtual absl::Status WriteAt(std::uint64_t position, std::span<const ByteSpan> pieces) = 0;
  // Reads until `out` is full or the file ends; returns the bytes read.
  virtual absl::StatusOr<std::size_t> ReadAt(std::uint64_t position, MutableByteSpan out) const = 0;
  // fdatasync. After an error the state on disk is unknown: never retry and believe it.
  virtual absl::Status Sync() = 0;
  virtual absl::Status Truncate(std::uint64_t size) = 0;
  virtual absl::StatusOr<std::uint64_t> Size() const = 0;
  // The descriptor for sendfile and mmap, or -1 if there is none (in-memory files).
  virtual int descriptor() const = 0;
  // The path it was opened by, for messages only.
  virtual const std::string& path() const = 0;
};

enum class OpenMode {
  kRead,    // must exist
  kWrite,   // read and write, must exist
  kCreate,  // read and write, created if missing
};

struct DirectoryEntry {
  std::string name;
  enum class Kind { kFile, kDirectory, kOther } kind = Kind::kFile;
};

struct DiskSpace {
  std::uint64_t free = 0;   // bytes an unprivileged process may still write
  std::uint64_t total = 0;  // bytes
};

// Released when destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// A tree of files. Thread: any.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual absl::StatusOr<std::shared_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  // Entries of a directory in no particular order, without "." and "..". Links are kOther: never followed.
  virtual absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& directory) = 0;
  // Creates one directory; OK if it is already there.
  virtual absl::Status CreateDirectory(const std::string& path) = 0;
  // Replaces `to` if it exists.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  // Removes a file or an empty directory.
  virtual absl::Status Remove(const std::string& path) = 0;
  // Makes the names in a directory survive power loss.
  virtual absl::Status SyncDirectory(const std::string& path) = 0;
  virtual absl::StatusOr<TimestampMs> ModificationTime(const std::string& path) = 0;
  virtual absl::StatusOr<DiskSpace> Space(const std::string& path) = 0;
  // Takes an exclusive lock on a file, which holds the owner's process id; kFailedPrecondition with that id
  // if another process has it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

}  // namespace headrace::storage
