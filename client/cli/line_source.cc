#include "client/cli/line_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace headrace::cli {
namespace {

constexpr std::size_t kPieceSize = 256U << 10;

std::string ErrnoText(int error) {
  return std::generic_category().message(error);
}

}  // namespace

absl::StatusOr<LineSource> LineSource::Open(const std::string& path, std::size_t line_size_max) {
  if (path == "-") return LineSource(STDIN_FILENO, false, line_size_max);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return absl::NotFoundError("cannot open " + path + ": " + ErrnoText(errno));
  return LineSource(descriptor, true, line_size_max);
}

LineSource::LineSource(int descriptor, bool owned, std::size_t line_size_max)
    : descriptor_(descriptor), owned_(owned), line_size_max_(line_size_max), buffer_(kPieceSize) {
  struct stat status{};
  if (::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) {
    size_ = static_cast<std::uint64_t>(status.st_size);
  }
}

LineSource::LineSource(LineSource&& other) noexcept
    : descriptor_(other.descriptor_),
      owned_(std::exchange(other.owned_, false)),
      line_size_max_(other.line_size_max_),
      buffer_(std::move(other.buffer_)),
      begin_(other.begin_),
      end_(other.end_),
      scanned_(other.scanned_),
      skipping_(other.skipping_),
      line_(other.line_),
      line_number_(other.line_number_),
      bytes_read_(other.bytes_read_),
      size_(other.size_),
      error_(std::move(other.error_)) {}

LineSource::~LineSource() {
  if (owned_) ::close(descriptor_);
}

bool LineSource::has_buffered_line() const {
  return begin_ < end_ && std::memchr(buffer_.data() + begin_, '\n', end_ - begin_) != nullptr;
}

LineSource::Filled LineSource::Fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    scanned_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) buffer_.resize(buffer_.size() * 2);
  const ssize_t got = ::read(descriptor_, buffer_.data() + end_, buffer_.size() - end_);
  if (got > 0) {
    end_ += static_cast<std::size_t>(got);
    return Filled::kMore;
  }
  if (got == 0) return Filled::kEnd;
  if (errno == EINTR) return Filled::kInterrupted;
  error_ = ErrnoText(errno);
  return Filled::kFailed;
}

LineSource::Found LineSource::TakeLine(std::size_t size, bool with_newline) {
  const std::size_t taken = size + (with_newline ? 1 : 0);
  const bool too_long = std::exchange(skipping_, false) || size > line_size_max_;
  line_ = too_long ? std::string_view() : std::string_view(buffer_.data() + begin_, size);
  begin_ += taken;
  scanned_ = begin_;
  bytes_read_ += taken;
  ++line_number_;
  return too_long ? Found::kTooLong : Found::kLine;
}

LineSource::Found LineSource::Next() {
  line_ = {};
  while (true) {
    if (const void* newline = std::memchr(buffer_.data() + scanned_, '\n', end_ - scanned_)) {
      return TakeLine(static_cast<std::size_t>(static_cast<const char*>(newline) - buffer_.data()) - begin_,
                      true);
    }
    scanned_ = end_;
    if (end_ - begin_ > line_size_max_) {  // the rest of it is read and forgotten
      skipping_ = true;
      bytes_read_ += end_ - begin_;
      begin_ = end_;
    }
    switch (Fill()) {
      case Filled::kMore:
        break;
      case Filled::kEnd:
        return begin_ < end_ || skipping_ ? TakeLine(end_ - begin_, false) : Found::kEnd;
      case Filled::kFailed:
        return Found::kFailed;
      case Filled::kInterrupted:
        return Found::kInterrupted;
    }
  }
}

}  // namespace headrace::cli
