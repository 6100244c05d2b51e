#pragma once

#include <string_view>

namespace headrace::broker {

inline constexpr std::string_view kVersion = HEADRACE_VERSION;  // from the build, CMakeLists.txt

}  // namespace headrace::broker
