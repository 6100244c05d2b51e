// headrace consume TOPIC: prints records until the end, a limit, or Ctrl-C.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <CLI/CLI.hpp>

#include "client/cli/command.h"
#include "client/cli/consume_run.h"
#include "client/cli/position_spec.h"
#include "client/cli/signal_mask.h"
#include "client/cli/validators.h"
#include "headrace/admin.h"
#include "headrace/consumer.h"

namespace headrace::cli {
namespace {

using SpecKind = PositionSpec::Kind;

constexpr std::chrono::seconds kRequestTimeout{10};  // Ctrl-C waits for the last commit so long

// The offset of each partition that `spec` means; -1 where no record is that late.
Result<std::map<std::uint32_t, std::int64_t>> Resolve(Context& context, const ConsumeArguments& arguments,
                                                      const PositionSpec& spec) {
  auto admin = Admin::Connect(context.ClientOptionsFor("consume"));
  if (!admin) return admin.error();
  const OffsetAt at = spec.kind == SpecKind::kTimestamp   ? OffsetAt::Time(spec.value)
                      : spec.kind == SpecKind::kBeginning ? OffsetAt::Start()
                                                          : OffsetAt::End();
  auto listed = admin->ListOffsets(arguments.topic, at, arguments.partitions);
  if (!listed) return listed.error();
  auto starts = admin->ListOffsets(arguments.topic, OffsetAt::Start(), arguments.partitions);
  if (!starts) return starts.error();
  std::map<std::uint32_t, std::int64_t> offsets;
  for (const PartitionOffset& entry : *starts) offsets[entry.partition] = entry.offset;
  for (const PartitionOffset& entry : *listed) {
    std::int64_t& offset = offsets[entry.partition];
    offset = spec.kind == SpecKind::kBeforeEnd ? std::max(offset, entry.offset - spec.value)
             : spec.kind == SpecKind::kOffset  ? spec.value
                                               : entry.offset;
  }
  return offsets;
}

// Turns --from into the consumer's options.
Result<void> ApplyFrom(Context& context, const ConsumeArguments& arguments,
                       const std::optional<PositionSpec>& from, ConsumerOptions& options) {
  if (!from) {
    options.start = arguments.name.empty() ? Start::Beginning() : Start::Committed();
    return {};
  }
  switch (from->kind) {
    case SpecKind::kBeginning:
      options.start = Start::Beginning();
      break;
    case SpecKind::kEnd:
      options.start = Start::End();
      break;
    case SpecKind::kOffset:
      options.start = Start::At(from->value);
      break;
    case SpecKind::kTimestamp:
      options.start = Start::AtTime(from->value);
      break;
    case SpecKind::kBeforeEnd: {
      auto offsets = Resolve(context, arguments, *from);
      if (!offsets) return offsets.error();
      options.offsets = *std::move(offsets);
      break;
    }
  }
  return {};
}

Result<Limits> LimitsOf(Context& context, const ConsumeArguments& arguments,
                        const std::optional<PositionSpec>& until) {
  Limits limits;
  if (!until || (until->kind == SpecKind::kEnd && !arguments.follow)) return limits;
  auto offsets = Resolve(context, arguments, *until);
  if (!offsets) return offsets.error();
  limits.offsets = *std::move(offsets);
  std::erase_if(limits.offsets, [](const auto& entry) { return entry.second < 0; });
  if (until->kind == SpecKind::kTimestamp) limits.timestamp_ms = until->value;
  return limits;
}

// The parsed options that may be wrong.
struct Plan {
  std::optional<PositionSpec> from;
  std::optional<PositionSpec> until;
  std::optional<RecordFormat> format;
  std::string delimiter;
};

absl::StatusOr<std::optional<PositionSpec>> ParseOptional(const std::string& option,
                                                          const std::string& text) {
  if (text.empty()) return std::optional<PositionSpec>();
  auto spec = ParsePosition(text, WallNowMs());
  if (!spec.ok()) return absl::InvalidArgumentError(option + " " + std::string(spec.status().message()));
  return std::optional<PositionSpec>(*spec);
}

absl::StatusOr<Plan> MakePlan(const ConsumeArguments& arguments) {
  Plan plan;
  auto from = ParseOptional("--from", arguments.from);
  if (!from.ok()) return from.status();
  plan.from = *from;
  auto until = ParseOptional("--until", arguments.until);
  if (!until.ok()) return until.status();
  plan.until = *until;
  auto format = RecordFormat::Compile(arguments.format);
  if (!format.ok()) return absl::InvalidArgumentError("--format: " + std::string(format.status().message()));
  plan.format = *std::move(format);
  plan.delimiter = plan.format->ends_with_newline() ? "" : "\n";
  if (!arguments.delimiter) return plan;
  auto delimiter = Unescape(*arguments.delimiter);
  if (!delimiter.ok())
    return absl::InvalidArgumentError("--delimiter: " + std::string(delimiter.status().message()));
  plan.delimiter = *std::move(delimiter);
  return plan;
}

// What excludes what, as far as CLI11 does not know it; empty if all is well.
std::string CheckGroupUse(const ConsumeArguments& arguments, const Plan& plan) {
  if (arguments.group.empty()) {
    return arguments.instance_id.empty() ? "" : "--instance-id needs --group NAME";
  }
  if (!arguments.name.empty())
    return "--group and --name exclude each other: a group keeps its own positions";
  if (!arguments.partitions.empty()) return "--partition: the broker assigns the partitions of a group";
  if (!arguments.until.empty())
    return "--until: a member of a group does not know which partitions it will have";
  if (plan.from && plan.from->kind == SpecKind::kBeforeEnd) {
    return "--from -N: for a group there are beginning, end, an offset and a time (where nothing is "
           "committed)";
  }
  return "";
}

int Consume(Context& context, const ConsumeArguments& arguments) {
  auto plan = MakePlan(arguments);
  if (!plan.ok()) return context.FailUsage(std::string(plan.status().message()));
  if (const std::string wrong = CheckGroupUse(arguments, *plan); !wrong.empty())
    return context.FailUsage(wrong);
  ConsumerOptions options;
  options.name = arguments.name;
  options.group = arguments.group;
  options.instance_id = arguments.instance_id;
  options.commit_interval = std::chrono::milliseconds(0);  // the run commits what it has written
  options.partitions = arguments.partitions;
  options.stop_at_end = !arguments.follow;
  if (const auto applied = ApplyFrom(context, arguments, plan->from, options); !applied) {
    return context.FailForTopic(applied.error(), arguments.topic);
  }
  auto limits = LimitsOf(context, arguments, plan->until);
  if (!limits) return context.FailForTopic(limits.error(), arguments.topic);
  ConsumeRun run(context, arguments, *std::move(plan->format), plan->delimiter, *std::move(limits));
  options.on_change = [&run](Consumer& consumer, const GroupChange& change) {
    run.OnChange(consumer, change);
  };
  ClientOptions client = context.ClientOptionsFor("consume");
  client.request_timeout = kRequestTimeout;
  auto consumer = AwayFromSignals([&] { return Consumer::Connect(client, arguments.topic, options); });
  if (!consumer) return context.FailForTopic(consumer.error(), arguments.topic);
  CatchSignals();
  return run.Run(*consumer);
}

}  // namespace

void AddConsumeCommand(CLI::App& app, Context& context) {
  CLI::App& command =
      *app.add_subcommand("consume", "Print the records of a topic, up to its end as it is now");
  const auto arguments = std::make_shared<ConsumeArguments>();
  command.add_option("topic", arguments->topic, "The topic")->required();
  command.add_option("-p,--partition", arguments->partitions, "A partition; may be repeated; all without")
      ->take_all()
      ->expected(1);
  command.add_option("--from", arguments->from,
                     "beginning (the default), end, an offset, -N (N before the end), a time such as "
                     "2026-11-23T09:00:00Z or 1795424400000ms, or 2h-ago");
  command.add_option("--until", arguments->until,
                     "Where to stop, in the same forms; the record there is not printed");
  command.add_option("-n,--count", arguments->count, "Stop after so many records")->check(AboveZero());
  command.add_flag("-f,--follow", arguments->follow, "Go on after the end, as records arrive");
  command.add_option(
      "--format", arguments->format,
      "%t topic %p partition %o offset %T timestamp (ms) %D timestamp (RFC 3339) %k key %K its size "
      "%v value %V its size %h headers %%, and \\n \\t \\r \\0 \\xHH \\\\; the default is %v");
  command.add_option("--delimiter", arguments->delimiter,
                     "What follows each record; a newline by default, unless the format ends with one");
  command.add_option("--name", arguments->name,
                     "Go on where the consumer of this name stopped, and keep its position on the broker");
  command.add_option(
      "--group", arguments->group,
      "Join this group: its members share the partitions, and go on where it stopped; --from says "
      "where, if nowhere yet");
  command.add_option(
      "--instance-id", arguments->instance_id,
      "With --group: come back under this id within the session, and nobody else is disturbed");
  command.add_flag("--no-commit", arguments->no_commit, "With --name or --group: do not change the position");
  command.add_flag("--skip-damaged", arguments->skip_damaged,
                   "Leave damaged batches out and go on, instead of stopping; exits with 1");
  command.callback([&context, arguments] {
    context.run = [&context, arguments] { return Consume(context, *arguments); };
  });
}

}  // namespace headrace::cli
