#include "storage/log_recovery.h"

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"

namespace headrace::storage {

absl::Status RecoverLog(Log::State& state, RecoveryReport& report) {
  report = RecoveryReport();
  const absl::StatusOr<std::vector<DirectoryEntry>> entries = state.environment.files->List(*state.directory);
  if (absl::IsNotFound(entries.status()) || (entries.ok() && entries->empty())) return absl::OkStatus();
  if (!entries.ok()) return entries.status();
  return MakeError(ErrorCode::kStorageError, absl::StrCat(*state.directory, ": was not shut down"));
}

}  // namespace headrace::storage
