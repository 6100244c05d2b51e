// Several producers sending at once, for the benchmarks.
#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "client/cli/bench.h"
#include "client/cli/pace.h"
#include "client/cli/signal_mask.h"
#include "headrace/producer.h"

namespace headrace::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kCloseWait{130};
constexpr std::chrono::seconds kStopWait{1};

// One producer with its thread's share of the records.
struct Lane {
  std::optional<Producer> producer;
  std::uint64_t records = 0;
  Histogram latency;
  std::optional<Error> error;
};

Result<void> SendTimed(Lane& lane, const Message& message, Clock::time_point due) {
  return lane.producer->Send(message, [&lane, due](const Result<Receipt>& receipt) {
    if (receipt)
      lane.latency.Record(std::chrono::nanoseconds(Clock::now() - due).count());
    else if (!lane.error)
      lane.error = receipt.error();
  });
}

// Sends the lane's records. Latency counts from the moment a record was due, so that a stall which delays
// the records behind it is seen in theirs too.
void SendAll(Lane& lane, const BenchArguments& arguments, const Payloads& payloads,
             const std::atomic<bool>& go) {
  go.wait(false);
  Pace pace(arguments.rate / arguments.connections);
  std::optional<Error> failed;
  for (std::uint64_t n = 0; n < lane.records && !failed && !Interrupted(); ++n) {
    if (!pace.WaitFor(n)) break;
    Message message;
    message.value = payloads.Get(n);
    const bool timed = n % arguments.sample == 0;
    const auto due = !timed || arguments.rate > 0 ? pace.DueTime(n) : Clock::now();
    const auto sent = timed ? SendTimed(lane, message, due) : lane.producer->Send(message);
    if (!sent) failed = sent.error();
  }
  const auto closed = lane.producer->Close(
      Interrupted() ? kStopWait : kCloseWait);  // after this the lane is this thread's alone
  if (failed)
    lane.error = failed;
  else if (!closed)
    lane.error = closed.error();
}

Result<void> ConnectAll(const Context& context, const BenchArguments& arguments, const BenchTopic& topic,
                        std::vector<Lane>& lanes) {
  ProducerOptions options;
  options.compression = ParseCodec(arguments.compression).value_or(Codec::kNone);
  options.batch_size_max = arguments.batch;
  options.requests_in_flight_max = arguments.in_flight;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    auto producer = AwayFromSignals(
        [&] { return Producer::Connect(context.ClientOptionsFor("bench"), topic.name(), options); });
    if (!producer) return producer.error();
    lanes[i].producer = *std::move(producer);
    lanes[i].records = arguments.records / lanes.size() + (i < arguments.records % lanes.size() ? 1 : 0);
  }
  return {};
}

}  // namespace

Result<Throughput> ProduceLoad(const Context& context, const BenchArguments& arguments,
                               const BenchTopic& topic, Histogram* latency) {
  std::vector<Lane> lanes(arguments.connections);
  if (auto connected = ConnectAll(context, arguments, topic, lanes); !connected) return connected.error();
  const Payloads payloads(arguments.size);
  std::atomic<bool> go{false};
  std::vector<std::thread> threads;
  for (Lane& lane : lanes) threads.emplace_back([&] { SendAll(lane, arguments, payloads, go); });
  const auto start = Clock::now();
  go = true;
  go.notify_all();
  for (std::thread& thread : threads) thread.join();
  Throughput result;
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  for (const Lane& lane : lanes) {
    if (lane.error) return *lane.error;
    result.records += lane.producer->stats().messages_delivered;
    if (latency != nullptr) latency->Merge(lane.latency);
  }
  result.bytes = result.records * arguments.size;
  return result;
}

}  // namespace headrace::cli
