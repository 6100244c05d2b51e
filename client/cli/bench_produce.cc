// headrace bench produce
#include <nlohmann/json.hpp>

#include "client/cli/bench.h"
#include "client/cli/text.h"

namespace headrace::cli {
namespace {

void Print(Context& context, const BenchArguments& arguments, const BenchTopic& topic,
           const Throughput& result, const Histogram& latency, const BrokerUse& use) {
  if (context.json) {
    nlohmann::ordered_json document = {{"bench", "produce"},
                                       {"conditions", ConditionsJson(arguments, topic)}};
    document.update(ToJson(result));
    document["acknowledged"] = ToJson(latency);
    document["broker"] = ToJson(use);
    return context.PrintJson(document);
  }
  Table table("lrrrrrrr", LatencyHead());
  table.Add(LatencyRow(arguments.rate > 0 ? "due to acknowledged" : "sent to acknowledged", latency));
  const double batches = static_cast<double>(std::max<std::uint64_t>(use.batches, 1));
  context.output.Write("produced     " + ForPeople(result) + "\n" + table.ToString() +
                       ForPeople(use, result) + "batches      " + std::to_string(use.batches) + ", " +
                       HumanBytes(static_cast<double>(use.produced_bytes) / batches) + " each on average, " +
                       std::to_string(use.syncs) + " syncs\n" + Conditions(arguments, topic));
  if (arguments.rate <= 0) {
    context.output.Write(
        "note         at full speed the latency is mostly waiting in the producer's own buffer; "
        "give --rate for an open loop\n");
  }
}

}  // namespace

int BenchProduce(Context& context, const BenchArguments& arguments) {
  auto admin = Admin::Connect(context.ClientOptionsFor("bench"));
  if (!admin) return context.FailToConnect(admin.error());
  auto topic = BenchTopic::Prepare(*admin, arguments);
  if (!topic) return context.Fail(topic.error());
  auto before = admin->Stats();
  if (!before) return context.Fail(before.error());
  Histogram latency;
  const auto result = ProduceLoad(context, arguments, *topic, &latency);
  if (!result) return context.Fail(result.error());
  auto after = admin->Stats();
  if (!after) return context.Fail(after.error());
  Print(context, arguments, *topic, *result, latency, Difference(*before, *after));
  return kDone;
}

}  // namespace headrace::cli
