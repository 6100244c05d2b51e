// headrace bench: registers the benchmarks.
#include <memory>

#include <CLI/CLI.hpp>

#include "client/cli/bench.h"
#include "client/cli/validators.h"

namespace headrace::cli {
namespace {

using Function = int (*)(Context&, const BenchArguments&);

// A benchmark with the options that all have. Its defaults are set before.
CLI::App& AddBench(CLI::App& bench, Context& context, const std::shared_ptr<BenchArguments>& arguments,
                   const std::string& name, const std::string& help, Function function) {
  CLI::App& command = *bench.add_subcommand(name, help);
  command.add_option("--topic", arguments->topic,
                     "The topic; without, one is made for the run and deleted after it");
  command.add_option("-n,--records", arguments->records, "How many records")
      ->check(AboveZero())
      ->capture_default_str();
  command.add_option("--size", arguments->size, "Bytes of each value")
      ->check(AboveZero())
      ->capture_default_str();
  command.add_option("-p,--partitions", arguments->partitions, "Of a topic that is made")
      ->check(AboveZero())
      ->capture_default_str();
  command.add_option("--durability", arguments->durability, "Of a topic that is made: durable or written")
      ->check(CLI::IsMember({"durable", "written"}))
      ->capture_default_str();
  command.add_option("--batch", arguments->batch, "Bytes of a batch at most; 0 for the library's default")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  command.add_option("--in-flight", arguments->in_flight, "Produce requests under way, per connection")
      ->check(CLI::Range(1, 5))
      ->capture_default_str();
  command.callback([&context, arguments, function] {
    context.run = [&context, arguments, function] { return function(context, *arguments); };
  });
  return command;
}

void AddConnections(CLI::App& command, BenchArguments& arguments) {
  command.add_option("--connections", arguments.connections, "How many at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

}  // namespace

CLI::App& AddBenchCommand(CLI::App& app, Context& context) {
  CLI::App& bench =
      *app.add_subcommand("bench", "Measure a broker, or how this machine moves bytes to a socket");
  bench.require_subcommand(1);
  bench.callback(CatchSignals);  // a topic made for the run is deleted

  const auto produce = std::make_shared<BenchArguments>();
  produce->records = 5'000'000;
  CLI::App& produce_command =
      AddBench(bench, context, produce, "produce", "Throughput of producing", BenchProduce);
  AddConnections(produce_command, *produce);
  produce_command.add_option("--rate", produce->rate, "Records per second; as fast as it goes without")
      ->check(AboveZero());
  produce_command.add_option("-z,--compression", produce->compression, "Of the batches")
      ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
      ->capture_default_str();

  const auto consume = std::make_shared<BenchArguments>();
  consume->records = 5'000'000;
  consume->durability = "written";
  CLI::App& consume_command = AddBench(bench, context, consume, "consume",
                                       "Throughput of streaming a topic from its beginning", BenchConsume);
  AddConnections(consume_command, *consume);
  consume_command.add_flag("!--no-crc", consume->check_crc, "Do not check the batches' CRC");

  const auto latency = std::make_shared<BenchArguments>();
  latency->records = 10'000;
  latency->rate = 1'000;
  CLI::App& latency_command =
      AddBench(bench, context, latency, "latency",
               "Time from when a record is due until it is acknowledged and received", BenchLatency);
  latency_command.add_option("--rate", latency->rate, "Records per second")
      ->check(AboveZero())
      ->capture_default_str();
  latency_command.add_flag("--one-at-a-time", latency->one_at_a_time,
                           "Send each record when the one before was acknowledged, instead of at a rate, "
                           "with no consumer beside it");
  return bench;
}

}  // namespace headrace::cli
