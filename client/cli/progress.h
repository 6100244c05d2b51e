// A line of progress on a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace headrace::cli {

// Rewrites one line of standard error a few times a second; says nothing when that is no terminal. One
// thread.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  // `bytes_total` is what there is to do, if known: then a rest time is shown.
  explicit Progress(std::optional<std::uint64_t> bytes_total);
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap; shows the numbers when it is time again.
  void Update(std::uint64_t records, std::uint64_t bytes);
  // Takes the line away.
  void Clear();
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  std::string Line(std::uint64_t records, std::uint64_t bytes) const;

  const std::optional<std::uint64_t> bytes_total_;
  const bool on_terminal_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point next_;
  bool shown_ = false;
};

}  // namespace headrace::cli
