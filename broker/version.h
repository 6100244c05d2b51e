// The version that the broker states, the one of the build.
#pragma once

#include <string_view>

namespace headrace::broker {

inline constexpr std::string_view kVersion = HEADRACE_VERSION;

}  // namespace headrace::broker
