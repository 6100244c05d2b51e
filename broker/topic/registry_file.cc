// The registry's file and the opening of what it names.
#include <atomic>
#include <latch>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "broker/topic/topic_registry.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/io/small_file.h"

namespace headrace::topic {
namespace {

constexpr std::uint32_t kFormat = 1;

// One topic before its logs are open.
struct Line {
  Topic topic;
  std::uint32_t partitions = 0;
};

absl::Status Damaged(std::string_view line) {
  return absl::DataLossError(
      absl::StrCat("topic registry: this line is not a topic: \"", std::string(line), "\""));
}

absl::StatusOr<Line> ParseLine(const std::string& text, const TopicConfig& defaults) {
  std::istringstream words(text);
  Line line;
  std::string id;
  if (!(words >> line.topic.name >> id >> line.partitions)) return Damaged(text);
  const std::optional<TopicId> parsed = TopicId::Parse(id);
  if (!parsed || line.partitions == 0 || line.partitions > TopicRegistry::kPartitionsMax)
    return Damaged(text);
  line.topic.id = *parsed;
  line.topic.config = defaults;
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) return Damaged(text);
    RETURN_IF_ERROR(line.topic.config.Set(word.substr(0, equals), word.substr(equals + 1)));
  }
  return line;
}

std::string FormatLine(const Topic& topic) {
  std::string line = absl::StrCat(topic.name, " ", topic.id.ToString(), " ", topic.partitions.size());
  for (const auto& [key, value] : topic.config.own()) absl::StrAppend(&line, " ", key, "=", value);
  return line + "\n";
}

}  // namespace

absl::Status TopicRegistry::Save(const TopicMap& topics) {
  std::string text;
  for (const auto& [name, topic] : topics) text += FormatLine(*topic);
  return directory_.Replace("registry", kFormat, AsBytes(text));
}

std::shared_ptr<Partition> TopicRegistry::OpenPartition(const Topic& topic, PartitionId number, bool fresh,
                                                        storage::RecoveryReport* report) {
  const TopicPartition key{topic.id, number};
  // A fresh log has no directory yet, which is what an empty summary says.
  const std::optional<storage::LogSummary> summary =
      fresh ? std::optional<storage::LogSummary>(std::in_place) : directory_.SummaryOf(key);
  auto log = storage::Log::Open(directory_.environment(), directory_.LogPath(key), topic.config.log, summary,
                                report);
  // One that is broken keeps no other from its readers.
  if (!log.ok())
    log = storage::Log::Unreadable(directory_.environment(), directory_.LogPath(key), log.status());
  return std::make_shared<Partition>(absl::StrCat(topic.name, "-", number), *std::move(log), topic.config,
                                     services_);
}

absl::Status TopicRegistry::Load(storage::FilePool& pool, const RecoveredFunction& recovered,
                                 const std::function<bool()>& stop_asked) {
  const auto file = storage::ReadSmallFile(files_, directory_.path() + "/registry");
  std::string text;
  if (file.ok()) {
    if (file->format > kFormat) {
      return absl::FailedPreconditionError(absl::StrCat(directory_.path(), "/registry has format ",
                                                        file->format, "; this broker knows up to ", kFormat));
    }
    text = AsText(file->content);
  } else if (!absl::IsNotFound(file.status())) {
    return file.status();
  }
  std::vector<std::shared_ptr<Topic>> topics;
  std::map<TopicId, PartitionId> known;
  std::istringstream lines(text);
  for (std::string text_line; std::getline(lines, text_line);) {
    ASSIGN_OR_RETURN(Line line, ParseLine(text_line, defaults_));
    known[line.topic.id] = static_cast<PartitionId>(line.partitions);
    auto topic = std::make_shared<Topic>(std::move(line.topic));
    topic->partitions.resize(line.partitions);
    topics.push_back(std::move(topic));
  }
  RETURN_IF_ERROR(directory_.QuarantineUnknown(known));
  RETURN_IF_ERROR(OpenAll(topics, pool, recovered, stop_asked));
  TopicMap by_name;
  for (auto& topic : topics) by_name.emplace(topic->name, std::move(topic));
  Publish(std::move(by_name));
  return absl::OkStatus();
}

absl::Status TopicRegistry::OpenAll(const std::vector<std::shared_ptr<Topic>>& topics,
                                    storage::FilePool& pool, const RecoveredFunction& recovered,
                                    const std::function<bool()>& stop_asked) {
  std::ptrdiff_t count = 0;
  for (const auto& topic : topics) count += std::ssize(topic->partitions);
  std::latch left(count);
  std::atomic<bool> stopped{false};
  const auto open_one = [&](Topic& topic, std::size_t number) {
    if (stop_asked && stop_asked()) {
      stopped.store(true);
      return;
    }
    storage::RecoveryReport report;
    std::shared_ptr<Partition>& partition = topic.partitions[number];
    partition = OpenPartition(topic, static_cast<PartitionId>(number), false, &report);
    if (report.bytes_scanned > 0) recovered(partition->name(), report);
  };
  const auto open = [&](Topic& topic, std::size_t number) {
    open_one(topic, number);
    left.count_down();
  };
  for (const auto& topic : topics) {
    for (std::size_t i = 0; i < topic->partitions.size(); ++i) {
      if (directory_.was_clean()) {  // nothing is read: faster here than handed to other threads
        open(*topic, i);
      } else {
        pool.Post([&open, topic, i] { open(*topic, i); });
      }
    }
  }
  left.wait();
  return stopped.load() ? absl::CancelledError("stopped before every log was open") : absl::OkStatus();
}

ClosedLogs TopicRegistry::CloseAll(storage::FilePool& pool) {
  core::Mutex mutex;
  ClosedLogs closed;  // guarded by it
  std::latch left(static_cast<std::ptrdiff_t>(partition_count()));
  const auto close = [&](const TopicPtr& topic, std::size_t number) {
    absl::StatusOr<storage::LogSummary> summary = topic->partitions[number]->Close();
    {
      const core::MutexLock lock(mutex);
      closed.status.Update(summary.status());
      if (summary.ok()) {
        closed.summaries.emplace_back(TopicPartition{topic->id, static_cast<PartitionId>(number)},
                                      *std::move(summary));
      }
    }
    left.count_down();
  };
  for (const TopicPtr& topic : All()) {
    for (std::size_t i = 0; i < topic->partitions.size(); ++i) {
      pool.Post([&close, topic, i] { close(topic, i); });
    }
  }
  left.wait();
  return closed;
}

}  // namespace headrace::topic
