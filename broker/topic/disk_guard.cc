#include "broker/topic/disk_guard.h"

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "storage/data_directory.h"

namespace headrace::topic {

DiskGuard::DiskGuard(storage::FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {
  Refresh();
}

absl::Status DiskGuard::Check() const {
  if (!full_.load(std::memory_order_relaxed)) return absl::OkStatus();
  return MakeError(
      ErrorCode::kDiskFull,
      absl::StrCat("the disk of ", path_, " has ", free_.load(), " bytes free and ", reserve_.load(),
                   " are kept in reserve; free some space and produce goes on by itself"));
}

void DiskGuard::Refresh() {
  const auto space = files_.Space(path_);
  if (!space.ok()) return;  // the last known state stands; a failing disk shows itself in the writes
  const std::uint64_t reserve = storage::DataDirectory::ReserveOf(*space);
  free_.store(space->free);
  reserve_.store(reserve);
  full_.store(space->free < reserve);
}

}  // namespace headrace::topic
