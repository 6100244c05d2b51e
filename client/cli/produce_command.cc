// headrace produce TOPIC [FILE]: one record for each line.
#include <time.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "client/cli/command.h"
#include "client/cli/line_source.h"
#include "client/cli/pace.h"
#include "client/cli/progress.h"
#include "client/cli/record_format.h"
#include "client/cli/signal_mask.h"
#include "client/cli/text.h"
#include "client/cli/validators.h"
#include "headrace/producer.h"

namespace headrace::cli {
namespace {

// A line is held whole in memory; the topic's max.message.bytes is mostly far below this.
constexpr std::size_t kLineSizeMax = 64U << 20;
constexpr std::chrono::milliseconds kStep{250};  // of waiting, between looks at signals and failures
constexpr std::chrono::seconds kDeliveryTimeout{120};
constexpr std::chrono::seconds kCloseWait = kDeliveryTimeout + std::chrono::seconds(10);

struct ProduceArguments {
  std::string topic;
  std::string file = "-";
  std::string key_separator;
  std::optional<std::uint32_t> partition;
  bool no_ack = false;
  bool skip_bad = false;
  std::string compression = "none";
  std::vector<std::string> headers;
  double rate = 0;
};

// One run of the command. Lives on main's thread.
class ProduceRun {
 public:
  ProduceRun(Context& context, const ProduceArguments& arguments, LineSource lines, Producer producer,
             std::vector<Header> headers, std::string separator)
      : context_(context),
        arguments_(arguments),
        lines_(std::move(lines)),
        producer_(std::move(producer)),
        headers_(std::move(headers)),
        separator_(std::move(separator)),
        progress_(lines_.size()),
        pace_(arguments.rate) {}

  int Run() {
    std::optional<Error> problem = SendLines();
    if (const auto closed = Close(); !closed && !problem) problem = closed.error();
    seconds_ = progress_.seconds();
    progress_.Clear();
    if (problem) problem->message += Consequences();
    const int code = problem ? context_.Fail(*problem) : kDone;
    PrintSummary();
    return code;
  }

 private:
  // Waits for the rest to be acknowledged; a signal or a failure ends the wait.
  Result<void> Close() {
    const auto deadline = std::chrono::steady_clock::now() + kCloseWait;
    while (!Interrupted() && std::chrono::steady_clock::now() < deadline) {
      const auto flushed = producer_.Flush(kStep);
      if (flushed) break;
      if (HasFailed()) {
        static_cast<void>(producer_.Close(kStep));
        return flushed;
      }
      progress_.Update(records_, lines_.bytes_read());
    }
    return producer_.Close(kStep);
  }

  bool HasFailed() const { return producer_.stats().messages_failed > 0; }

  // Reads and sends until the input ends or something is wrong.
  std::optional<Error> SendLines() {
    while (true) {
      if (Interrupted()) return Local("interrupted");
      switch (lines_.Next()) {
        case LineSource::Found::kLine:
          if (auto error = SendLine(lines_.line())) return error;
          break;
        case LineSource::Found::kTooLong:
          if (auto error =
                  Bad("is longer than " + HumanBytes(kLineSizeMax) + ", the most that this program takes")) {
            return error;
          }
          break;
        case LineSource::Found::kEnd:
          return std::nullopt;
        case LineSource::Found::kFailed:
          return Local("reading " + Source() + " failed after line " + std::to_string(lines_.line_number()) +
                       ": " + lines_.error());
        case LineSource::Found::kInterrupted:
          break;
      }
      if (records_ % 256 != 0 && lines_.has_buffered_line()) continue;
      if (HasFailed()) return std::nullopt;  // Close tells it
      progress_.Update(records_, lines_.bytes_read());
    }
  }

  std::optional<Error> SendLine(std::string_view line) {
    Message message;
    message.value = line;
    message.headers = headers_;
    message.partition = arguments_.partition;
    if (!separator_.empty()) {
      const std::size_t at = line.find(separator_);
      if (at == std::string_view::npos) return Bad("has no key separator '" + arguments_.key_separator + "'");
      message.key = line.substr(0, at);
      message.value = line.substr(at + separator_.size());
    }
    if (!pace_.WaitFor(records_)) return Local("interrupted");
    auto sent = producer_.Send(message);
    while (!sent && sent.error().code == error_number::kBufferFull) {
      if (Interrupted()) return Local("interrupted");
      progress_.Update(records_, lines_.bytes_read());
      sent = producer_.Send(message);
    }
    if (!sent && sent.error().code == error_number::kMessageTooLarge) return Bad(sent.error().message);
    if (!sent) return sent.error();
    ++records_;
    bytes_ += line.size();
    return std::nullopt;
  }

  // A line that cannot be a record: counted with --skip-bad, the end of the run without.
  std::optional<Error> Bad(const std::string& why) {
    const std::string what = Source() + " line " + std::to_string(lines_.line_number()) + " " + why;
    if (!arguments_.skip_bad) return Local(what);
    if (skipped_++ == 0) PrintNote("headrace: skipped: " + what);
    return std::nullopt;
  }

  static Error Local(std::string message) { return {error_number::kUnknown, std::move(message), false}; }
  std::string Source() const { return arguments_.file == "-" ? "standard input" : arguments_.file; }

  // What became of the rest, for the message of an error.
  std::string Consequences() const {
    const ProducerStats stats = producer_.stats();
    std::string text = "; " + std::to_string(stats.messages_delivered) + " records were delivered";
    if (stats.messages_failed > 0) text += ", " + std::to_string(stats.messages_failed) + " were not";
    return text + ", the input was read up to line " + std::to_string(lines_.line_number());
  }

  void PrintSummary() {
    const ProducerStats stats = producer_.stats();
    const double rate = seconds_ > 0 ? static_cast<double>(records_) / seconds_ : 0;
    if (context_.json) {
      context_.PrintJson({{"topic", arguments_.topic},
                          {"records", records_},
                          {"delivered", stats.messages_delivered},
                          {"failed", stats.messages_failed},
                          {"skipped", skipped_},
                          {"bytes", bytes_},
                          {"batches", stats.batches},
                          {"batch_bytes", stats.batch_bytes},
                          {"seconds", seconds_},
                          {"records_per_second", rate}});
      return;
    }
    std::string line = std::to_string(stats.messages_delivered) + " records, " +
                       HumanBytes(static_cast<double>(bytes_)) + " in " + HumanSeconds(seconds_) + " (" +
                       HumanCount(rate) + " records/s, " +
                       HumanBytes(static_cast<double>(bytes_) / std::max(seconds_, 1e-9)) + "/s)";
    if (arguments_.no_ack) line += ", not acknowledged";
    if (skipped_ > 0) line += ", " + std::to_string(skipped_) + " bad lines skipped";
    PrintNote(line);
  }

  Context& context_;
  const ProduceArguments& arguments_;
  LineSource lines_;
  Producer producer_;
  std::vector<Header> headers_;
  std::string separator_;
  Progress progress_;
  Pace pace_;
  std::uint64_t records_ = 0;  // accepted by the producer
  std::uint64_t bytes_ = 0;    // of their lines
  std::uint64_t skipped_ = 0;
  double seconds_ = 0;
};

// Says that the broker is gone or takes nothing, since the retries take their time, and that this is over.
void NoteOutage(const std::optional<Error>& why) {
  PrintNote(why ? "headrace: " + why->message + "; trying again for " + HumanSeconds(kDeliveryTimeout.count())
                : std::string("headrace: the broker takes records again"));
}

ProducerOptions OptionsFor(const ProduceArguments& arguments, Codec codec) {
  ProducerOptions options;
  options.compression = codec;
  options.acknowledge = !arguments.no_ack;
  options.delivery_timeout = kDeliveryTimeout;
  options.buffer_wait = kStep;
  options.on_outage = NoteOutage;
  return options;
}

int Produce(Context& context, const ProduceArguments& arguments) {
  const auto codec = ParseCodec(arguments.compression);
  if (!codec) return context.FailUsage("--compression is none, gzip, snappy, lz4 or zstd");
  auto separator = Unescape(arguments.key_separator);
  if (!separator.ok())
    return context.FailUsage("--key-separator: " + std::string(separator.status().message()));
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& text : arguments.headers) {
    auto pair = ParseKeyValue(text, "--header");
    if (!pair) return context.FailUsage(pair.error().message);
    pairs.push_back(*std::move(pair));
  }
  std::vector<Header> headers;
  for (const auto& [key, value] : pairs) headers.push_back({key, value});
  auto lines = LineSource::Open(arguments.file, kLineSizeMax);
  if (!lines.ok()) return context.Fail(std::string(lines.status().message()));
  auto producer = AwayFromSignals([&] {
    return Producer::Connect(context.ClientOptionsFor("produce"), arguments.topic,
                             OptionsFor(arguments, *codec));
  });
  if (!producer) return context.FailForTopic(producer.error(), arguments.topic);
  if (arguments.partition && *arguments.partition >= producer->partition_count()) {
    return context.FailUsage("--partition " + std::to_string(*arguments.partition) + ": topic " +
                             arguments.topic + " has " + std::to_string(producer->partition_count()) +
                             " partitions, numbered from 0");
  }
  CatchSignals();
  return ProduceRun(context, arguments, *std::move(lines), *std::move(producer), std::move(headers),
                    *separator)
      .Run();
}

}  // namespace

void AddProduceCommand(CLI::App& app, Context& context) {
  CLI::App& command =
      *app.add_subcommand("produce", "Append the lines of a file, or of standard input, to a topic");
  const auto arguments = std::make_shared<ProduceArguments>();
  command.add_option("topic", arguments->topic, "The topic")->required();
  command.add_option("file", arguments->file, "The file; - or nothing for standard input");
  command.add_option("-k,--key-separator", arguments->key_separator,
                     "What parts key and value in each line, such as : or \\t; without, records have no key");
  command.add_option("-p,--partition", arguments->partition, "The partition; by key without");
  command.add_flag("--no-ack", arguments->no_ack,
                   "Do not wait until records are kept: what the broker loses goes unnoticed");
  command.add_option("-z,--compression", arguments->compression, "none, gzip, snappy, lz4 or zstd");
  command
      .add_option("-H,--header", arguments->headers, "A header for every record, key=value; may be repeated")
      ->take_all()
      ->expected(1);
  command.add_option("--rate", arguments->rate, "Records per second at most")->check(AboveZero());
  command.add_flag("--skip-bad", arguments->skip_bad,
                   "Skip and count lines that cannot be records, instead of stopping");
  command.callback([&context, arguments] {
    context.run = [&context, arguments] { return Produce(context, *arguments); };
  });
}

}  // namespace headrace::cli
