// headrace bench latency
#include <sys/prctl.h>

#include <cstring>
#include <optional>
#include <thread>

#include <nlohmann/json.hpp>

#include "client/cli/bench.h"
#include "client/cli/pace.h"
#include "client/cli/signal_mask.h"
#include "client/cli/text.h"
#include "headrace/consumer.h"
#include "headrace/producer.h"

namespace headrace::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kCloseWait{130};
constexpr std::chrono::seconds kStopWait{1};
// Share of the records that warms up both sides and is not counted: one in ten, from the first.
constexpr std::uint64_t kWarmUpShare = 10;

struct LatencyResult {
  Histogram acknowledged;  // from when a record was due to its acknowledgement
  Histogram received;      // from when it was due to its arrival at a consumer
  Histogram late;          // how much later than due the benchmark itself sent
  Throughput throughput;
};

std::int64_t Nanoseconds(Clock::time_point time) {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

// The consumer's side: a thread that reads until all records have come. A record's value begins with the
// time it was due, in this process' own steady clock, and its number.
class Receiver {
 public:
  Receiver(Consumer consumer, std::uint64_t records, std::uint64_t warm_up, Histogram& received)
      : consumer_(std::move(consumer)), records_(records), warm_up_(warm_up), received_(received) {
    const SignalMask mask;
    thread_ = std::thread([this] { Run(); });
  }
  ~Receiver() { Stop(); }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  // Waits for all records; what went wrong, if anything did.
  std::optional<Error> Wait() {
    if (thread_.joinable()) thread_.join();
    return error_;
  }
  // Does not wait for the rest.
  void Stop() {
    consumer_.Interrupt();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Run() {
    for (std::uint64_t seen = 0; seen < records_;) {
      auto records = consumer_.Poll(std::chrono::seconds(10));
      if (!records || records->empty()) {
        error_ = records ? Error{error_number::kTimedOut,
                                 "no record came for 10 s, after " + std::to_string(seen), true}
                         : records.error();
        return;
      }
      const std::int64_t now = Nanoseconds(Clock::now());
      for (const Record& record : *records) Note(record, now);
      seen += records->size();
    }
  }

  void Note(const Record& record, std::int64_t now) {
    std::int64_t stamp[2];
    if (!record.value || record.value->size() < sizeof stamp) return;
    std::memcpy(stamp, record.value->data(), sizeof stamp);
    if (static_cast<std::uint64_t>(stamp[1]) >= warm_up_) received_.Record(now - stamp[0]);
  }

  Consumer consumer_;
  const std::uint64_t records_;
  const std::uint64_t warm_up_;
  Histogram& received_;
  std::optional<Error> error_;
  std::thread thread_;
};

// One record with its stamp, sent open loop (when it is due, whatever became of the others) or, one at a
// time, when the one before was acknowledged.
class Sender {
 public:
  Sender(Producer& producer, const BenchArguments& arguments, std::uint64_t warm_up, LatencyResult& result)
      : producer_(producer),
        arguments_(arguments),
        warm_up_(warm_up),
        result_(result),
        value_(std::max(arguments.size, 2 * sizeof(std::int64_t)), 'x') {}

  Result<void> Run() {
    ::prctl(PR_SET_TIMERSLACK, 1);  // the kernel's 50 µs of slack would be measured as latency
    Pace pace(arguments_.one_at_a_time ? 0 : arguments_.rate);
    for (std::uint64_t n = 0; n < arguments_.records; ++n) {
      if (!pace.WaitFor(n)) return Error{error_number::kInterrupted, "interrupted", false};
      const auto now = Clock::now();
      const auto due = arguments_.one_at_a_time ? now : pace.DueTime(n);
      if (n >= warm_up_) result_.late.Record(Nanoseconds(now) - Nanoseconds(due));
      if (auto sent = Send(n, due); !sent) return sent;
    }
    return {};
  }

 private:
  Result<void> Send(std::uint64_t n, Clock::time_point due) {
    const std::int64_t stamp[2] = {Nanoseconds(due), static_cast<std::int64_t>(n)};
    std::memcpy(value_.data(), stamp, sizeof stamp);
    Message message;
    message.value = value_;
    if (arguments_.one_at_a_time) {
      const auto receipt = producer_.SendForResult(message).get();
      if (!receipt) return receipt.error();
      if (n >= warm_up_) result_.acknowledged.Record(Nanoseconds(Clock::now()) - stamp[0]);
      return {};
    }
    return producer_.Send(message, [this, n, begin = stamp[0]](const Result<Receipt>& receipt) {
      if (receipt && n >= warm_up_) result_.acknowledged.Record(Nanoseconds(Clock::now()) - begin);
    });
  }

  Producer& producer_;
  const BenchArguments& arguments_;
  const std::uint64_t warm_up_;
  LatencyResult& result_;
  std::string value_;
};

Result<LatencyResult> Measure(const Context& context, const BenchArguments& arguments,
                              const BenchTopic& topic) {
  ProducerOptions options;
  options.batch_size_max = arguments.batch;
  options.requests_in_flight_max = arguments.in_flight;
  auto producer = AwayFromSignals(
      [&] { return Producer::Connect(context.ClientOptionsFor("bench"), topic.name(), options); });
  if (!producer) return producer.error();
  const std::uint64_t warm_up = arguments.records / kWarmUpShare;
  LatencyResult result;
  std::optional<Receiver> receiver;
  if (!arguments.one_at_a_time) {  // which is about the acknowledgement, and shares its cores with nobody
    ConsumerOptions from_end;
    from_end.start = Start::End();
    auto consumer = AwayFromSignals(
        [&] { return Consumer::Connect(context.ClientOptionsFor("bench"), topic.name(), from_end); });
    if (!consumer) return consumer.error();
    receiver.emplace(*std::move(consumer), arguments.records, warm_up, result.received);
  }
  const auto start = Clock::now();
  Sender sender(*producer, arguments, warm_up, result);  // stays until every record is answered
  auto sent = sender.Run();
  const auto closed = producer->Close(Interrupted() ? kStopWait : kCloseWait);
  if (!sent) return sent.error();
  if (!closed) return closed.error();
  result.throughput.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (receiver) {
    if (auto error = receiver->Wait()) return *error;
  }
  result.throughput.records = arguments.records;
  result.throughput.bytes = arguments.records * arguments.size;
  return result;
}

void Print(Context& context, const BenchArguments& arguments, const BenchTopic& topic,
           const LatencyResult& result, const BrokerUse& use) {
  if (context.json) {
    nlohmann::ordered_json document = {{"bench", "latency"},
                                       {"loop", arguments.one_at_a_time ? "one at a time" : "open"},
                                       {"conditions", ConditionsJson(arguments, topic)}};
    document.update(ToJson(result.throughput));
    document["acknowledged"] = ToJson(result.acknowledged);
    if (!arguments.one_at_a_time) document["received"] = ToJson(result.received);
    document["sent_late"] = ToJson(result.late);
    document["broker"] = ToJson(use);
    return context.PrintJson(document);
  }
  Table table("lrrrrrrr", LatencyHead());
  table.Add(LatencyRow("acknowledged", result.acknowledged));
  if (!arguments.one_at_a_time) {
    table.Add(LatencyRow("received", result.received));
    table.Add(LatencyRow("(sent late)", result.late));
  }
  context.output.Write(
      "rate         " + ForPeople(result.throughput) + "\n" + table.ToString() +
      ForPeople(use, result.throughput) + "syncs        " + std::to_string(use.syncs) + " for " +
      std::to_string(use.batches) + " batches\n" + Conditions(arguments, topic) +
      (arguments.one_at_a_time
           ? "loop         closed: each record is sent when the one before was acknowledged, and nobody "
             "consumes\n"
           : "loop         open: latency counts from when a record was due, so a stall counts for all it "
             "delays\n"));
}

}  // namespace

int BenchLatency(Context& context, const BenchArguments& arguments) {
  auto admin = Admin::Connect(context.ClientOptionsFor("bench"));
  if (!admin) return context.FailToConnect(admin.error());
  auto topic = BenchTopic::Prepare(*admin, arguments);
  if (!topic) return context.Fail(topic.error());
  auto before = admin->Stats();
  if (!before) return context.Fail(before.error());
  const auto result = Measure(context, arguments, *topic);
  if (!result) return context.Fail(result.error());
  auto after = admin->Stats();
  if (!after) return context.Fail(after.error());
  Print(context, arguments, *topic, *result, Difference(*before, *after));
  return kDone;
}

}  // namespace headrace::cli
