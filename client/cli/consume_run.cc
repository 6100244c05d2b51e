#include "client/cli/consume_run.h"

#include <algorithm>
#include <utility>

namespace headrace::cli {
namespace {

constexpr std::chrono::seconds kCommitInterval{5};
constexpr std::chrono::seconds kPollWait{1};

}  // namespace

int ConsumeRun::Run(Consumer& consumer) {
  if (const int code = CheckPositions(consumer); code != kDone) return code;
  OnInterrupt([](void* waiting) { static_cast<Consumer*>(waiting)->Interrupt(); }, &consumer);
  for (const PartitionPosition& at : consumer.positions()) {
    partitions_[at.partition] = {at.position, at.position, at.position, LimitOf(at.partition) <= at.position};
  }
  next_commit_ = std::chrono::steady_clock::now() + kCommitInterval;
  int code = Loop(consumer);
  OnInterrupt(nullptr, nullptr);
  committed_ = code == kDone || code == kCannotConnect;
  if (code == kDone) code = Finish(consumer);
  consumer.Close();  // leaves a group; after an error OnChange commits
  return code;
}

void ConsumeRun::OnChange(Consumer& consumer, const GroupChange& change) {
  if (change.kind == GroupChange::Kind::kAssigned) {
    for (const std::uint32_t partition : change.partitions) {
      const std::int64_t position = consumer.position(partition);
      partitions_[partition] = {position, position, -1, false};
    }
    return;
  }
  if (change.kind == GroupChange::Kind::kRevoked && !committed_) {
    Flush();
    Commit(consumer);
  }
  for (const std::uint32_t partition : change.partitions) partitions_.erase(partition);
}

// A position behind the end is a mistake, not an end that was reached.
int ConsumeRun::CheckPositions(const Consumer& consumer) {
  for (const PartitionPosition& at : consumer.positions()) {
    if (at.position <= at.end_at_connect) continue;
    std::string message = "offset " + std::to_string(at.position) + " is out of range: " + arguments_.topic +
                          "-" + std::to_string(at.partition) + " holds ";
    if (at.start_offset >= 0) message += std::to_string(at.start_offset) + " to ";
    message += std::to_string(at.end_at_connect) + " (choose a partition with --partition)";
    return context_.Fail(Error{error_number::kOffsetOutOfRange, std::move(message), false});
  }
  return kDone;
}

std::int64_t ConsumeRun::LimitOf(std::uint32_t partition) const {
  const auto found = limits_.offsets.find(partition);
  return found == limits_.offsets.end() ? kNoLimit : found->second;
}

int ConsumeRun::Loop(Consumer& consumer) {
  while (!Finished()) {
    if (const int code = CommitIfDue(consumer); code != kDone) return code;
    Result<Records> records = consumer.Poll(std::chrono::milliseconds(0));
    if (records && records->empty() && !records->ended) {  // nothing at hand: print what there is, then wait
      Flush();
      records = consumer.Poll(kPollWait);
    }
    if (!records && records.error().code == error_number::kInterrupted) continue;
    if (!records && arguments_.follow && records.error().retriable) {
      PrintNote("headrace: " + records.error().message + "; trying again");
      continue;
    }
    if (!records) return context_.Fail(records.error());
    if (records->ended) return kDone;
    Print(*records);
  }
  return kDone;
}

bool ConsumeRun::Finished() const {
  if (Interrupted() || context_.output.done()) return true;
  if (arguments_.count != 0 && printed_ == arguments_.count) return true;
  return arguments_.group.empty() && std::all_of(partitions_.begin(), partitions_.end(),
                                                 [](const auto& entry) { return entry.second.finished; });
}

void ConsumeRun::Print(const Records& records) {
  if (records.empty()) return;
  PartitionState& state = partitions_[records.partition];
  const std::int64_t limit = LimitOf(records.partition);
  for (const Record& record : records) {
    if (state.finished) return;
    if (arguments_.count != 0 && printed_ == arguments_.count) return;
    if (record.offset >= limit || record.timestamp_ms >= limits_.timestamp_ms) {
      state.finished = true;
      return;
    }
    PrintRecord(record);
    ++printed_;
    state.next = record.offset + 1;
    state.finished = state.next >= limit;
    if (context_.output.done()) return;
    if (context_.output.buffer().empty()) NoteWritten();
  }
}

void ConsumeRun::PrintRecord(const Record& record) {
  std::string& out = context_.output.buffer();
  if (context_.json) {
    AppendJsonRecord(out, arguments_.topic, record);
  } else {
    format_.Append(out, arguments_.topic, record);
    out += delimiter_;
  }
  context_.output.Settle();
}

void ConsumeRun::Flush() {
  if (context_.output.Flush()) NoteWritten();
}

void ConsumeRun::NoteWritten() {
  for (auto& [partition, state] : partitions_) state.written = state.next;
}

bool ConsumeRun::Commits() const {
  return !(arguments_.name.empty() && arguments_.group.empty()) && !arguments_.no_commit;
}

int ConsumeRun::CommitIfDue(Consumer& consumer) {
  const auto now = std::chrono::steady_clock::now();
  if (!Commits() || now < next_commit_) return kDone;
  next_commit_ = now + kCommitInterval;
  Flush();
  return Commit(consumer);
}

// Commits what has left this program; nothing of what a closed pipe did not take.
int ConsumeRun::Commit(Consumer& consumer) {
  if (!Commits()) return kDone;
  for (auto& [partition, state] : partitions_) {
    if (state.written == state.committed) continue;
    if (const auto done = consumer.Commit(partition, state.written); !done) {
      // Another member has the partition by now; Poll says so.
      if (done.error().code == error_number::kUnknownMemberId) continue;
      return context_.Fail(done.error());
    }
    state.committed = state.written;
  }
  return kDone;
}

int ConsumeRun::Finish(Consumer& consumer) {
  Flush();
  return Commit(consumer);
}

}  // namespace headrace::cli
