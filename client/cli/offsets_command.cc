// headrace offsets TOPIC: start, end and lag of each partition.
#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "client/cli/command.h"
#include "client/cli/position_spec.h"
#include "client/cli/text.h"
#include "headrace/admin.h"

namespace headrace::cli {
namespace {

struct OffsetsArguments {
  std::string topic;
  std::string consumer;
  std::string set;
  std::vector<std::uint32_t> partitions;
};

using Committed = std::map<std::uint32_t, CommittedOffset>;

// Offsets that --set means, for every partition of `topic` that was asked for.
Result<std::vector<CommittedOffset>> Targets(Admin& admin, const TopicInfo& topic,
                                             const OffsetsArguments& arguments, const PositionSpec& spec) {
  using Kind = PositionSpec::Kind;
  std::map<std::uint32_t, std::int64_t> at_time;
  if (spec.kind == Kind::kTimestamp) {
    auto listed = admin.ListOffsets(arguments.topic, OffsetAt::Time(spec.value), arguments.partitions);
    if (!listed) return listed.error();
    for (const PartitionOffset& entry : *listed) at_time[entry.partition] = entry.offset;
  }
  std::vector<CommittedOffset> targets;
  for (const PartitionInfo& info : topic.partitions) {
    const auto& wanted = arguments.partitions;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), info.partition) == wanted.end()) continue;
    std::int64_t offset = info.high_watermark;
    if (spec.kind == Kind::kBeginning) offset = info.start_offset;
    if (spec.kind == Kind::kBeforeEnd) offset = std::max(info.start_offset, info.high_watermark - spec.value);
    if (spec.kind == Kind::kOffset) {
      offset = std::clamp(spec.value, info.start_offset, info.high_watermark);
      if (offset != spec.value) {
        PrintNote("partition " + std::to_string(info.partition) + " has no offset " +
                  std::to_string(spec.value) + ": set to the nearest, " + std::to_string(offset));
      }
    }
    if (spec.kind == Kind::kTimestamp && at_time[info.partition] >= 0) offset = at_time[info.partition];
    CommittedOffset target;
    target.topic = arguments.topic;
    target.partition = info.partition;
    target.offset = offset;
    targets.push_back(std::move(target));
  }
  return targets;
}

Result<void> SetOffsets(Admin& admin, const TopicInfo& topic, const OffsetsArguments& arguments,
                        const PositionSpec& spec) {
  auto targets = Targets(admin, topic, arguments, spec);
  if (!targets) return targets.error();
  return admin.CommitOffsets(arguments.consumer, *targets);
}

nlohmann::ordered_json ToJson(const OffsetsArguments& arguments, const PartitionInfo& info,
                              const Committed& committed) {
  nlohmann::ordered_json document = {
      {"topic", arguments.topic},          {"partition", info.partition},
      {"start_offset", info.start_offset}, {"high_watermark", info.high_watermark},
      {"end_offset", info.end_offset},     {"records", info.high_watermark - info.start_offset}};
  if (arguments.consumer.empty()) return document;
  document["consumer"] = arguments.consumer;
  const auto found = committed.find(info.partition);
  if (found == committed.end()) {
    document["committed"] = nullptr;
    document["lag"] = info.high_watermark - info.start_offset;
    return document;
  }
  document["committed"] = found->second.offset;
  document["commit_time_ms"] = found->second.commit_time_ms;
  document["lag"] = info.high_watermark - found->second.offset;
  return document;
}

std::vector<std::string> ToRow(const OffsetsArguments& arguments, const PartitionInfo& info,
                               const Committed& committed) {
  std::vector<std::string> row = {std::to_string(info.partition), std::to_string(info.start_offset),
                                  std::to_string(info.high_watermark),
                                  std::to_string(info.high_watermark - info.start_offset)};
  if (arguments.consumer.empty()) return row;
  const auto found = committed.find(info.partition);
  const bool known = found != committed.end();
  row.push_back(known ? std::to_string(found->second.offset) : "-");
  row.push_back(std::to_string(info.high_watermark - (known ? found->second.offset : info.start_offset)));
  row.push_back(known ? FormatTime(found->second.commit_time_ms) : "never");
  return row;
}

void Print(Context& context, const OffsetsArguments& arguments, const TopicInfo& topic,
           const Committed& committed) {
  std::vector<std::string> head = {"PARTITION", "START", "END", "RECORDS"};
  if (!arguments.consumer.empty()) head.insert(head.end(), {"COMMITTED", "LAG", "COMMITTED AT"});
  Table table("rrrrrrl", std::move(head));
  for (const PartitionInfo& info : topic.partitions) {
    const auto& wanted = arguments.partitions;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), info.partition) == wanted.end()) continue;
    if (context.json)
      context.PrintJson(ToJson(arguments, info, committed));
    else
      table.Add(ToRow(arguments, info, committed));
  }
  if (!context.json) context.output.Write(table.ToString());
}

int Offsets(Context& context, const OffsetsArguments& arguments) {
  if (!arguments.set.empty() && arguments.consumer.empty())
    return context.FailUsage("--set needs --consumer NAME");
  auto admin = Admin::Connect(context.ClientOptionsFor("offsets"));
  if (!admin) return context.FailToConnect(admin.error());
  const auto topic = admin->DescribeTopic(arguments.topic);
  if (!topic) return context.FailForTopic(topic.error(), arguments.topic);
  for (const std::uint32_t partition : arguments.partitions) {
    if (partition < topic->partition_count) continue;
    return context.FailUsage("--partition " + std::to_string(partition) + ": topic " + arguments.topic +
                             " has " + std::to_string(topic->partition_count) +
                             " partitions, numbered from 0");
  }
  if (!arguments.set.empty()) {
    const auto spec = ParsePosition(arguments.set, WallNowMs());
    if (!spec.ok()) return context.FailUsage("--set " + std::string(spec.status().message()));
    if (const auto set = SetOffsets(*admin, *topic, arguments, *spec); !set) return context.Fail(set.error());
  }
  Committed committed;
  if (!arguments.consumer.empty()) {
    const auto fetched = admin->FetchOffsets(arguments.consumer, arguments.topic);
    if (!fetched) return context.Fail(fetched.error());
    for (const CommittedOffset& entry : *fetched) {
      if (entry.offset >= 0) committed[entry.partition] = entry;
    }
  }
  Print(context, arguments, *topic, committed);
  return kDone;
}

}  // namespace

void AddOffsetsCommand(CLI::App& app, Context& context) {
  CLI::App& command = *app.add_subcommand(
      "offsets", "Show where the partitions of a topic start and end, and a consumer's lag");
  const auto arguments = std::make_shared<OffsetsArguments>();
  command.add_option("topic", arguments->topic, "The topic")->required();
  command.add_option("-c,--consumer", arguments->consumer,
                     "Also what the consumer of this name has committed, and its lag");
  command.add_option("-p,--partition", arguments->partitions, "Only this partition; may be repeated")
      ->take_all()
      ->expected(1);
  command.add_option("--set", arguments->set,
                     "Move the consumer first: to beginning, end, an offset, -N, a time, or 2h-ago");
  command.callback([&context, arguments] {
    context.run = [&context, arguments] { return Offsets(context, *arguments); };
  });
}

}  // namespace headrace::cli
