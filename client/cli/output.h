// Standard output, buffered, and the ways a run ends early: a closed pipe and Ctrl-C.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace headrace::cli {

// Gathers bytes and writes them in large pieces. A closed pipe is not an error but an end: closed() turns
// true and what is written later is dropped. So it is after a signal if the reader does not take the rest
// within a second. Owner: one thread.
class Output {
 public:
  explicit Output(int descriptor) : descriptor_(descriptor) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { Flush(); }

  // The place to append to; call Settle after each record.
  std::string& buffer() { return buffer_; }
  void Write(std::string_view text) {
    buffer_ += text;
    Settle();
  }
  // Writes when enough has gathered.
  void Settle() {
    if (buffer_.size() >= kFlushSize) Flush();
  }
  // Writes everything. False if that failed, with the reason in error(), or if the reader has gone.
  bool Flush();
  // The reader has gone.
  bool closed() const { return closed_; }
  // Why writing failed; empty if it did not. A closed pipe is no failure.
  const std::string& error() const { return error_; }
  bool done() const { return closed_ || !error_.empty(); }

 private:
  static constexpr std::size_t kFlushSize = 128U << 10;

  int descriptor_;
  std::string buffer_;
  bool closed_ = false;
  std::string error_;
};

// Call first: from then on SIGPIPE is ignored, and standard streams that the caller left closed are taken, so
// that no file or socket gets their numbers and what is written to them. Reading there ends, writing fails.
void PrepareStandardStreams();

// Until this is called, SIGINT and SIGTERM end the program at once, as they should where there is nothing to
// finish. From then on the first of them sets Interrupted() and runs `notify` (which must be safe in a signal
// handler); a second one kills. Interrupted system calls are not restarted.
void CatchSignals();
void OnInterrupt(void (*notify)(void*), void* argument);
bool Interrupted();

}  // namespace headrace::cli
