// headrace fsck DIR
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "client/cli/offline/fsck.h"
#include "client/cli/offline/offline_commands.h"
#include "client/cli/text.h"
#include "protocol/core/error_code.h"
#include "storage/io/posix_file_system.h"

namespace headrace::cli::offline {
namespace {

struct FsckArguments {
  std::string directory;
  bool repair = false;
};

void Print(Context& context, const Finding& finding) {
  if (context.json) {
    nlohmann::ordered_json document = {{"kind", "finding"},
                                       {"path", finding.path},
                                       {"position", nullptr},
                                       {"problem", finding.problem},
                                       {"repair", nullptr}};
    if (finding.position) document["position"] = *finding.position;
    if (!finding.repair.empty()) document["repair"] = finding.repair;
    return context.PrintJson(document);
  }
  std::string line = finding.path;
  if (finding.position) line += ", position " + std::to_string(*finding.position);
  line += ": " + finding.problem;
  if (!finding.repair.empty()) line += "; " + finding.repair;
  context.output.Write(line + "\n");
}

void Print(Context& context, const FsckReport& report) {
  if (context.json) {
    return context.PrintJson({{"kind", "summary"},
                              {"partitions", report.partitions},
                              {"segments", report.segments},
                              {"batches", report.batches},
                              {"records", report.records},
                              {"bytes", report.bytes},
                              {"findings", report.findings},
                              {"repaired", report.repaired}});
  }
  std::string line = "checked " + std::to_string(report.partitions) + " partitions, " +
                     std::to_string(report.segments) + " segments, " + std::to_string(report.batches) +
                     " batches with " + std::to_string(report.records) + " records, " +
                     HumanBytes(static_cast<double>(report.bytes)) + ": ";
  line += report.findings == 0
              ? "nothing is wrong"
              : std::to_string(report.findings) + (report.findings == 1 ? " finding" : " findings");
  if (report.repaired > 0) line += ", " + std::to_string(report.repaired) + " repaired";
  context.output.Write(line + "\n");
}

int RunFsck(Context& context, const FsckArguments& arguments) {
  storage::PosixFileSystem files;
  Fsck fsck(files, arguments.directory, arguments.repair,
            [&](const Finding& finding) { Print(context, finding); });
  const auto report = fsck.Run();
  if (!report.ok()) {
    context.output.Flush();
    return context.Fail(std::string(MessageOf(report.status())));
  }
  Print(context, *report);
  return report->findings == 0 ? kDone : kFailed;
}

}  // namespace

void AddFsckCommand(CLI::App& app, Context& context) {
  CLI::App& command = *app.add_subcommand("fsck", "Check a data directory that no broker uses");
  const auto arguments = std::make_shared<FsckArguments>();
  command.add_option("directory", arguments->directory, "The broker's data directory")->required();
  command.add_flag("--repair", arguments->repair,
                   "Move unfinished tails to quarantine/ inside the directory; nothing is deleted");
  command.footer("Exit code 1 if anything was found, repaired or not.");
  command.callback([&context, arguments] {
    context.run = [&context, arguments] { return RunFsck(context, *arguments); };
  });
}

}  // namespace headrace::cli::offline
