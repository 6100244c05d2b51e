// headrace completion bash: prints the completion script.
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "client/cli/command.h"
#include "client/cli/completion_text.h"

namespace headrace::cli {

void AddCompletionCommand(CLI::App& app, Context& context) {
  CLI::App& command =
      *app.add_subcommand("completion", "Print shell completion: source <(headrace completion bash)");
  const auto shell = std::make_shared<std::string>();
  command.add_option("shell", *shell, "bash")->required()->check(CLI::IsMember({"bash"}));
  command.callback([&context, shell] {
    context.run = [&context] {
      context.output.Write(kBashCompletion);
      return static_cast<int>(kDone);
    };
  });
}

}  // namespace headrace::cli
