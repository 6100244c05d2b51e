// Checks the small files beside a log's segments, and the one that a clean shutdown leaves.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "storage/data_directory.h"
#include "storage/io/file.h"

namespace headrace::cli::offline {

struct FileProblem {
  std::string problem;
  bool disposable = false;  // the broker makes it anew
};

// What is wrong with a file in a log's directory, other than segments and their indexes; nothing if it is
// sound, or is what an interrupted replacement has left. Errors: only those of the disk.
absl::StatusOr<std::optional<FileProblem>> CheckLogFile(storage::FileSystem& files,
                                                        const std::string& directory,
                                                        const std::string& name);

// What the last shutdown knew of every log; none if it was not a clean one, or the file is damaged.
std::map<TopicPartition, storage::LogSummary> ReadCleanManifest(storage::FileSystem& files,
                                                                const std::string& path);

}  // namespace headrace::cli::offline
