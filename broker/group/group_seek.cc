#include "broker/group/group_seek.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "broker/group/group_view.h"
#include "protocol/core/error_code.h"
#include "protocol/core/mutex.h"
#include "protocol/core/status_macros.h"

namespace headrace::group {
namespace {

using Topics = std::map<std::string, topic::TopicPtr>;

// Every topic that the group has committed, is assigned or subscribes to, if it exists.
Topics TopicsOf(const Coordinator& groups, const OffsetStore& offsets, const topic::TopicRegistry& topics,
                const std::string& group_id) {
  Topics found;
  const auto add = [&found](topic::TopicPtr each) {
    if (each != nullptr) found.emplace(each->name, std::move(each));
  };
  for (const auto& [partition, committed] : offsets.All(group_id)) add(topics.Find(partition.topic));
  if (const std::optional<GroupDescription> described = groups.Describe(group_id)) {
    for (const TopicId& id : TopicsRead(*described, topics)) add(topics.Find(id));
  }
  return found;
}

absl::StatusOr<Topics> NamedTopics(const topic::TopicRegistry& topics, const SeekRequest& request) {
  Topics found;
  for (const std::string& name : request.topics) {
    const topic::TopicPtr each = topics.Find(name);
    if (each == nullptr) return topics.UnknownTopic(name);
    found.emplace(name, each);
  }
  if (!request.partitions.empty() && found.size() != 1) {
    return MakeError(ErrorCode::kInvalidRequest, "partitions can be chosen of one topic only; name it");
  }
  for (const PartitionId partition : request.partitions) {
    RETURN_IF_ERROR(topics.FindPartition({}, request.topics.front(), partition).status());
  }
  return found;
}

absl::StatusOr<Offset> Resolve(const topic::Partition& partition, const SeekRequest& request) {
  RETURN_IF_ERROR(partition.readable_status());
  const storage::LogOffsets offsets = partition.offsets();
  switch (request.target) {
    case SeekTarget::kEarliest:
      return offsets.start;
    case SeekTarget::kOffset:
      return std::clamp<Offset>(request.value, offsets.start, offsets.high_watermark);
    case SeekTarget::kTimestamp: {
      ASSIGN_OR_RETURN(const auto hit,
                       partition.log().FindTimestamp(request.value, request.decompressed_size_max));
      return hit ? hit->offset : offsets.high_watermark;
    }
    default:
      return offsets.high_watermark;
  }
}

std::vector<SeekMove> PlanMoves(const Topics& topics, const Positions& present, const SeekRequest& request) {
  std::vector<SeekMove> moves;
  for (const auto& [name, each] : topics) {
    for (std::size_t i = 0; i < each->partitions.size(); ++i) {
      const auto number = static_cast<PartitionId>(i);
      const auto& wanted = request.partitions;
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), number) == wanted.end()) continue;
      SeekMove& move = moves.emplace_back();
      move.partition = {each->id, number};
      const auto committed = present.find(move.partition);
      if (committed != present.end()) move.previous = committed->second.offset;
      const auto offset = Resolve(*each->partitions[i], request);
      move.status = offset.status();
      if (offset.ok()) move.offset = *offset;
    }
  }
  return moves;
}

absl::StatusOr<std::vector<SeekMove>> PlanUndo(const OffsetStore& offsets, const topic::TopicRegistry& topics,
                                               const SeekRequest& request) {
  if (!request.topics.empty() || !request.partitions.empty()) {
    return MakeError(ErrorCode::kInvalidRequest, "undo takes the last seek back as a whole, not by topics");
  }
  const Positions former = offsets.Former(request.group_id);
  if (former.empty()) {
    return MakeError(ErrorCode::kGroupIdNotFound,
                     absl::StrCat("group ", request.group_id, " was never moved: nothing to undo"));
  }
  const Positions present = offsets.All(request.group_id);
  std::vector<SeekMove> moves;
  for (const auto& [partition, committed] : former) {
    SeekMove& move = moves.emplace_back();
    move.partition = partition;
    const auto now = present.find(partition);
    if (now != present.end()) move.previous = now->second.offset;
    move.offset = committed.offset;
    if (topics.Find(partition.topic) == nullptr) {
      move.status = MakeError(ErrorCode::kUnknownTopicId, "the topic has been deleted");
    }
  }
  return moves;
}

// One seek on its way to the disk.
struct Operation {
  Coordinator* groups = nullptr;
  OffsetStore* offsets = nullptr;
  std::string group_id;
  SeekOutcome outcome;
  std::function<void(const absl::StatusOr<SeekOutcome>&)> done;

  core::Mutex mutex;
  bool begun HEADRACE_GUARDED_BY(mutex) = false;
  std::optional<absl::Status> stored HEADRACE_GUARDED_BY(mutex);

  // From where it was moved in the end: members went on reading after the plan was made.
  void FillPrevious() {
    const Positions former = offsets->Former(group_id);
    for (SeekMove& move : outcome.moves) {
      const auto found = former.find(move.partition);
      if (move.status.ok() && found != former.end()) move.previous = found->second.offset;
    }
  }
  void Finish(const absl::Status& status) {
    if (status.ok()) FillPrevious();
    outcome.members_removed = groups->EndSeek(group_id, status.ok());
    if (status.ok()) return done(std::move(outcome));
    done(status);
  }
  // The store may answer at once, under the coordinator's lock: then it is Begun that finishes.
  void Stored(const absl::Status& status) HEADRACE_EXCLUDES(mutex) {
    {
      const core::MutexLock lock(mutex);
      stored = status;
      if (!begun) return;
    }
    Finish(status);
  }
  void Begun() HEADRACE_EXCLUDES(mutex) {
    std::optional<absl::Status> status;
    {
      const core::MutexLock lock(mutex);
      begun = true;
      status = stored;
    }
    if (status) Finish(*status);
  }
};

}  // namespace

absl::StatusOr<std::vector<SeekMove>> PlanSeek(const Coordinator& groups, const OffsetStore& offsets,
                                               const topic::TopicRegistry& topics,
                                               const SeekRequest& request) {
  RETURN_IF_ERROR(OffsetStore::CheckGroup(request.group_id));
  if (request.target == SeekTarget::kUndo) return PlanUndo(offsets, topics, request);
  ASSIGN_OR_RETURN(Topics chosen, NamedTopics(topics, request));
  if (chosen.empty()) chosen = TopicsOf(groups, offsets, topics, request.group_id);
  if (chosen.empty()) {
    return MakeError(ErrorCode::kGroupIdNotFound,
                     absl::StrCat("group ", request.group_id,
                                  " has committed nothing and has no member that reads a topic; to give it "
                                  "positions, name the topic"));
  }
  return PlanMoves(chosen, offsets.All(request.group_id), request);
}

void Seek(Coordinator& groups, OffsetStore& offsets, const std::string& group_id, std::vector<SeekMove> moves,
          std::function<void(const absl::StatusOr<SeekOutcome>&)> done) {
  std::vector<OffsetCommit> commits;
  for (const SeekMove& move : moves) {
    if (move.status.ok()) commits.push_back({move.partition, move.offset, kNoLeaderEpoch, ""});
  }
  if (commits.empty()) return done(SeekOutcome{std::move(moves), 0});
  const auto operation = std::make_shared<Operation>();
  operation->groups = &groups;
  operation->offsets = &offsets;
  operation->group_id = group_id;
  operation->outcome.moves = std::move(moves);
  operation->done = std::move(done);
  const bool begun = groups.BeginSeek(group_id, [&] {
    offsets.Move(group_id, std::move(commits),
                 [operation](const absl::Status& status) { operation->Stored(status); });
  });
  if (begun) return operation->Begun();
  operation->done(MakeError(ErrorCode::kRebalanceInProgress,
                            absl::StrCat("group ", group_id, " is just being moved by somebody else")));
}

}  // namespace headrace::group
