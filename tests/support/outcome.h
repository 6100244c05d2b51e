// What a thread tells another of an append.
#pragma once

#include "absl/status/statusor.h"
#include "broker/topic/partition.h"
#include "protocol/core/error_code.h"

namespace headrace::testing {

// An outcome that shares no memory with another thread's: absl's counting of a Status' owners is in a library
// that the thread sanitizer does not see into.
inline absl::StatusOr<topic::AppendOutcome> OfItsOwn(const absl::StatusOr<topic::AppendOutcome>& result) {
  if (result.ok()) return result;
  return MakeError(CodeOf(result.status()), MessageOf(result.status()));
}

}  // namespace headrace::testing
