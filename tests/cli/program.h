// Runs the real program `headrace`, for the tests.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace headrace::cli {

// Waits until `condition` holds, at most 20 s.
template <typename Condition>
bool Eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// A running program with its three streams in files of a directory of its own. Waits for it at the end.
class Program {
 public:
  Program(const std::string& broker, std::vector<std::string> arguments, const std::string& input = "") {
    std::string name = (std::filesystem::temp_directory_path() / "headrace-cli-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
    std::ofstream(directory_ + "/in", std::ios::binary) << input;
    arguments.insert(arguments.begin(), HEADRACE_PROGRAM);
    if (!broker.empty()) arguments.insert(arguments.begin() + 1, {"--broker", broker});
    Start(arguments);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      Wait();
    }
    std::filesystem::remove_all(directory_);
  }

  void Signal(int number) { ::kill(process_, number); }
  // The exit code, or 128 and the signal.
  int Wait() {
    if (process_ > 0) {
      int status = 0;
      ::waitpid(process_, &status, 0);
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      process_ = 0;
    }
    return code_;
  }
  std::string Out() const { return Read("out"); }
  std::string Err() const { return Read("err"); }

 private:
  void Start(std::vector<std::string>& arguments) {
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const int write = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 0, (directory_ + "/in").c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, (directory_ + "/out").c_str(), write, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, (directory_ + "/err").c_str(), write, 0600);
    // Whoever runs the tests in the background has SIGINT ignored, which programs inherit.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    const int failed =
        ::posix_spawn(&process_, HEADRACE_PROGRAM, &actions, &attributes, pointers.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    REQUIRE(failed == 0);
  }
  std::string Read(const char* name) const {
    std::ifstream in(directory_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string directory_;
  pid_t process_ = 0;
  int code_ = -1;
};

}  // namespace headrace::cli
