// The commands that need no broker: they read a data directory, or measure this machine.
#pragma once

#include "client/cli/command.h"

namespace headrace::cli::offline {

void AddDumpCommand(CLI::App& app, Context& context);
void AddFsckCommand(CLI::App& app, Context& context);
// Beside the benchmarks against a broker.
void AddBenchTransferCommand(CLI::App& bench, Context& context);

}  // namespace headrace::cli::offline
