// The real broker program, run by a test.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace headrace::testing {

// Started with --ready-json on a data directory (or --ephemeral), and killed with the test if it still runs.
class BrokerProcess {
 public:
  // Starts the program with these arguments and waits for its ready line, or for its end.
  explicit BrokerProcess(std::vector<std::string> arguments);
  ~BrokerProcess();
  BrokerProcess(const BrokerProcess&) = delete;
  BrokerProcess& operator=(const BrokerProcess&) = delete;

  // Whether the ready line came; otherwise the program has ended: see exit_code() and errors().
  bool ready() const { return port_ != 0; }
  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  pid_t pid() const { return pid_; }

  void Signal(int signal) const;
  // Waits for the end; nullopt if it does not come in time. 128 + N if a signal N ended it.
  std::optional<int> WaitForExit(std::chrono::milliseconds wait);
  // kill -9, and waits.
  void Kill();
  // What it wrote to standard error so far.
  std::string errors() const;

 private:
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
  std::optional<int> exit_code_;
  std::string error_path_;
};

// Runs a program to its end, and gives what it printed.
struct ProgramResult {
  int exit_code = -1;
  std::string output;  // standard output and standard error together
};
ProgramResult RunProgram(const std::vector<std::string>& command, const std::string& input = "");

// Waits for a condition by looking again and again; false if it did not come true in time.
template <typename Condition>
bool WaitUntil(Condition condition, std::chrono::milliseconds wait = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
  }
  return true;
}

}  // namespace headrace::testing
