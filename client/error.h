// From the protocol's errors to the public Error.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "headrace.pb.h"
#include "headrace/result.h"

namespace headrace {

// REQUIRES: !status.ok().
Error ToError(const absl::Status& status);
// `where`, such as "topic orders, partition 3", is put before the broker's message unless empty.
Error ToError(const native::Error& error, std::string_view where = {});

inline Error NetworkError(std::string message) {
  return {error_number::kNetwork, std::move(message), true};
}
// "what: text of errno".
Error SystemError(std::string_view what, int error);

inline bool Failed(const native::Error& error) {
  return error.code() != 0;
}
// A topic does not come back under its id, so waiting for it is in vain.
inline bool IsTopicGone(int code) {
  return code == error_number::kUnknownTopicId || code == error_number::kUnknownTopicOrPartition;
}

}  // namespace headrace
