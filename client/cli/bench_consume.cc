// headrace bench consume
#include <atomic>
#include <optional>
#include <thread>

#include <nlohmann/json.hpp>

#include "client/cli/bench.h"
#include "client/cli/signal_mask.h"
#include "client/cli/text.h"
#include "headrace/consumer.h"

namespace headrace::cli {
namespace {

using Clock = std::chrono::steady_clock;

// One consumer that reads the whole topic on its own thread.
struct Reader {
  std::optional<Consumer> consumer;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::optional<Error> error;
};

void ReadAll(Reader& reader, std::uint64_t records_max) {
  while (!Interrupted() && (records_max == 0 || reader.records < records_max)) {
    auto records = reader.consumer->Poll(std::chrono::seconds(1));
    if (!records) {
      reader.error = records.error();
      return;
    }
    if (records->ended) return;
    for (const Record& record : *records) {
      reader.bytes += (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
    }
    reader.records += records->size();
  }
}

Result<Throughput> ConsumeAll(const Context& context, const BenchArguments& arguments,
                              const BenchTopic& topic, std::uint64_t records_max) {
  std::vector<Reader> readers(arguments.connections);
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (Reader& reader : readers) {
    threads.emplace_back([&] {
      const SignalMask mask;
      ConsumerOptions options;
      options.check_crc = arguments.check_crc;
      options.stop_at_end = true;
      auto consumer = Consumer::Connect(context.ClientOptionsFor("bench"), topic.name(), options);
      if (!consumer) {
        reader.error = consumer.error();
        return;
      }
      reader.consumer = *std::move(consumer);
      ReadAll(reader, records_max);
    });
  }
  for (std::thread& thread : threads) thread.join();
  Throughput result;
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  for (const Reader& reader : readers) {
    if (reader.error) return *reader.error;
    result.records += reader.records;
    result.bytes += reader.bytes;
  }
  return result;
}

void Print(Context& context, const BenchArguments& arguments, const BenchTopic& topic,
           const Throughput& result, const BrokerUse& use) {
  if (context.json) {
    nlohmann::ordered_json document = {{"bench", "consume"},
                                       {"conditions", ConditionsJson(arguments, topic)}};
    document["conditions"]["check_crc"] = arguments.check_crc;
    document.update(ToJson(result));
    document["broker"] = ToJson(use);
    return context.PrintJson(document);
  }
  std::string text = "consumed     " + ForPeople(result) + "\n" + ForPeople(use, result);
  Table table("lrrrrr", {"TRANSFER", "CALLS", "BYTES", "THROUGH USER SPACE", "SHORT SENDS", "WAITS"});
  for (const TransferCounters& transfer : use.transfers) {
    table.Add({transfer.strategy, std::to_string(transfer.calls),
               HumanBytes(static_cast<double>(transfer.bytes)),
               HumanBytes(static_cast<double>(transfer.bytes_through_user)),
               std::to_string(transfer.short_sends), std::to_string(transfer.waits)});
  }
  text += table.ToString() + "conditions   " + std::to_string(topic.info().partition_count) +
          " partitions, " + std::to_string(arguments.connections) +
          " consumers, each reading all of the topic, CRC " +
          (arguments.check_crc ? "checked" : "not checked") + ", " +
          std::to_string(std::thread::hardware_concurrency()) + " cores shared with the broker\n";
  context.output.Write(text);
}

}  // namespace

int BenchConsume(Context& context, const BenchArguments& arguments) {
  auto admin = Admin::Connect(context.ClientOptionsFor("bench"));
  if (!admin) return context.FailToConnect(admin.error());
  auto topic = BenchTopic::Prepare(*admin, arguments);
  if (!topic) return context.Fail(topic.error());
  if (arguments.topic.empty()) {  // a fresh topic has nothing to read yet
    const auto filled = ProduceLoad(context, arguments, *topic, nullptr);
    if (!filled) return context.Fail(filled.error());
  }
  auto before = admin->Stats();
  if (!before) return context.Fail(before.error());
  const auto result = ConsumeAll(context, arguments, *topic, arguments.topic.empty() ? 0 : arguments.records);
  if (!result) return context.Fail(result.error());
  auto after = admin->Stats();
  if (!after) return context.Fail(after.error());
  Print(context, arguments, *topic, *result, Difference(*before, *after));
  return kDone;
}

}  // namespace headrace::cli
