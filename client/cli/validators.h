// Checks of options, whose refusals a person can read.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace headrace::cli {

// A number above 0. CLI11's own check tells the range of a double in 600 digits.
inline CLI::Validator AboveZero() {
  const auto check = [](std::string& text) {
    double number = 0;
    const bool good = CLI::detail::lexical_cast(text, number) && number > 0;
    return good ? std::string() : "'" + text + "' is not a number above 0";
  };
  return {check, "POSITIVE"};
}

}  // namespace headrace::cli
