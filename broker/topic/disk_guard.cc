#include "broker/topic/disk_guard.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "storage/data_directory.h"

namespace headrace::topic {

DiskGuard::DiskGuard(storage::FileSystem& files, std::string path, storage::Ballast* ballast, Report report)
    : files_(files), path_(std::move(path)), ballast_(ballast), report_(std::move(report)) {
  Refresh();
}

std::string DiskGuard::Reason() const {
  if (!cause_.empty()) return absl::StrCat("the disk of ", path_, " refused a write: ", cause_);
  return absl::StrCat("the disk of ", path_, " has ", free_, " bytes free and ", reserve_,
                      " are kept in reserve");
}

void DiskGuard::Tell(const std::string& line) const {
  if (report_) report_(line);
}

absl::Status DiskGuard::Check() const {
  if (!full_.load(std::memory_order_relaxed)) return absl::OkStatus();
  const core::MutexLock lock(mutex_);
  return MakeError(ErrorCode::kDiskFull, Reason() + "; free some space and produce goes on by itself");
}

void DiskGuard::Refresh() {
  const auto space = files_.Space(path_);
  if (!space.ok()) return;  // the last known state stands; a failing disk shows itself in the writes
  const core::MutexLock lock(mutex_);
  free_ = space->free;
  reserve_ = storage::DataDirectory::ReserveOf(*space);
  cause_.clear();
  const bool full = free_ < reserve_;
  const bool was_full = full_.exchange(full);
  if (!full && ballast_ != nullptr) ballast_->Fill();
  if (full && !std::exchange(told_, true)) Tell(Reason() + ": produce is refused until there is room");
  // A look later, lest a quota that only writes can meet is told twice a second.
  if (!full && !was_full && std::exchange(told_, false)) Tell(Reason() + ": produce goes on");
}

void DiskGuard::NoteFull(const absl::Status& cause) {
  const core::MutexLock lock(mutex_);
  cause_ = std::string(MessageOf(cause));
  full_.store(true);
  if (!std::exchange(told_, true)) Tell(Reason() + ": produce is refused until there is room");
}

}  // namespace headrace::topic
