// Opens a log that was not shut down, or whose shutdown is unknown. The rules are in storage/README.md.
#pragma once

#include "absl/status/status.h"
#include "storage/log_state.h"

namespace headrace::storage {

// Makes `state`, freshly made, what the directory holds. What is cut is kept in quarantine; everything that
// is left is on disk when this returns. Blocking; may be interrupted at any point and run again.
absl::Status RecoverLog(Log::State& state, RecoveryReport& report);

}  // namespace headrace::storage
