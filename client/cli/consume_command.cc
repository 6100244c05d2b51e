// headrace consume TOPIC: prints records until the end, a limit, or Ctrl-C.
#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <CLI/CLI.hpp>

#include "client/cli/command.h"
#include "client/cli/position_spec.h"
#include "client/cli/record_format.h"
#include "client/cli/signal_mask.h"
#include "headrace/admin.h"
#include "headrace/consumer.h"

namespace headrace::cli {
namespace {

using SpecKind = PositionSpec::Kind;

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();
constexpr std::chrono::seconds kCommitInterval{5};
constexpr std::chrono::seconds kPollWait{1};

struct ConsumeArguments {
  std::string topic;
  std::vector<std::uint32_t> partitions;
  std::string from;
  std::string until;
  std::uint64_t count = 0;  // 0: no limit
  bool follow = false;
  std::string format = "%v";
  std::optional<std::string> delimiter;
  std::string name;
  bool no_commit = false;
};

// Where to stop in each partition; timestamp_ms also stops at records that arrive later.
struct Limits {
  std::map<std::uint32_t, std::int64_t> offsets;
  std::int64_t timestamp_ms = kNoLimit;
};

// One run of the command. Lives on main's thread.
class ConsumeRun {
 public:
  ConsumeRun(Context& context, const ConsumeArguments& arguments, Consumer consumer, RecordFormat format,
             std::string delimiter, Limits limits)
      : context_(context),
        arguments_(arguments),
        consumer_(std::move(consumer)),
        format_(std::move(format)),
        delimiter_(std::move(delimiter)),
        limits_(std::move(limits)) {}

  int Run() {
    if (const int code = CheckPositions(); code != kDone) return code;
    OnInterrupt([](void* consumer) { static_cast<Consumer*>(consumer)->Interrupt(); }, &consumer_);
    for (const PartitionPosition& at : consumer_.positions()) {
      partitions_[at.partition] = {at.position, at.position, LimitOf(at.partition) <= at.position};
    }
    const int code = Loop();
    OnInterrupt(nullptr, nullptr);
    return code == kDone ? Finish() : code;
  }

 private:
  struct PartitionState {
    std::int64_t next = 0;       // offset of the next record to print
    std::int64_t committed = 0;  // what was committed last, or where it began
    bool finished = false;
  };

  // A position behind the end is a mistake, not an end that was reached.
  int CheckPositions() {
    for (const PartitionPosition& at : consumer_.positions()) {
      if (at.position <= at.end_at_connect) continue;
      std::string message = "offset " + std::to_string(at.position) +
                            " is out of range: " + arguments_.topic + "-" + std::to_string(at.partition) +
                            " holds ";
      if (at.start_offset >= 0) message += std::to_string(at.start_offset) + " to ";
      message += std::to_string(at.end_at_connect) + " (choose a partition with --partition)";
      return context_.Fail(Error{error_number::kOffsetOutOfRange, std::move(message), false});
    }
    return kDone;
  }

  std::int64_t LimitOf(std::uint32_t partition) const {
    const auto found = limits_.offsets.find(partition);
    return found == limits_.offsets.end() ? kNoLimit : found->second;
  }

  int Loop() {
    while (!Finished()) {
      Result<Records> records = consumer_.Poll(std::chrono::milliseconds(0));
      if (records && records->empty() &&
          !records->ended) {  // nothing at hand: print what there is, then wait
        context_.output.Flush();
        if (const int code = CommitIfDue(); code != kDone) return code;
        records = consumer_.Poll(kPollWait);
      }
      if (!records && records.error().code == error_number::kInterrupted) continue;
      if (!records && arguments_.follow && records.error().retriable) {
        PrintNote("headrace: " + records.error().message + "; trying again");
        continue;
      }
      if (!records) return context_.Fail(records.error());
      if (records->ended) return kDone;
      Print(*records);
    }
    return kDone;
  }

  bool Finished() const {
    if (Interrupted() || context_.output.done()) return true;
    if (arguments_.count != 0 && printed_ == arguments_.count) return true;
    return std::all_of(partitions_.begin(), partitions_.end(),
                       [](const auto& entry) { return entry.second.finished; });
  }

  void Print(const Records& records) {
    if (records.empty()) return;
    PartitionState& state = partitions_[records.partition];
    const std::int64_t limit = LimitOf(records.partition);
    for (const Record& record : records) {
      if (state.finished) return;
      if (arguments_.count != 0 && printed_ == arguments_.count) return;
      if (record.offset >= limit || record.timestamp_ms >= limits_.timestamp_ms) {
        state.finished = true;
        return;
      }
      PrintRecord(record);
      ++printed_;
      state.next = record.offset + 1;
      state.finished = state.next >= limit;
      if (context_.output.done()) return;
    }
  }

  void PrintRecord(const Record& record) {
    std::string& out = context_.output.buffer();
    if (context_.json) {
      AppendJsonRecord(out, arguments_.topic, record);
    } else {
      format_.Append(out, arguments_.topic, record);
      out += delimiter_;
    }
    context_.output.Settle();
  }

  bool Commits() const { return !arguments_.name.empty() && !arguments_.no_commit; }

  int CommitIfDue() {
    const auto now = std::chrono::steady_clock::now();
    if (!Commits() || now < next_commit_) return kDone;
    next_commit_ = now + kCommitInterval;
    return Commit();
  }

  // Commits what was printed and has left this program; nothing of what a closed pipe did not take.
  int Commit() {
    if (!Commits() || !context_.output.Flush()) return kDone;
    for (auto& [partition, state] : partitions_) {
      if (state.next == state.committed) continue;
      if (const auto done = consumer_.Commit(partition, state.next); !done)
        return context_.Fail(done.error());
      state.committed = state.next;
    }
    return kDone;
  }

  int Finish() {
    context_.output.Flush();
    return Commit();
  }

  Context& context_;
  const ConsumeArguments& arguments_;
  Consumer consumer_;
  RecordFormat format_;
  std::string delimiter_;
  Limits limits_;
  std::map<std::uint32_t, PartitionState> partitions_;
  std::uint64_t printed_ = 0;
  std::chrono::steady_clock::time_point next_commit_ = std::chrono::steady_clock::now() + kCommitInterval;
};

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

int Consume(Context& context, const ConsumeArguments& arguments) {
  auto plan = MakePlan(arguments);
  if (!plan.ok()) return context.FailUsage(std::string(plan.status().message()));
  ConsumerOptions options;
  options.name = arguments.name;
  options.partitions = arguments.partitions;
  options.stop_at_end = !arguments.follow;
  if (const auto applied = ApplyFrom(context, arguments, plan->from, options); !applied) {
    return context.FailForTopic(applied.error(), arguments.topic);
  }
  auto limits = LimitsOf(context, arguments, plan->until);
  if (!limits) return context.FailForTopic(limits.error(), arguments.topic);
  const auto connect = [&] {
    const SignalMask mask;
    return Consumer::Connect(context.ClientOptionsFor("consume"), arguments.topic, options);
  };
  auto consumer = connect();
  if (!consumer) return context.FailForTopic(consumer.error(), arguments.topic);
  return ConsumeRun(context, arguments, *std::move(consumer), *std::move(plan->format), plan->delimiter,
                    *std::move(limits))
      .Run();
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
  command.add_option("-n,--count", arguments->count, "Stop after so many records")
      ->check(CLI::PositiveNumber);
  command.add_flag("-f,--follow", arguments->follow, "Go on after the end, as records arrive");
  command.add_option(
      "--format", arguments->format,
      "%t topic %p partition %o offset %T timestamp (ms) %D timestamp (RFC 3339) %k key %K its size "
      "%v value %V its size %h headers %%, and \\n \\t \\r \\0 \\xHH \\\\; the default is %v");
  command.add_option("--delimiter", arguments->delimiter,
                     "What follows each record; a newline by default, unless the format ends with one");
  command.add_option("--name", arguments->name,
                     "Go on where the consumer of this name stopped, and keep its position on the broker");
  command.add_flag("--no-commit", arguments->no_commit, "With --name: do not change its position");
  command.callback([&context, arguments] {
    context.run = [&context, arguments] { return Consume(context, *arguments); };
  });
}

}  // namespace headrace::cli
