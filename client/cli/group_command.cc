// headrace group list|describe|delete|seek
#include <algorithm>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "client/cli/command.h"
#include "client/cli/position_spec.h"
#include "client/cli/text.h"
#include "headrace/admin.h"
#include "protocol/core/utf8.h"

namespace headrace::cli {
namespace {

using Json = nlohmann::ordered_json;

struct GroupArguments {
  std::string group;
  std::vector<std::string> groups;
  std::string to;
  std::vector<std::string> topics;
  std::vector<std::uint32_t> partitions;
  bool undo = false;
  bool dry_run = false;
};

// The names of groups near the one that is not there.
Error WithSimilar(Admin& admin, Error error, const std::string& group) {
  if (error.code != error_number::kGroupIdNotFound) return error;
  const auto groups = admin.ListGroups();
  if (!groups) return error;
  std::vector<std::string> names;
  for (const GroupListing& each : *groups) names.push_back(each.name);
  const std::vector<std::string> similar = SimilarNames(group, names);
  // There may be such a group, and it has only nothing to undo.
  if (!similar.empty() && similar.front() != group)
    error.message += "; did you mean " + similar.front() + "?";
  return error;
}

std::string OffsetText(std::int64_t offset) {
  return offset < 0 ? "-" : std::to_string(offset);
}

std::string LagTimeText(const GroupPosition& position) {
  return position.lag == 0 ? "0" : HumanSeconds(static_cast<double>(position.lag_ms) / 1000);
}

Json PartitionsJson(const std::vector<TopicPartitionName>& partitions) {
  Json list = Json::array();
  for (const TopicPartitionName& each : partitions) {
    list.push_back({{"topic", each.topic}, {"partition", each.partition}});
  }
  return list;
}

Json ToJson(const GroupPosition& position) {
  Json json = {{"topic", position.topic},
               {"partition", position.partition},
               {"committed", position.offset < 0 ? Json() : Json(position.offset)},
               {"start_offset", position.start_offset},
               {"high_watermark", position.high_watermark},
               {"lag", position.lag},
               {"lag_seconds", static_cast<double>(position.lag_ms) / 1000},
               {"commit_time_ms", position.commit_time_ms < 0 ? Json() : Json(position.commit_time_ms)}};
  SetBytes(json, "metadata", position.metadata);
  SetBytes(json, "member_id", position.member_id);
  if (position.error) json["error"] = position.error->message;
  return json;
}

Json ToJson(const GroupMemberInfo& member) {
  Json json;
  SetBytes(json, "member_id", member.member_id);
  SetBytes(json, "instance_id", member.instance_id);
  SetBytes(json, "client_id", member.client_id);
  json["host"] = member.host;
  json["epoch"] = member.epoch;
  json["assignment"] = PartitionsJson(member.assignment);
  return json;
}

Json ToJson(const GroupInfo& info) {
  Json json;
  SetBytes(json, "group", info.summary.name);
  json["type"] = info.summary.type;
  json["state"] = info.summary.state;
  SetBytes(json, "assignor", info.assignor);
  json["epoch"] = info.epoch;
  json["members"] = Json::array();
  json["positions"] = Json::array();
  for (const GroupMemberInfo& member : info.members) json["members"].push_back(ToJson(member));
  for (const GroupPosition& position : info.positions) json["positions"].push_back(ToJson(position));
  return json;
}

std::string DescribeForPeople(const GroupInfo& info) {
  std::string out = "group " + Printable(info.summary.name) + "\n  type      " + info.summary.type +
                    "\n  state     " + info.summary.state + "\n";
  if (!info.assignor.empty()) out += "  assignor  " + Printable(info.assignor) + "\n";
  Table members("llllr", {"MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS"});
  for (const GroupMemberInfo& member : info.members) {
    members.Add({member.member_id, member.instance_id.empty() ? "-" : member.instance_id, member.client_id,
                 member.host, std::to_string(member.assignment.size())});
  }
  Table positions("lrrrrrrl",
                  {"TOPIC", "PARTITION", "COMMITTED", "START", "END", "LAG", "LAG TIME", "MEMBER"});
  for (const GroupPosition& each : info.positions) {
    positions.Add({each.topic, std::to_string(each.partition), OffsetText(each.offset),
                   OffsetText(each.start_offset), OffsetText(each.high_watermark), std::to_string(each.lag),
                   LagTimeText(each), each.member_id.empty() ? "-" : each.member_id});
  }
  if (!members.empty()) out += "\n" + members.ToString();
  if (!positions.empty()) out += "\n" + positions.ToString();
  return out;
}

int List(Context& context) {
  auto admin = Admin::Connect(context.ClientOptionsFor("group"));
  if (!admin) return context.FailToConnect(admin.error());
  const auto groups = admin->ListGroups();
  if (!groups) return context.Fail(groups.error());
  Table table("lllr", {"GROUP", "TYPE", "STATE", "MEMBERS"});
  for (const GroupListing& each : *groups) {
    if (context.json) {
      Json json;
      SetBytes(json, "group", each.name);
      json["type"] = each.type;
      json["state"] = each.state;
      json["members"] = each.members;
      context.PrintJson(json);
    } else {
      table.Add({each.name, each.type, each.state, std::to_string(each.members)});
    }
  }
  if (!context.json) context.output.Write(table.ToString());
  return kDone;
}

int Describe(Context& context, const GroupArguments& arguments) {
  auto admin = Admin::Connect(context.ClientOptionsFor("group"));
  if (!admin) return context.FailToConnect(admin.error());
  for (const std::string& name : arguments.groups) {
    const auto info = admin->DescribeGroup(name);
    if (!info) return context.Fail(WithSimilar(*admin, info.error(), name));
    if (context.json)
      context.PrintJson(ToJson(*info));
    else
      context.output.Write(DescribeForPeople(*info));
  }
  return kDone;
}

int Delete(Context& context, const GroupArguments& arguments) {
  auto admin = Admin::Connect(context.ClientOptionsFor("group"));
  if (!admin) return context.FailToConnect(admin.error());
  for (const std::string& name : arguments.groups) {
    const auto deleted = admin->DeleteGroup(name);
    if (!deleted) return context.Fail(WithSimilar(*admin, deleted.error(), name));
    if (context.json)
      context.PrintJson({{"group", name}, {"deleted", true}});
    else
      context.output.Write("deleted group " + name + "\n");
  }
  return kDone;
}

// What the arguments say, or why they cannot be meant.
Result<GroupSeek> ToSeek(const GroupArguments& arguments) {
  const auto wrong = [](std::string why) {
    return Error{error_number::kInvalidRequest, std::move(why), false};
  };
  GroupSeek seek;
  seek.topics = arguments.topics;
  seek.partitions = arguments.partitions;
  seek.dry_run = arguments.dry_run;
  if (arguments.undo != arguments.to.empty()) {
    return wrong("say where to with --to, or --undo to go back to where the group was before the last seek");
  }
  if (!seek.partitions.empty() && seek.topics.size() != 1) return wrong("--partition needs one --topic");
  if (arguments.undo) {
    if (!seek.topics.empty()) return wrong("--undo takes the last seek back as a whole; it has no --topic");
    seek.target = GroupSeek::Target::kUndo;
    return seek;
  }
  const auto spec = ParsePosition(arguments.to, WallNowMs());
  if (!spec.ok()) return wrong("--to " + std::string(spec.status().message()));
  seek.value = spec->value;
  switch (spec->kind) {
    case PositionSpec::Kind::kBeginning:
      seek.target = GroupSeek::Target::kEarliest;
      return seek;
    case PositionSpec::Kind::kEnd:
      seek.target = GroupSeek::Target::kLatest;
      return seek;
    case PositionSpec::Kind::kOffset:
      seek.target = GroupSeek::Target::kOffset;
      return seek;
    case PositionSpec::Kind::kTimestamp:
      seek.target = GroupSeek::Target::kTimestamp;
      return seek;
    case PositionSpec::Kind::kBeforeEnd:
      break;
  }
  return wrong("--to " + arguments.to + ": a count before the end is not a place for a group");
}

std::string RemarkOn(const GroupMove& move, const GroupSeek& seek) {
  if (move.error) return "not moved: " + move.error->message;
  const bool elsewhere = seek.target == GroupSeek::Target::kOffset && move.offset != seek.value;
  return elsewhere ? "there is no offset " + std::to_string(seek.value) + ": the nearest" : "";
}

void Print(Context& context, const GroupArguments& arguments, const GroupSeek& seek,
           const GroupSeekResult& result) {
  Table table("lrrrl", {"TOPIC", "PARTITION", "FROM", "TO", ""});
  for (const GroupMove& move : result.moves) {
    if (context.json) {
      Json json = {{"topic", move.topic},
                   {"partition", move.partition},
                   {"from", move.previous_offset < 0 ? Json() : Json(move.previous_offset)},
                   {"to", move.offset < 0 ? Json() : Json(move.offset)},
                   {"moved", !move.error && !arguments.dry_run}};
      if (move.error) json["error"] = move.error->message;
      context.PrintJson(json);
    } else {
      table.Add({move.topic, std::to_string(move.partition), OffsetText(move.previous_offset),
                 OffsetText(move.offset), RemarkOn(move, seek)});
    }
  }
  if (context.json) return;
  context.output.Write(table.ToString());
  context.output.Flush();  // the note comes after it
  if (arguments.dry_run) return PrintNote("nothing was changed (--dry-run)");
  PrintNote("moved; " + std::to_string(result.members_removed) +
            " members were told to join again; headrace group seek " + arguments.group + " --undo goes back");
}

int Seek(Context& context, const GroupArguments& arguments) {
  const auto seek = ToSeek(arguments);
  if (!seek) return context.FailUsage(seek.error().message);
  auto admin = Admin::Connect(context.ClientOptionsFor("group"));
  if (!admin) return context.FailToConnect(admin.error());
  const auto result = admin->SeekGroup(arguments.group, *seek);
  if (!result) return context.Fail(WithSimilar(*admin, result.error(), arguments.group));
  Print(context, arguments, *seek, *result);
  const auto failed = std::find_if(result->moves.begin(), result->moves.end(),
                                   [](const GroupMove& move) { return move.error.has_value(); });
  if (failed == result->moves.end()) return kDone;
  return context.Fail("topic " + failed->topic + ", partition " + std::to_string(failed->partition) +
                      " was not moved: " + failed->error->message);
}

void AddSeek(CLI::App& group, Context& context, const std::shared_ptr<GroupArguments>& arguments) {
  CLI::App& seek = *group.add_subcommand("seek", "Move a group to other positions, also while it reads");
  seek.add_option("group", arguments->group, "The group")->required();
  seek.add_option("--to", arguments->to, "earliest, latest, an offset, a time, or 2h-ago");
  seek.add_flag("--undo", arguments->undo, "Back to where the group was before the last seek");
  seek.add_option("-t,--topic", arguments->topics,
                  "Only this topic; may be repeated; all that the group reads without")
      ->take_all()
      ->expected(1);
  seek.add_option("-p,--partition", arguments->partitions, "Only this partition; may be repeated")
      ->take_all()
      ->expected(1);
  seek.add_flag("--dry-run", arguments->dry_run, "Only say what would be done");
  seek.callback(
      [&context, arguments] { context.run = [&context, arguments] { return Seek(context, *arguments); }; });
}

}  // namespace

void AddGroupCommand(CLI::App& app, Context& context) {
  CLI::App& group = *app.add_subcommand("group", "Look at consumer groups, delete and move them");
  group.require_subcommand(1);
  const auto arguments = std::make_shared<GroupArguments>();
  group.add_subcommand("list", "List the groups")->callback([&context] {
    context.run = [&context] { return List(context); };
  });
  CLI::App& describe = *group.add_subcommand("describe", "Show members, positions and lag");
  describe.add_option("group", arguments->groups, "The groups")->required();
  describe.callback([&context, arguments] {
    context.run = [&context, arguments] { return Describe(context, *arguments); };
  });
  CLI::App& remove = *group.add_subcommand("delete", "Forget groups without members, and their positions");
  remove.add_option("group", arguments->groups, "The groups")->required();
  remove.callback(
      [&context, arguments] { context.run = [&context, arguments] { return Delete(context, *arguments); }; });
  AddSeek(group, context, arguments);
}

}  // namespace headrace::cli
