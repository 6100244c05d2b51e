#include "client/cli/consume_run.h"

#include <algorithm>
#include <utility>

namespace headrace::cli {
namespace {

constexpr std::chrono::seconds kCommitInterval{5};
constexpr std::chrono::seconds kPollWait{1};

Error WithAdvice(Error damage) {
  damage.message += "; --skip-damaged leaves it out and goes on";
  return damage;
}

}  // namespace

int ConsumeRun::Run(Consumer& consumer) {
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
  if (code != kDone || damaged_ == 0) return code;
  return context_.Fail(Error{error_number::kCorruptMessage,
                             std::to_string(damaged_) +
                                 (damaged_ == 1 ? " damaged place was" : " damaged places were") +
                                 " left out",
                             false});
}

void ConsumeRun::OnChange(Consumer& consumer, const GroupChange& change) {
  if (change.kind == GroupChange::Kind::kAssigned) {
    for (const PartitionPosition& at : consumer.positions()) {
      if (std::find(change.partitions.begin(), change.partitions.end(), at.partition) ==
          change.partitions.end()) {
        continue;
      }
      // Where it begins is kept too, unless there is no such place: nothing could ever be read from there.
      const bool exists = at.start_offset <= at.position && at.position <= at.end_at_connect;
      partitions_[at.partition] = {at.position, at.position, exists ? -1 : at.position, false};
    }
    return;
  }
  if (change.kind == GroupChange::Kind::kRevoked && !committed_) {
    Flush();
    Commit(consumer);
  }
  for (const std::uint32_t partition : change.partitions) partitions_.erase(partition);
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
    if (!records && records.error().code == error_number::kCorruptMessage) {
      if (!arguments_.skip_damaged) return context_.Fail(WithAdvice(records.error()));
      PassDamage(consumer, records.error());
      continue;
    }
    if (!records) return context_.Fail(records.error());
    if (records->ended) return kDone;
    Print(*records);
  }
  return kDone;
}

// Goes on behind the damage that one partition has stopped at. Where it ends cannot always be told: then the
// rest of that partition is left out, and the others go on.
void ConsumeRun::PassDamage(Consumer& consumer, const Error& damage) {
  ++damaged_;
  for (const PartitionPosition& at : consumer.positions()) {
    const auto skipped = consumer.Skip(at.partition, at.position);
    if (!skipped && skipped.error().code != error_number::kCorruptMessage) continue;  // not this one
    PrintNote("headrace: left out: " + damage.message);
    if (skipped) return;
    PrintNote("headrace: and all that follows in partition " + std::to_string(at.partition) +
              "; go on there with --partition and --from");
    partitions_[at.partition].finished = true;
    static_cast<void>(consumer.Seek(at.partition, std::max(at.high_watermark, at.end_at_connect)));
    return;
  }
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
