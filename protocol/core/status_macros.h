// Early returns for absl::Status and absl::StatusOr. The CO_ forms are for coroutines.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define HEADRACE_CONCAT_INNER(a, b) a##b
#define HEADRACE_CONCAT(a, b) HEADRACE_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                    \
  do {                                                 \
    absl::Status headrace_status = (expression);       \
    if (!headrace_status.ok()) return headrace_status; \
  } while (false)

#define CO_RETURN_IF_ERROR(expression)                    \
  do {                                                    \
    absl::Status headrace_status = (expression);          \
    if (!headrace_status.ok()) co_return headrace_status; \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expression) \
  HEADRACE_ASSIGN_OR_RETURN(HEADRACE_CONCAT(headrace_or_, __LINE__), lhs, expression, return)

#define CO_ASSIGN_OR_RETURN(lhs, expression) \
  HEADRACE_ASSIGN_OR_RETURN(HEADRACE_CONCAT(headrace_or_, __LINE__), lhs, expression, co_return)

#define HEADRACE_ASSIGN_OR_RETURN(name, lhs, expression, leave) \
  auto name = (expression);                                     \
  if (!name.ok()) leave std::move(name).status();               \
  lhs = *std::move(name)

// A broken invariant: serving on would spread damage, so the process stops, in every build.
#define HEADRACE_CHECK(condition)                                                    \
  do {                                                                               \
    if (!(condition)) ::headrace::core::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)

namespace headrace::core {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}  // namespace headrace::core
