// headrace topic create|list|describe|alter|trim|delete
#include <map>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "client/cli/command.h"
#include "client/cli/position_spec.h"
#include "client/cli/text.h"
#include "client/cli/topic_json.h"
#include "client/cli/validators.h"
#include "headrace/admin.h"

namespace headrace::cli {
namespace {

struct TopicArguments {
  std::string topic;
  std::vector<std::string> topics;
  std::uint32_t partitions = 0;
  std::vector<std::string> configs;
  bool if_not_exists = false;
  bool if_exists = false;
  bool internal = false;
  std::uint32_t partition = 0;
  std::string to;
};

Result<std::map<std::string, std::string>> ParseConfigs(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> configs;
  for (const std::string& text : texts) {
    auto pair = ParseKeyValue(text, "--config");
    if (!pair) return pair.error();
    configs[pair->first] = pair->second;
  }
  return configs;
}

std::string ConfigOf(const TopicInfo& topic, std::string_view key) {
  for (const TopicConfigEntry& entry : topic.configs) {
    if (entry.key == key) return entry.value;
  }
  return "";
}

std::string DescribeForPeople(const TopicInfo& topic) {
  std::string out = "topic " + topic.name + "\n  id          " + topic.id + "\n  partitions  " +
                    std::to_string(topic.partition_count) + "\n";
  for (const TopicConfigEntry& entry : topic.configs) {
    out += "  " + entry.key + "=" + entry.value;
    out += !entry.has_effect ? "  (has no effect here)\n" : entry.is_default ? "  (default)\n" : "\n";
  }
  Table table("rrrrrrrl",
              {"PARTITION", "START", "HIGH WATERMARK", "END", "SIZE", "SEGMENTS", "EPOCH", "STATE"});
  for (const PartitionInfo& info : topic.partitions) {
    table.Add({std::to_string(info.partition), std::to_string(info.start_offset),
               std::to_string(info.high_watermark), std::to_string(info.end_offset),
               HumanBytes(static_cast<double>(info.size)), std::to_string(info.segments),
               std::to_string(info.leader_epoch), info.error ? info.error->message : "ok"});
  }
  return table.empty() ? out : out + table.ToString();
}

void PrintTopic(Context& context, const TopicInfo& topic) {
  if (context.json)
    context.PrintJson(ToJson(topic));
  else
    context.output.Write(DescribeForPeople(topic));
}

// Settings that were given, and that nothing depends on.
void NoteWithoutEffect(const TopicInfo& topic, const std::map<std::string, std::string>& given) {
  for (const TopicConfigEntry& entry : topic.configs) {
    if (!entry.has_effect && given.contains(entry.key)) {
      PrintNote(entry.key + " is kept, and has no effect on this broker");
    }
  }
}

// What a change of a topic has to say: the topic as JSON, or one line.
int Changed(Context& context, const TopicInfo& topic, const std::map<std::string, std::string>& configs,
            std::string_view what) {
  NoteWithoutEffect(topic, configs);
  if (context.json) {
    context.PrintJson(ToJson(topic));
  } else {
    const std::string durability = ConfigOf(topic, "durability");
    context.output.Write(std::string(what) + " topic " + topic.name + ": " +
                         std::to_string(topic.partition_count) +
                         (topic.partition_count == 1 ? " partition" : " partitions") +
                         (durability.empty() ? "" : ", durability " + durability) + "\n");
  }
  return kDone;
}

int Create(Context& context, const TopicArguments& arguments) {
  auto configs = ParseConfigs(arguments.configs);
  if (!configs) return context.FailUsage(configs.error().message);
  auto admin = Admin::Connect(context.ClientOptionsFor("topic"));
  if (!admin) return context.FailToConnect(admin.error());
  auto topic = admin->CreateTopic(
      arguments.topic,
      {.partitions = arguments.partitions, .configs = *configs, .if_not_exists = arguments.if_not_exists});
  if (!topic) return context.Fail(topic.error());
  return Changed(context, *topic, *configs, arguments.if_not_exists ? "there is" : "created");
}

int List(Context& context, const TopicArguments& arguments) {
  auto admin = Admin::Connect(context.ClientOptionsFor("topic"));
  if (!admin) return context.FailToConnect(admin.error());
  auto topics = admin->ListTopics(arguments.internal);
  if (!topics) return context.Fail(topics.error());
  Table table("lrll", {"TOPIC", "PARTITIONS", "DURABILITY", "ID"});
  for (const TopicInfo& topic : *topics) {
    if (context.json)
      context.PrintJson(ToJson(topic));
    else
      table.Add({topic.name, std::to_string(topic.partition_count), ConfigOf(topic, "durability"), topic.id});
  }
  if (context.json) return kDone;
  if (table.empty())
    PrintNote("no topics yet; make one: headrace topic create NAME");
  else
    context.output.Write(table.ToString());
  return kDone;
}

int Describe(Context& context, const TopicArguments& arguments) {
  auto admin = Admin::Connect(context.ClientOptionsFor("topic"));
  if (!admin) return context.FailToConnect(admin.error());
  if (arguments.topics.empty()) {
    auto topics = admin->DescribeTopics({}, {.with_partitions = true, .with_internal = arguments.internal});
    if (!topics) return context.Fail(topics.error());
    for (const TopicInfo& topic : *topics) PrintTopic(context, topic);
    return kDone;
  }
  int code = kDone;
  for (const std::string& name : arguments.topics) {
    auto topic = admin->DescribeTopic(name, {.with_partitions = true, .with_internal = true});
    if (topic)
      PrintTopic(context, *topic);
    else
      code = context.FailForTopic(topic.error(), name);
  }
  return code;
}

int Alter(Context& context, const TopicArguments& arguments) {
  auto configs = ParseConfigs(arguments.configs);
  if (!configs) return context.FailUsage(configs.error().message);
  if (configs->empty() && arguments.partitions == 0) {
    return context.FailUsage(
        "nothing to alter: give --config key=value (an empty value for its default) or --partitions");
  }
  auto admin = Admin::Connect(context.ClientOptionsFor("topic"));
  if (!admin) return context.FailToConnect(admin.error());
  auto topic = admin->AlterTopic(arguments.topic, *configs, arguments.partitions);
  if (!topic) return context.FailForTopic(topic.error(), arguments.topic);
  return Changed(context, *topic, *configs, "altered");
}

// The offset that --to means, for Admin::Trim.
Result<std::int64_t> TrimTarget(Admin& admin, const TopicArguments& arguments, const PositionSpec& spec) {
  using Kind = PositionSpec::Kind;
  if (spec.kind == Kind::kOffset) return spec.value;
  if (spec.kind == Kind::kEnd) return std::int64_t{-1};
  const OffsetAt at = spec.kind == Kind::kTimestamp   ? OffsetAt::Time(spec.value)
                      : spec.kind == Kind::kBeginning ? OffsetAt::Start()
                                                      : OffsetAt::End();
  auto offsets = admin.ListOffsets(arguments.topic, at, {arguments.partition});
  if (!offsets) return offsets.error();
  if (offsets->empty()) return Error{error_number::kUnknown, "the broker named no offset", false};
  const std::int64_t offset = offsets->front().offset;
  return spec.kind == Kind::kBeforeEnd ? std::max<std::int64_t>(0, offset - spec.value) : offset;
}

int Trim(Context& context, const TopicArguments& arguments) {
  const auto spec = ParsePosition(arguments.to, WallNowMs());
  if (!spec.ok()) return context.FailUsage("--to " + std::string(spec.status().message()));
  auto admin = Admin::Connect(context.ClientOptionsFor("topic"));
  if (!admin) return context.FailToConnect(admin.error());
  auto target = TrimTarget(*admin, arguments, *spec);
  if (!target) return context.FailForTopic(target.error(), arguments.topic);
  auto start = admin->Trim(arguments.topic, arguments.partition, *target);
  if (!start) return context.FailForTopic(start.error(), arguments.topic);
  if (context.json) {
    context.PrintJson(
        {{"topic", arguments.topic}, {"partition", arguments.partition}, {"start_offset", *start}});
  } else {
    context.output.Write("topic " + arguments.topic + " partition " + std::to_string(arguments.partition) +
                         " now starts at offset " + std::to_string(*start) + "\n");
  }
  return kDone;
}

int Delete(Context& context, const TopicArguments& arguments) {
  auto admin = Admin::Connect(context.ClientOptionsFor("topic"));
  if (!admin) return context.FailToConnect(admin.error());
  const auto deleted = admin->DeleteTopic(arguments.topic);
  const bool unknown = !deleted && deleted.error().code == error_number::kUnknownTopicOrPartition;
  if (!deleted && !(unknown && arguments.if_exists))
    return context.FailForTopic(deleted.error(), arguments.topic);
  if (context.json)
    context.PrintJson({{"topic", arguments.topic}, {"deleted", deleted.ok()}});
  else
    context.output.Write((unknown ? "there is no topic " : "deleted topic ") + arguments.topic + "\n");
  return kDone;
}

using Function = int (*)(Context&, const TopicArguments&);

CLI::App& AddVerb(CLI::App& topic, Context& context, const std::shared_ptr<TopicArguments>& arguments,
                  const std::string& verb, const std::string& help, Function function) {
  CLI::App& command = *topic.add_subcommand(verb, help);
  command.callback([&context, arguments, function] {
    context.run = [&context, arguments, function] { return function(context, *arguments); };
  });
  return command;
}

}  // namespace

void AddTopicCommand(CLI::App& app, Context& context) {
  CLI::App& topic = *app.add_subcommand("topic", "Create, look at, change and delete topics");
  topic.require_subcommand(1);
  const auto arguments = std::make_shared<TopicArguments>();
  const std::string config_help =
      "A setting, such as retention.ms=86400000 or durability=written; may be repeated";

  CLI::App& create = AddVerb(topic, context, arguments, "create", "Create a topic", Create);
  create.add_option("topic", arguments->topic, "Its name")->required();
  create
      .add_option("-p,--partitions", arguments->partitions,
                  "How many partitions; the broker's default without")
      ->check(AboveZero());
  create.add_option("-c,--config", arguments->configs, config_help)->take_all()->expected(1);
  create.add_flag("--if-not-exists", arguments->if_not_exists, "A topic that exists is no error");

  CLI::App& list = AddVerb(topic, context, arguments, "list", "List the topics", List);
  list.add_flag("--internal", arguments->internal, "Also those whose names begin with __");

  CLI::App& describe =
      AddVerb(topic, context, arguments, "describe", "Show topics with their partitions", Describe);
  describe.add_option("topics", arguments->topics, "Their names; all without");
  describe.add_flag("--internal", arguments->internal, "Also those whose names begin with __");

  CLI::App& alter = AddVerb(topic, context, arguments, "alter", "Change settings or add partitions", Alter);
  alter.add_option("topic", arguments->topic, "Its name")->required();
  alter.add_option("-p,--partitions", arguments->partitions, "The new number of partitions")
      ->check(AboveZero());
  alter
      .add_option("-c,--config", arguments->configs, config_help + "; an empty value returns to the default")
      ->take_all()
      ->expected(1);

  CLI::App& trim = AddVerb(topic, context, arguments, "trim", "Drop the records before an offset", Trim);
  trim.add_option("topic", arguments->topic, "Its name")->required();
  trim.add_option("-p,--partition", arguments->partition, "The partition")->required();
  trim.add_option("--to", arguments->to, "The first offset to keep; end, a time and -N are understood too")
      ->required();

  CLI::App& remove =
      AddVerb(topic, context, arguments, "delete", "Delete a topic with all its records", Delete);
  remove.add_option("topic", arguments->topic, "Its name")->required();
  remove.add_flag("--if-exists", arguments->if_exists, "A topic that does not exist is no error");
}

}  // namespace headrace::cli
