// headrace stats: the broker's counters, and how record bytes went to sockets.
#include <time.h>

#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "client/cli/command.h"
#include "client/cli/pace.h"
#include "client/cli/text.h"
#include "client/cli/topic_json.h"
#include "client/cli/validators.h"
#include "headrace/admin.h"

namespace headrace::cli {
namespace {

struct StatsArguments {
  bool connections = false;
  double watch_seconds = 0;  // 0: once
  std::uint64_t count = 0;   // of watching; 0: no limit
};

std::string Bytes(std::uint64_t bytes) {
  return HumanBytes(static_cast<double>(bytes));
}

// How the record bytes of each connection went, of those that had any.
std::string ConnectionTransferTable(const std::vector<ConnectionInfo>& connections) {
  Table table("rlrrrrr",
              {"CONNECTION", "TRANSFER", "CALLS", "BYTES", "THROUGH USER SPACE", "SHORT SENDS", "WAITS"});
  for (const ConnectionInfo& info : connections) {
    for (const TransferCounters& transfer : info.transfers) {
      if (transfer.calls == 0) continue;
      table.Add({std::to_string(info.id), transfer.strategy, std::to_string(transfer.calls),
                 Bytes(transfer.bytes), Bytes(transfer.bytes_through_user),
                 std::to_string(transfer.short_sends), std::to_string(transfer.waits)});
    }
  }
  return table.ToString();
}

std::string TransferTable(const std::vector<TransferCounters>& transfers) {
  Table table("lrrrrr", {"TRANSFER", "CALLS", "BYTES", "THROUGH USER SPACE", "SHORT SENDS", "WAITS"});
  for (const TransferCounters& transfer : transfers) {
    table.Add({transfer.strategy, std::to_string(transfer.calls), Bytes(transfer.bytes),
               Bytes(transfer.bytes_through_user), std::to_string(transfer.short_sends),
               std::to_string(transfer.waits)});
  }
  return table.ToString();
}

std::string ConnectionTable(const std::vector<ConnectionInfo>& connections) {
  Table table("rllrrrrr", {"CONNECTION", "PEER", "CLIENT", "IN", "OUT", "WAITING", "REQUESTS", "STALLED"});
  for (const ConnectionInfo& info : connections) {
    table.Add({std::to_string(info.id), info.peer, info.client_id, Bytes(info.bytes_in),
               Bytes(info.bytes_out), Bytes(info.bytes_waiting), std::to_string(info.requests_in_flight),
               info.seconds_stalled > 0 ? HumanSeconds(info.seconds_stalled) : "-"});
  }
  return table.ToString();
}

std::string ForPeople(const BrokerStats& stats) {
  std::string out = "broker " + stats.version + ", up " + HumanSeconds(stats.uptime_seconds) + ", CPU " +
                    HumanSeconds(stats.cpu_user_seconds) + " user + " +
                    HumanSeconds(stats.cpu_system_seconds) + " system, " + Bytes(stats.resident_bytes) +
                    " resident\n";
  const auto line = [&out](std::string_view name, const std::string& text) {
    out.append("  ").append(name).append(14 - name.size(), ' ').append(text).append("\n");
  };
  line("topics", std::to_string(stats.topics) + " with " + std::to_string(stats.partitions) +
                     " partitions, " + std::to_string(stats.fenced_partitions) + " fenced");
  line("connections",
       std::to_string(stats.connections) + " now, " + std::to_string(stats.connections_total) + " in all");
  line("requests",
       std::to_string(stats.requests) + ", " + std::to_string(stats.client_errors) + " client errors");
  line("network", Bytes(stats.bytes_in) + " in, " + Bytes(stats.bytes_out) + " out");
  line("produced", std::to_string(stats.produced_records) + " records in " +
                       std::to_string(stats.produced_batches) + " batches, " + Bytes(stats.produced_bytes));
  line("disk", std::to_string(stats.syncs) + " syncs, " + std::to_string(stats.cold_reads) + " cold reads, " +
                   std::to_string(stats.open_files) + " open files");
  return out + TransferTable(stats.transfers);
}

// What happened between two looks.
std::string RateLine(const BrokerStats& before, const BrokerStats& after) {
  const double seconds = std::max(after.uptime_seconds - before.uptime_seconds, 1e-6);
  const auto rate = [seconds](std::uint64_t from, std::uint64_t to) {
    return static_cast<double>(to >= from ? to - from : 0) / seconds;
  };
  const double cpu =
      after.cpu_user_seconds + after.cpu_system_seconds - before.cpu_user_seconds - before.cpu_system_seconds;
  return "now: " + HumanCount(rate(before.produced_records, after.produced_records)) + " records/s in, " +
         HumanBytes(rate(before.bytes_in, after.bytes_in)) + "/s in, " +
         HumanBytes(rate(before.bytes_out, after.bytes_out)) + "/s out, " +
         HumanCount(rate(before.requests, after.requests)) + " requests/s, " +
         HumanCount(rate(before.syncs, after.syncs)) + " syncs/s, CPU " + Fixed(100 * cpu / seconds, 0) +
         " %\n";
}

void Print(Context& context, const StatsArguments& arguments, const BrokerStats& stats) {
  if (context.json) return context.PrintJson(ToJson(stats));
  context.output.Write(ForPeople(stats));
  if (!arguments.connections) return;
  context.output.Write(ConnectionTable(stats.connections_list));
  context.output.Write(ConnectionTransferTable(stats.connections_list));
}

int Watch(Context& context, const StatsArguments& arguments, Admin& admin, BrokerStats before) {
  Pace pace(1 / arguments.watch_seconds);
  pace.DueTime(0);
  for (std::uint64_t n = 1; arguments.count == 0 || n < arguments.count; ++n) {
    context.output.Flush();
    if (context.output.done() || !pace.WaitFor(n)) return kDone;
    auto stats = admin.Stats(arguments.connections);
    if (!stats) return context.Fail(stats.error());
    if (!context.json) context.output.Write("\n" + RateLine(before, *stats));
    Print(context, arguments, *stats);
    before = *std::move(stats);
  }
  return kDone;
}

int Stats(Context& context, const StatsArguments& arguments) {
  auto admin = Admin::Connect(context.ClientOptionsFor("stats"));
  if (!admin) return context.FailToConnect(admin.error());
  auto stats = admin->Stats(arguments.connections);
  if (!stats) return context.Fail(stats.error());
  Print(context, arguments, *stats);
  return arguments.watch_seconds > 0 ? Watch(context, arguments, *admin, *std::move(stats)) : kDone;
}

}  // namespace

void AddStatsCommand(CLI::App& app, Context& context) {
  CLI::App& command =
      *app.add_subcommand("stats", "Show the broker's counters and how record bytes went to sockets");
  const auto arguments = std::make_shared<StatsArguments>();
  command.add_flag("--connections", arguments->connections,
                   "List the connections too, and how record bytes went to each");
  command
      .add_option("-w,--watch", arguments->watch_seconds, "Again every so many seconds (1 without a number)")
      ->expected(0, 1)
      ->default_str("1")
      ->check(AboveZero());
  command.add_option("-n,--count", arguments->count, "With --watch: stop after so many times");
  command.callback(
      [&context, arguments] { context.run = [&context, arguments] { return Stats(context, *arguments); }; });
}

}  // namespace headrace::cli
