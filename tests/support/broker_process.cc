#include "tests/support/broker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace headrace::testing {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

int ExitCodeOf(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Starts a program with the given descriptors as its standard ones.
pid_t Spawn(const std::vector<std::string>& command, int input, int output, int errors) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

std::string TemporaryFile() {
  std::string path = std::filesystem::temp_directory_path() / "headrace-test-XXXXXX";
  const int descriptor = ::mkstemp(path.data());
  if (descriptor < 0) throw std::runtime_error("mkstemp " + path);
  ::close(descriptor);
  return path;
}

// The number behind "port": in the ready line; 0 if there is none.
std::uint16_t PortIn(const std::string& line) {
  constexpr std::string_view kKey = "\"port\":";
  const std::size_t at = line.find(kKey);
  return at == std::string::npos ? std::uint16_t{0}
                                 : static_cast<std::uint16_t>(std::atoi(line.c_str() + at + kKey.size()));
}

}  // namespace

BrokerProcess::BrokerProcess(std::vector<std::string> arguments) : error_path_(TemporaryFile()) {
  std::vector<std::string> command = {HEADRACE_BROKER_PROGRAM};
  command.insert(command.end(), arguments.begin(), arguments.end());
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int errors = ::open(error_path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  pid_ = Spawn(command, null, ready[1], errors);
  ::close(ready[1]);
  ::close(null);
  ::close(errors);
  std::string line;
  char buffer[512];
  while (line.find('\n') == std::string::npos) {
    const ssize_t count = ::read(ready[0], buffer, sizeof buffer);
    if (count <= 0) break;  // the program has ended
    line.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(ready[0]);
  port_ = PortIn(line);
  if (port_ == 0) static_cast<void>(WaitForExit(std::chrono::seconds(10)));
}

BrokerProcess::~BrokerProcess() {
  if (!exit_code_) Kill();
  ::unlink(error_path_.c_str());
}

void BrokerProcess::Signal(int signal) const {
  ::kill(pid_, signal);
}

std::optional<int> BrokerProcess::WaitForExit(std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  while (!exit_code_) {
    int status = 0;
    const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
    if (ended == pid_)
      exit_code_ = ExitCodeOf(status);
    else if (std::chrono::steady_clock::now() > deadline)
      return std::nullopt;
    else
      ::poll(nullptr, 0, 1);
  }
  return exit_code_;
}

void BrokerProcess::Kill() {
  Signal(SIGKILL);
  static_cast<void>(WaitForExit(std::chrono::seconds(30)));
}

std::string BrokerProcess::errors() const {
  return ReadFile(error_path_);
}

ProgramResult RunProgram(const std::vector<std::string>& command, const std::string& input) {
  const std::string input_path = TemporaryFile();
  const std::string output_path = TemporaryFile();
  std::ofstream(input_path) << input;
  const int in = ::open(input_path.c_str(), O_RDONLY | O_CLOEXEC);
  const int out = ::open(output_path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  const pid_t child = Spawn(command, in, out, out);
  ::close(in);
  ::close(out);
  int status = 0;
  ::waitpid(child, &status, 0);
  ProgramResult result{ExitCodeOf(status), ReadFile(output_path)};
  ::unlink(input_path.c_str());
  ::unlink(output_path.c_str());
  return result;
}

}  // namespace headrace::testing
