// Where recovery puts what it takes out of a log: cut, never away.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "storage/log.h"

namespace headrace::storage {

// Moves files of one log to the environment's quarantine directory, which it creates if it is missing. Names
// there are <topic id>-<partition>-<file>, with a number behind if that is taken. Each call is on disk when
// it returns its path. Blocking; one thread.
class Quarantine {
 public:
  Quarantine(const LogEnvironment& environment, std::string directory);

  // Copies `size` bytes from `position` of a file; `offset` is the first that the log loses with them.
  absl::StatusOr<std::string> CopyBytes(const File& file, std::uint64_t position, std::uint64_t size,
                                        Offset offset);
  // Takes a whole file out of the log's directory.
  absl::StatusOr<std::string> MoveFile(const std::string& name);

 private:
  absl::StatusOr<std::string> FreePath(const std::string& name);

  const LogEnvironment& environment_;
  const std::string directory_;  // of the log
  const std::string target_;
};

}  // namespace headrace::storage
