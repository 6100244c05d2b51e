#include "client/cli/offline/file_check.h"

#include <algorithm>
#include <array>

#include "client/cli/offline/batch_walk.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/checkpoint.h"
#include "storage/clean_manifest.h"
#include "storage/disposable_file.h"
#include "storage/io/small_file.h"
#include "storage/segment_swap.h"

namespace headrace::cli::offline {
namespace {

constexpr std::string_view kFreshSuffix = ".new";
constexpr std::array<std::string_view, 3> kDisposable = {"producers", "leader_epochs", "compacted"};
constexpr std::array<std::string_view, 2> kSmall = {"start_offset", storage::kSwapFile};

template <std::size_t kCount>
bool IsOneOf(std::string_view name, const std::array<std::string_view, kCount>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

absl::StatusOr<std::optional<FileProblem>> CheckLogFile(storage::FileSystem& files,
                                                        const std::string& directory,
                                                        const std::string& name) {
  const std::string path = directory + "/" + name;
  const std::optional<FileProblem> sound;
  if (name == "checkpoint") {
    ASSIGN_OR_RETURN(const auto checkpoint, storage::ReadCheckpoint(files, path));
    if (checkpoint.has_value()) return sound;
    return FileProblem{"neither of its two slots is whole", true};
  }
  if (IsOneOf(name, kDisposable)) {
    if (storage::ReadDisposableFile(files, path).has_value()) return sound;
    return FileProblem{"its content does not match its CRC", true};
  }
  if (IsOneOf(name, kSmall)) {
    const absl::Status read = storage::ReadSmallFile(files, path).status();
    if (read.ok()) return sound;
    if (read.code() != absl::StatusCode::kDataLoss) return read;
    return FileProblem{std::string(MessageOf(read)), false};
  }
  if (BaseOffsetOf(name, storage::kCleanedSuffix).has_value()) return sound;
  if (name.ends_with(kFreshSuffix)) {
    const std::string_view of = std::string_view(name).substr(0, name.size() - kFreshSuffix.size());
    if (of == "checkpoint" || IsOneOf(of, kDisposable) || IsOneOf(of, kSmall)) return sound;
  }
  return FileProblem{"the name is not the broker's; it leaves the file alone", false};
}

std::map<TopicPartition, storage::LogSummary> ReadCleanManifest(storage::FileSystem& files,
                                                                const std::string& path) {
  const auto file = storage::ReadSmallFile(files, path);
  if (!file.ok()) return {};
  auto logs = storage::ParseManifest(file->content);
  return logs.ok() ? *std::move(logs) : std::map<TopicPartition, storage::LogSummary>();
}

}  // namespace headrace::cli::offline
