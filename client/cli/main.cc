// The program `headrace`: everything a person does with a broker from a shell.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "client/cli/command.h"
#include "client/cli/offline/offline_commands.h"
#include "client/cli/text.h"

namespace headrace::cli {
namespace {

// What to say when a command is missing or unknown: CLI11 calls both missing.
std::string ExplainCommand(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  std::vector<std::string> known;
  for (const CLI::App* each : at->get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(each->get_name());
  std::string list;
  for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
  const std::vector<std::string> rest = app.remaining(true);
  const std::string path = at == &app ? "" : at->get_name() + ": ";
  if (rest.empty()) return path + "a command is missing: " + list + " (more with --help)";
  const std::string unknown = path + "unknown command '" + rest.front() + "'; ";
  const std::vector<std::string> similar = SimilarNames(rest.front(), known);
  return unknown + (similar.empty() ? "known are " + list : "did you mean " + similar.front() + "?");
}

std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  const std::string_view what = error.what();
  const bool no_command = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                          what.find("subcommand") != std::string_view::npos;
  return no_command ? ExplainCommand(app) : std::string(what) + " (more with --help)";
}

// Parses the command line and runs what it asks for. CLI11 reports by exceptions, which end here.
int Main(int argc, char** argv) {
  PrepareStandardStreams();
  Context context;
  CLI::App app("Headrace: an append-only log broker. Talks to the broker at --broker.", "headrace");
  app.add_option("-b,--broker", context.broker, "Broker, as host:port")
      ->envname("HEADRACE_BROKER")
      ->default_val("127.0.0.1:9092");
  app.add_flag("--json", context.json, "Print JSON, one document per line");
  app.set_version_flag("--version", "headrace " HEADRACE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();  // --broker and --json may also stand after the command
  AddTopicCommand(app, context);
  AddProduceCommand(app, context);
  AddConsumeCommand(app, context);
  AddOffsetsCommand(app, context);
  AddGroupCommand(app, context);
  AddStatsCommand(app, context);
  offline::AddBenchTransferCommand(AddBenchCommand(app, context), context);
  offline::AddDumpCommand(app, context);
  offline::AddFsckCommand(app, context);
  AddCompletionCommand(app, context);
  app.footer("Exit codes: 0 done, 1 failed, 2 wrong usage, 3 cannot connect to the broker.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);  // --help
    // What was wrong may stand before --json, which is then not parsed.
    context.json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    return context.FailUsage(Explain(app, error));
  }
  const int code = context.run();
  context.output.Flush();
  if (code == kDone && !context.output.error().empty()) {
    return context.Fail("cannot write to standard output: " + context.output.error());
  }
  return code;
}

}  // namespace
}  // namespace headrace::cli

int main(int argc, char** argv) {
  return headrace::cli::Main(argc, argv);
}
