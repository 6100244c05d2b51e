// headrace bench transfer: what the ways of moving a file to a socket cost on this machine.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "client/cli/offline/offline_commands.h"
#include "client/cli/offline/transfer_loops.h"
#include "client/cli/signal_mask.h"
#include "client/cli/text.h"
#include "client/cli/validators.h"
#include "protocol/core/status_macros.h"

namespace headrace::cli::offline {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kMib = 1U << 20;
constexpr double kGib = 1U << 30;

struct TransferArguments {
  std::uint64_t size = 256U << 20;
  std::size_t chunk = 256U << 10;
  std::uint32_t runs = 7;
  std::string directory;
};

// One transfer, or the medians of many.
struct Sample {
  double throughput = 0;   // bytes per second, until the receiver had all
  double cpu_per_gib = 0;  // of the sender, in seconds
  double transitions_per_mib = 0;
  double faults_per_mib = 0;
  double through_user = 0;  // share of the bytes
};

// What textbooks say of one buffer's way from the disk to the network card.
struct Textbook {
  const char* transitions;
  const char* cpu_copies;
  const char* dma_copies;
};

struct Row {
  Way way;
  Textbook textbook;
  std::map<Taking, std::vector<Sample>> samples;
};

std::vector<Row> Rows() {
  return {{Way::kReadWrite, {"4", "2", "2"}, {}},
          {Way::kMmapWrite, {"4", "1", "2"}, {}},
          {Way::kSendfile, {"2", "1", "2"}, {}}};
}
constexpr Textbook kScatterGather = {"2", "0", "2"};

const std::array<const char*, 5> kNotes = {
    "Counted and measured: transitions (two per system call), bytes through user space, throughput, CPU.",
    "Textbook: transitions and copies per buffer, as sendfile(2), mmap(2) and the kernel's "
    "Documentation/networking/netdev-features.rst (NETIF_F_SG) describe them; copies are not measured.",
    "Loopback never reaches a network card: no DMA to a card, no checksum or segmentation by a card. The "
    "receiver's "
    "work runs on this machine too, and partly in the sender's own system calls.",
    "So loopback hides most of what sendfile saves, and shows it best against the discarding receiver: there "
    "the "
    "sender's pages are never copied, while mmap and read still copy them into the socket.",
    "A write from a mapping takes its page faults inside the kernel: they are no transitions, and are shown "
    "apart."};

template <typename Get>
double Median(const std::vector<Sample>& samples, Get get) {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(get(sample));
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Sample MedianOf(const std::vector<Sample>& samples) {
  return {Median(samples, [](const Sample& s) { return s.throughput; }),
          Median(samples, [](const Sample& s) { return s.cpu_per_gib; }),
          Median(samples, [](const Sample& s) { return s.transitions_per_mib; }),
          Median(samples, [](const Sample& s) { return s.faults_per_mib; }),
          Median(samples, [](const Sample& s) { return s.through_user; })};
}

absl::StatusOr<Sample> RunOnce(Way way, Taking taking, int file, const TransferArguments& arguments) {
  ASSIGN_OR_RETURN(SocketPair sockets, ConnectLoopback());
  std::uint64_t received = 0;
  std::thread receiver;
  {
    const SignalMask mask;
    receiver = std::thread([&] { received = ReceiveAll(sockets.receiver.get(), taking); });
  }
  const auto start = std::chrono::steady_clock::now();
  const auto cost = SendFile(way, file, sockets.sender.get(), arguments.size, arguments.chunk);
  sockets.sender.Reset();  // the receiver sees the end
  receiver.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!cost.ok()) return cost.status();
  if (received != arguments.size) {
    return absl::InternalError("sent " + std::to_string(arguments.size) + " bytes by " +
                               std::string(NameOf(way)) + ", and " + std::to_string(received) + " arrived");
  }
  const auto bytes = static_cast<double>(arguments.size);
  return Sample{bytes / seconds, cost->cpu_seconds * kGib / bytes,
                2 * static_cast<double>(cost->system_calls) * kMib / bytes,
                static_cast<double>(cost->page_faults) * kMib / bytes,
                static_cast<double>(cost->bytes_through_user) / bytes};
}

absl::StatusOr<Descriptor> MakeFile(const TransferArguments& arguments) {
  ASSIGN_OR_RETURN(Descriptor file, CreateTemporaryFile(arguments.directory.c_str()));
  std::vector<std::byte> piece(1U << 20);
  for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = static_cast<std::byte>(i * 2654435761U >> 11);
  for (std::uint64_t at = 0; at < arguments.size; at += piece.size()) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), arguments.size - at));
    RETURN_IF_ERROR(WriteAll(file.get(), ByteSpan(piece).first(size)));
  }
  RETURN_IF_ERROR(Warm(file.get(), arguments.size));
  return file;
}

// Every run takes each way against each receiver once, beginning with another one each time, so that what
// else the machine does meanwhile falls on all alike.
absl::Status Measure(const TransferArguments& arguments, std::vector<Row>& rows) {
  ASSIGN_OR_RETURN(const Descriptor file, MakeFile(arguments));
  for (std::uint32_t run = 0; run <= arguments.runs; ++run) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Row& row = rows[(run + i) % rows.size()];
      for (const Taking taking : {Taking::kCopying, Taking::kDiscarding}) {
        if (Interrupted()) return absl::CancelledError("interrupted");
        ASSIGN_OR_RETURN(const Sample sample, RunOnce(row.way, taking, file.get(), arguments));
        if (run > 0) row.samples[taking].push_back(sample);  // run 0 warms up
      }
    }
  }
  return absl::OkStatus();
}

std::string Percent(double share) {
  return Fixed(share * 100, 0) + " %";
}

void PrintTable(Context& context, const TransferArguments& arguments, const std::vector<Row>& rows) {
  Table table("lrrrrrrrrrr", {"", "TRANSITIONS", "PER MiB", "CPU COPIES", "DMA COPIES", "THROUGH USER",
                              "FAULTS", "COPYING RECEIVER", "CPU", "DISCARDING RECEIVER", "CPU"});
  table.Add({"", "(textbook)", "(counted)", "(textbook)", "(textbook)", "(counted)", "(per MiB)",
             "(measured)", "(s per GiB)", "(measured)", "(s per GiB)"});
  for (const Row& row : rows) {
    const Sample copying = MedianOf(row.samples.at(Taking::kCopying));
    const Sample discarding = MedianOf(row.samples.at(Taking::kDiscarding));
    table.Add({std::string(NameOf(row.way)), row.textbook.transitions, Fixed(copying.transitions_per_mib, 1),
               row.textbook.cpu_copies, row.textbook.dma_copies, Percent(copying.through_user),
               Fixed(copying.faults_per_mib, 1), HumanBytes(copying.throughput) + "/s",
               Fixed(copying.cpu_per_gib, 3), HumanBytes(discarding.throughput) + "/s",
               Fixed(discarding.cpu_per_gib, 3)});
  }
  table.Add({"sendfile, scatter-gather card", kScatterGather.transitions, "-", kScatterGather.cpu_copies,
             kScatterGather.dma_copies, "-", "-", "not measurable", "-", "on loopback", "-"});
  std::string text = table.ToString() + "\nmedians of " + std::to_string(arguments.runs) +
                     " alternated runs of " + HumanBytes(static_cast<double>(arguments.size)) +
                     " in calls of " + HumanBytes(static_cast<double>(arguments.chunk)) +
                     ", file in the page cache, " + std::to_string(std::thread::hardware_concurrency()) +
                     " cores\n";
  for (const char* note : kNotes) text.append("- ").append(note).append("\n");
  context.output.Write(text);
}

Json ToJson(const Sample& sample) {
  return {{"bytes_per_second", sample.throughput},
          {"sender_cpu_seconds_per_gib", sample.cpu_per_gib},
          {"transitions_per_mib", sample.transitions_per_mib},
          {"page_faults_per_mib", sample.faults_per_mib},
          {"share_through_user", sample.through_user}};
}

Json ToJson(const Textbook& textbook) {
  return {{"transitions", std::atoi(textbook.transitions)},
          {"cpu_copies", std::atoi(textbook.cpu_copies)},
          {"dma_copies", std::atoi(textbook.dma_copies)}};
}

void PrintDocument(Context& context, const TransferArguments& arguments, const std::vector<Row>& rows) {
  Json document = {{"bench", "transfer"},
                   {"size", arguments.size},
                   {"chunk", arguments.chunk},
                   {"runs", arguments.runs},
                   {"cores", std::thread::hardware_concurrency()}};
  Json& list = document["ways"] = Json::array();
  for (const Row& row : rows) {
    list.push_back({{"way", NameOf(row.way)},
                    {"textbook", ToJson(row.textbook)},
                    {"copying_receiver", ToJson(MedianOf(row.samples.at(Taking::kCopying)))},
                    {"discarding_receiver", ToJson(MedianOf(row.samples.at(Taking::kDiscarding)))}});
  }
  list.push_back({{"way", "sendfile with a scatter-gather network card"},
                  {"textbook", ToJson(kScatterGather)},
                  {"measurable", false}});
  document["notes"] = kNotes;
  context.PrintJson(document);
}

int BenchTransfer(Context& context, TransferArguments arguments) {
  if (arguments.chunk % 4096 != 0) return context.FailUsage("--chunk must be a multiple of 4096, for mmap");
  if (arguments.directory.empty()) {
    const char* const temporary = std::getenv("TMPDIR");
    arguments.directory = temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
  }
  std::vector<Row> rows = Rows();
  if (const absl::Status status = Measure(arguments, rows); !status.ok()) {
    return context.Fail(std::string(status.message()));
  }
  if (context.json)
    PrintDocument(context, arguments, rows);
  else
    PrintTable(context, arguments, rows);
  return kDone;
}

}  // namespace

void AddBenchTransferCommand(CLI::App& bench, Context& context) {
  CLI::App& command = *bench.add_subcommand(
      "transfer", "Compare sendfile, mmap + write and read + write on this machine; no broker needed");
  const auto arguments = std::make_shared<TransferArguments>();
  command.add_option("--size", arguments->size, "Bytes per run")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--chunk", arguments->chunk, "Bytes per call")
      ->transform(CLI::AsSizeValue(false))
      ->check(AboveZero())
      ->capture_default_str();
  command.add_option("--runs", arguments->runs, "How many; medians are shown")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--directory", arguments->directory, "For the test file; TMPDIR or /tmp without");
  command.callback([&context, arguments] {
    context.run = [&context, arguments] { return BenchTransfer(context, *arguments); };
  });
}

}  // namespace headrace::cli::offline
