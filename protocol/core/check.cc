#include <cstdio>
#include <cstdlib>

#include "protocol/core/status_macros.h"

namespace headrace::core {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "headrace: broken invariant at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace headrace::core
