// What every command shares: its options, its ways to end, and its connection.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json_fwd.hpp>

#include "client/cli/output.h"
#include "headrace/client.h"
#include "headrace/result.h"

namespace CLI {
class App;
}

namespace headrace::cli {

enum ExitCode : int { kDone = 0, kFailed = 1, kUsage = 2, kCannotConnect = 3 };

// One run of the program. Owned by main; commands keep a reference and set `run`.
struct Context {
  std::string broker;
  bool json = false;
  std::function<int()> run;  // the command that was chosen
  Output output{1};

  ClientOptions ClientOptionsFor(std::string_view command) const;
  // One JSON document on a line of standard output.
  void PrintJson(const nlohmann::ordered_json& document);
  // Tells standard error what failed: a line, or with --json {"error":{...}}. Returns the code of the exit.
  int Fail(const Error& error);
  int Fail(std::string_view message);
  int FailUsage(std::string_view message);
  // The same for an error of a Connect.
  int FailToConnect(const Error& error);
  // The same for an error about a topic: if it is unknown, names the similar ones there are.
  int FailForTopic(Error error, std::string_view topic);

 private:
  int Report(const Error& error, int exit_code) const;
};

// "key=value" taken apart at its first '='; an error names the option it came from.
Result<std::pair<std::string, std::string>> ParseKeyValue(std::string_view text, std::string_view option);

// Milliseconds since the Unix epoch.
std::int64_t WallNowMs();

// Writes a line to standard error.
void PrintNote(std::string_view line);
// Sets `name` to bytes that somebody else chose, or, if they are not UTF-8, `name`_base64 to their base64.
void SetBytes(nlohmann::ordered_json& document, const std::string& name, const std::string& bytes);

// Each adds its command, with help, to the program.
void AddTopicCommand(CLI::App& app, Context& context);
void AddProduceCommand(CLI::App& app, Context& context);
void AddConsumeCommand(CLI::App& app, Context& context);
void AddOffsetsCommand(CLI::App& app, Context& context);
void AddGroupCommand(CLI::App& app, Context& context);
void AddStatsCommand(CLI::App& app, Context& context);
// Returns the `bench` command, so that offline benchmarks can stand beside these.
CLI::App& AddBenchCommand(CLI::App& app, Context& context);
void AddCompletionCommand(CLI::App& app, Context& context);

}  // namespace headrace::cli
