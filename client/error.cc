#include "client/error.h"

#include <system_error>

#include "protocol/core/error_code.h"

namespace headrace {

Error ToError(const absl::Status& status) {
  const ErrorCode code = CodeOf(status);
  return {static_cast<int>(code), std::string(MessageOf(status)), IsRetriable(code)};
}

Error ToError(const native::Error& error, std::string_view where) {
  std::string message;
  if (!where.empty()) message.append(where).append(": ");
  if (error.message().empty()) message += NameOf(static_cast<ErrorCode>(error.code()));
  message += error.message();
  return {error.code(), std::move(message), error.retriable()};
}

Error SystemError(std::string_view what, int error) {
  return NetworkError(std::string(what) + ": " + std::generic_category().message(error));
}

}  // namespace headrace
