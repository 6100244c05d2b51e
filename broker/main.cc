// headrace-broker: reads its configuration, runs one broker until SIGTERM or SIGINT, and says how it went.
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "broker/broker.h"
#include "broker/config.h"
#include "broker/version.h"
#include "protocol/core/error_code.h"

namespace headrace::broker {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr std::uint64_t kOwnFiles = 64;  // of the process, beside connections and segments
constexpr int kAllocatorPools = 4;

struct Arguments {
  std::string config_file;
  std::vector<std::string> settings;
  std::string data;
  bool ephemeral = false;
  bool ready_json = false;
  bool help_config = false;
  bool check_config = false;
};

absl::Status ApplySettings(const Arguments& arguments, Config& config) {
  if (arguments.ephemeral) config.port = 0;
  if (!arguments.config_file.empty()) {
    const absl::Status status = ReadConfigFile(config, arguments.config_file);
    if (!status.ok()) return status;
  }
  const std::string data_of_file = config.data;
  for (const std::string& setting : arguments.settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError("--set takes name=value, not \"" + setting + "\"");
    }
    const absl::Status status = Set(config, setting.substr(0, equals), setting.substr(equals + 1));
    if (!status.ok()) return status;
  }
  if (!arguments.data.empty()) config.data = arguments.data;
  if (arguments.ephemeral && config.data != data_of_file) {
    return absl::InvalidArgumentError("--ephemeral keeps its data in a temporary directory, not in " +
                                      config.data + ": leave out one of the two");
  }
  return CheckTogether(config);
}

int Fail(int code, std::string_view what) {
  std::fprintf(stderr, "headrace-broker: %.*s\n", static_cast<int>(what.size()), what.data());
  return code;
}

// A standard stream that the caller left closed would lend its number to a file or a socket, and what is
// written to the stream would go there.
void TakeStandardStreams() {
  int lowest = 0;  // of the free descriptors
  do lowest = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  while (lowest >= 0 && lowest <= STDERR_FILENO);
  if (lowest >= 0) ::close(lowest);
}

// Segments and connections both want descriptors: take all that the system allows, and leave each of them
// their share of what is too little for both.
void RaiseFileLimit(Config& config) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
  const std::uint64_t wanted = std::uint64_t{config.connections_max} + config.open_files_max + kOwnFiles;
  if (wanted <= limit.rlim_cur) return;
  const rlim_t files = std::max<rlim_t>(limit.rlim_cur / 2, 16);
  config.open_files_max = static_cast<std::uint32_t>(std::min<rlim_t>(config.open_files_max, files));
  spdlog::warn(
      "{} files may be open, {} are needed for connections_max and open_files_max: {} segment files are kept "
      "open, and connections beyond the rest wait (raise the limit, as with ulimit -n, or lower the "
      "settings)",
      limit.rlim_cur, wanted, config.open_files_max);
}

// Few pools: memory that one thread has given back is of use to all.
void LimitAllocator() {
  ::mallopt(M_ARENA_MAX, kAllocatorPools);
}

// Blocked in every thread, so that only the wait in RunBroker takes them.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Whether one of them has been sent, and nobody has taken it yet.
bool StopAsked() {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

void PrintReady(const Broker& broker, const Config& config) {
  const nlohmann::json line = {{"ready", true},
                               {"port", broker.port()},
                               {"pid", ::getpid()},
                               {"data", config.data},
                               {"cluster_id", broker.cluster_id()},
                               {"version", std::string(kVersion)}};
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

int RunBroker(const Arguments& arguments, const Config& config) {
  const sigset_t signals = BlockStopSignals();
  auto broker = Broker::Start(config, StopAsked);
  if (absl::IsCancelled(broker.status())) {
    spdlog::info("{}", MessageOf(broker.status()));
    return 0;
  }
  if (!broker.ok()) return Fail(kExitFailed, MessageOf(broker.status()));
  if (arguments.ready_json || arguments.ephemeral) PrintReady(**broker, config);
  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("stopping on {}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
  const absl::Status stopped = (*broker)->Stop();
  if (!stopped.ok()) return Fail(kExitFailed, MessageOf(stopped));
  spdlog::info("stopped");
  return 0;
}

int RunEphemeral(const Arguments& arguments, Config config) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
  if (error) return Fail(kExitFailed, "no directory for temporary data, see TMPDIR: " + error.message());
  std::string path = parent / "headrace-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return Fail(kExitFailed, "cannot make a directory like " + path + ": " + std::strerror(errno));
  }
  config.data = path;
  const int code = RunBroker(arguments, config);
  std::error_code ignored;  // what cannot be removed is left in the temporary directory
  std::filesystem::remove_all(path, ignored);
  return code;
}

int Main(int argc, char** argv) {
  TakeStandardStreams();
  LimitAllocator();
  Arguments arguments;
  CLI::App app{"Headrace: an append-only log broker that streams segments with sendfile"};
  app.set_version_flag("--version", std::string(kVersion));
  app.add_option("--config", arguments.config_file, "TOML file with settings");
  app.add_option("--set", arguments.settings, "name=value, over the file's; may be repeated");
  app.add_option("--data", arguments.data, "data directory (the same as --set data=DIR)");
  app.add_flag("--ephemeral", arguments.ephemeral,
               "temporary data, removed at exit; a free port; prints the ready line");
  app.add_flag("--ready-json", arguments.ready_json, "print one JSON line on standard output when ready");
  app.add_flag("--help-config", arguments.help_config, "print every setting and exit");
  app.add_flag("--check-config", arguments.check_config, "check the settings and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (arguments.help_config) {
    std::printf("%s", ConfigReference().c_str());
    return 0;
  }
  Config config;
  const absl::Status settings = ApplySettings(arguments, config);
  if (!settings.ok()) return Fail(kExitUsage, MessageOf(settings));
  if (arguments.check_config) return 0;
  spdlog::set_default_logger(spdlog::stderr_logger_mt("broker"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %n: %v");
  spdlog::set_level(spdlog::level::from_str(config.log_level));
  RaiseFileLimit(config);
  return arguments.ephemeral ? RunEphemeral(arguments, config) : RunBroker(arguments, config);
}

}  // namespace
}  // namespace headrace::broker

int main(int argc, char** argv) {
  return headrace::broker::Main(argc, argv);
}
