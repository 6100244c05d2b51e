// Text that peers decide: is it UTF-8, and what of it may be shown.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace headrace {

// Whether `bytes` are well-formed UTF-8 (no overlong form, no surrogate, at most U+10FFFF).
bool IsUtf8(std::string_view bytes);

// At most `size_max` bytes from the front of `text`, and no character of them cut in two.
std::string_view Utf8Prefix(std::string_view text, std::size_t size_max);

// `bytes` as a log line or a terminal may have them: control characters, and bytes that are no UTF-8, as
// \xNN.
std::string Printable(std::string_view bytes);

}  // namespace headrace
