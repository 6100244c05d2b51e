// Printing the records of a topic, and keeping the place.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/record_format.h"
#include "headrace/consumer.h"

namespace headrace::cli {

inline constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

struct ConsumeArguments {
  std::string topic;
  std::vector<std::uint32_t> partitions;
  std::string from;
  std::string until;
  std::uint64_t count = 0;  // 0: no limit
  bool follow = false;
  std::string format = "%v";
  std::optional<std::string> delimiter;
  std::string name;
  std::string group;
  std::string instance_id;
  bool no_commit = false;
  bool skip_damaged = false;
};

// Where to stop in each partition; timestamp_ms also stops at records that arrive later.
struct Limits {
  std::map<std::uint32_t, std::int64_t> offsets;
  std::int64_t timestamp_ms = kNoLimit;
};

// One run of the command. Under a name or in a group it commits what it has written, no more. Lives on
// main's thread.
class ConsumeRun {
 public:
  ConsumeRun(Context& context, const ConsumeArguments& arguments, RecordFormat format, std::string delimiter,
             Limits limits)
      : context_(context),
        arguments_(arguments),
        format_(std::move(format)),
        delimiter_(std::move(delimiter)),
        limits_(std::move(limits)) {}

  // Reads to the end, a limit or Ctrl-C. Returns the code of the exit.
  int Run(Consumer& consumer);
  // The callback of a consumer in a group.
  void OnChange(Consumer& consumer, const GroupChange& change);

 private:
  struct PartitionState {
    std::int64_t next = 0;        // offset of the next record to print
    std::int64_t written = 0;     // up to here the output has taken the records
    std::int64_t committed = -1;  // what was committed last, or where it began; -1: not known
    bool finished = false;
  };

  std::int64_t LimitOf(std::uint32_t partition) const;
  int Loop(Consumer& consumer);
  bool Finished() const;
  void PassDamage(Consumer& consumer, const Error& damage);
  void Print(const Records& records);
  void PrintRecord(const Record& record);
  bool Commits() const;
  int CommitIfDue(Consumer& consumer);
  int Commit(Consumer& consumer);
  int Finish(Consumer& consumer);
  void Flush();
  void NoteWritten();

  Context& context_;
  const ConsumeArguments& arguments_;
  RecordFormat format_;
  std::string delimiter_;
  Limits limits_;
  std::map<std::uint32_t, PartitionState> partitions_;
  std::uint64_t printed_ = 0;
  std::uint64_t damaged_ = 0;  // places that were passed over
  bool committed_ = false;     // the last commit was made, or is in vain
  std::chrono::steady_clock::time_point next_commit_;
};

}  // namespace headrace::cli
