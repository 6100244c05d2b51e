#include "client/cli/progress.h"

#include <unistd.h>

#include "client/cli/text.h"

namespace headrace::cli {
namespace {

constexpr std::chrono::milliseconds kInterval{200};

void WriteError(const std::string& text) {
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;  // a lost line of progress is no loss
}

}  // namespace

Progress::Progress(std::optional<std::uint64_t> bytes_total)
    : bytes_total_(bytes_total), on_terminal_(::isatty(STDERR_FILENO) == 1), next_(start_ + kInterval) {}

void Progress::Update(std::uint64_t records, std::uint64_t bytes) {
  if (!on_terminal_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  shown_ = true;
  WriteError("\r\033[K" + Line(records, bytes));
}

std::string Progress::Line(std::uint64_t records, std::uint64_t bytes) const {
  const double elapsed = seconds();
  const double byte_rate = static_cast<double>(bytes) / elapsed;
  std::string line =
      HumanCount(static_cast<double>(records)) + " records, " + HumanBytes(static_cast<double>(bytes)) +
      ", " + HumanCount(static_cast<double>(records) / elapsed) + "/s, " + HumanBytes(byte_rate) + "/s";
  if (bytes_total_ && *bytes_total_ >= bytes && byte_rate > 0) {
    const auto total = static_cast<double>(*bytes_total_);
    line += ", " + Fixed(100 * static_cast<double>(bytes) / std::max(total, 1.0), 0) + " %, " +
            HumanSeconds((total - static_cast<double>(bytes)) / byte_rate) + " left";
  }
  return line;
}

void Progress::Clear() {
  if (shown_) WriteError("\r\033[K");
  shown_ = false;
}

}  // namespace headrace::cli
