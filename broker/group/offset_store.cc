#include "broker/group/offset_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace::group {
namespace {

constexpr std::uint64_t kReadSize = 1 << 20;            // bytes of a replayed slice
constexpr std::size_t kGroupSize = 512;                 // bytes of a group in memory, besides its positions
constexpr std::size_t kPositionSize = 160;              // of a position, besides its metadata
constexpr std::size_t kDecompressedSizeMax = 64 << 20;  // our own batches are never compressed

std::size_t SizeOf(const CommittedOffset& committed) {
  return kPositionSize + committed.metadata.size();
}

absl::Status CheckCommit(const std::string& group, const std::vector<OffsetCommit>& commits) {
  RETURN_IF_ERROR(OffsetStore::CheckGroup(group));
  for (const OffsetCommit& commit : commits) {
    if (commit.metadata.size() <= OffsetStore::kMetadataSizeMax) continue;
    return MakeError(ErrorCode::kOffsetMetadataTooLarge,
                     absl::StrCat("metadata of ", commit.metadata.size(), " bytes; the limit is ",
                                  OffsetStore::kMetadataSizeMax));
  }
  return absl::OkStatus();
}

}  // namespace

OffsetStore::OffsetStore(topic::TopicRegistry& registry, storage::Clock& clock, std::size_t memory_max)
    : registry_(registry), clock_(clock), memory_max_(memory_max) {}

absl::Status OffsetStore::CheckGroup(std::string_view group) {
  if (!group.empty() && group.size() <= kGroupIdSizeMax) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidGroupId, absl::StrCat("a group's name of ", group.size(),
                                                            " bytes; it must have 1 to ", kGroupIdSizeMax));
}

absl::Status OffsetStore::Load() {
  topic::CreateTopicOptions options;
  options.name = kTopicName;
  options.configs = {
      {"durability", "durable"}, {"cleanup.policy", "compact"}, {"segment.bytes", std::to_string(1 << 20)}};
  options.if_not_exists = true;
  options.internal = true;
  ASSIGN_OR_RETURN(const topic::TopicPtr topic, registry_.Create(options));
  partition_ = topic->partitions.front();
  RETURN_IF_ERROR(ReplayAll());
  ForgetDeletedTopics();
  return absl::OkStatus();
}

absl::Status OffsetStore::ReplayAll() {
  const core::MutexLock lock(mutex_);
  storage::ReadCursor cursor;
  cursor.offset = partition_->offsets().start;
  std::vector<std::byte> buffer;
  while (true) {
    ASSIGN_OR_RETURN(const storage::FileSlice slice, partition_->Read(cursor, kReadSize));
    if (slice.length == 0) return absl::OkStatus();
    buffer.resize(slice.length);
    ASSIGN_OR_RETURN(const std::size_t size, slice.file->ReadAt(slice.position, buffer));
    RETURN_IF_ERROR(Replay(ByteSpan(buffer).first(size)));
  }
}

absl::Status OffsetStore::Replay(ByteSpan batches) {
  while (!batches.empty()) {
    ASSIGN_OR_RETURN(const RecordBatchView batch, RecordBatchView::Parse(batches));
    RETURN_IF_ERROR(batch.CheckCrc());
    ASSIGN_OR_RETURN(RecordIterator records, RecordIterator::Open(batch, kDecompressedSizeMax));
    while (records.Next()) ReplayRecord(records.record());
    RETURN_IF_ERROR(records.status());
    batches = batches.subspan(batch.size());
  }
  return absl::OkStatus();
}

void OffsetStore::ReplayRecord(const RecordView& record) {
  const std::optional<OffsetKey> key = DecodeKey(record.key.value_or(ByteSpan()));
  if (!key) return;
  Changes changes;
  if (key->partition) {
    const auto committed = record.value ? DecodeValue(*record.value) : std::nullopt;
    if (record.value && !committed) return;
    changes.positions.emplace_back(*key->partition, committed);
  } else {
    changes.former = record.value ? DecodeFormer(*record.value) : Positions();
    if (!changes.former) return;
  }
  Apply(key->group, changes);
}

void OffsetStore::Commit(const std::string& group, std::vector<OffsetCommit> commits, Done done) {
  const absl::Status checked = CheckCommit(group, commits);
  if (!checked.ok() || commits.empty()) return done(checked);
  Append(group, {ToChanges(std::move(commits)), std::nullopt}, std::move(done));
}

void OffsetStore::Delete(const std::string& group, const std::vector<TopicPartition>& partitions, Done done) {
  if (partitions.empty()) return done(absl::OkStatus());
  Changes changes;
  Positions left = All(group);
  for (const TopicPartition& partition : partitions) {
    changes.positions.emplace_back(partition, std::nullopt);
    left.erase(partition);
  }
  if (left.empty() && !Former(group).empty()) changes.former.emplace();
  Append(group, std::move(changes), std::move(done));
}

void OffsetStore::ForgetDeletedTopics() {
  std::map<std::string, std::vector<TopicPartition>> lost;
  {
    const core::MutexLock lock(mutex_);
    for (const auto& [group, state] : groups_) {
      for (const auto& [partition, committed] : state.positions) {
        if (registry_.Find(partition.topic) == nullptr) lost[group].push_back(partition);
      }
    }
  }
  for (const auto& [group, partitions] : lost) Delete(group, partitions, [](const absl::Status&) {});
}

void OffsetStore::ForgetDeleted(const std::string& group, const Changes& changes) {
  std::vector<TopicPartition> lost;
  for (const auto& [partition, committed] : changes.positions) {
    if (committed && registry_.Find(partition.topic) == nullptr) lost.push_back(partition);
  }
  Delete(group, lost, [](const absl::Status&) {});
}

void OffsetStore::Forget(const std::string& group, Done done) {
  WhenSettled(group, [this, group, done = std::move(done)] { ForgetNow(group, done); });
}

void OffsetStore::ForgetNow(const std::string& group, Done done) {
  Changes changes;
  for (const auto& [partition, committed] : All(group))
    changes.positions.emplace_back(partition, std::nullopt);
  if (!Former(group).empty()) changes.former.emplace();
  if (changes.positions.empty() && !changes.former) return done(absl::OkStatus());
  Append(group, std::move(changes), std::move(done));
}

void OffsetStore::Move(const std::string& group, std::vector<OffsetCommit> commits, Done done) {
  const absl::Status checked = CheckCommit(group, commits);
  if (!checked.ok() || commits.empty()) return done(checked);
  WhenSettled(group, [this, group, commits = std::move(commits), done = std::move(done)] {
    MoveNow(group, commits, done);
  });
}

void OffsetStore::MoveNow(const std::string& group, std::vector<OffsetCommit> commits, Done done) {
  const Positions present = All(group);
  Changes changes;
  changes.former.emplace();
  for (const OffsetCommit& commit : commits) {
    CommittedOffset& former = (*changes.former)[commit.partition];
    const auto found = present.find(commit.partition);
    if (found == present.end()) continue;
    former.offset = found->second.offset;  // what the record keeps, and no more
    former.leader_epoch = found->second.leader_epoch;
  }
  changes.positions = ToChanges(std::move(commits));
  for (auto& [partition, committed] : changes.positions) {
    if (committed->offset < 0) committed.reset();
  }
  Append(group, std::move(changes), std::move(done));
}

std::vector<OffsetStore::Change> OffsetStore::ToChanges(std::vector<OffsetCommit> commits) const {
  const TimestampMs now = clock_.WallNow();
  std::vector<Change> changes;
  for (OffsetCommit& commit : commits) {
    changes.emplace_back(commit.partition, CommittedOffset{commit.offset, commit.leader_epoch,
                                                           std::move(commit.metadata), now});
  }
  return changes;
}

absl::StatusOr<std::vector<std::byte>> OffsetStore::BuildBatch(const std::string& group,
                                                               const Changes& changes) const {
  const TimestampMs now = clock_.WallNow();
  RecordBatchBuilder builder;
  const auto add = [&](const std::vector<std::byte>& key, const std::vector<std::byte>& value) {
    RecordView record;
    record.timestamp = now;
    record.key = key;
    if (!value.empty()) record.value = value;
    builder.Add(record);
  };
  for (const auto& [partition, committed] : changes.positions) {
    add(EncodeKey(group, partition), committed ? EncodeValue(*committed) : std::vector<std::byte>());
  }
  if (changes.former) {
    add(EncodeFormerKey(group),
        changes.former->empty() ? std::vector<std::byte>() : EncodeFormer(*changes.former));
  }
  return builder.Build();
}

void OffsetStore::Append(const std::string& group, Changes changes, Done done) {
  auto batch = BuildBatch(group, changes);
  if (!batch.ok()) return done(batch.status());
  auto owner = std::make_shared<std::vector<std::byte>>(*std::move(batch));
  topic::AppendRequest request;
  request.bytes = *owner;
  request.owner = std::move(owner);
  request.internal = true;
  const absl::StatusOr<std::size_t> reserved = Reserve(group, changes);
  if (!reserved.ok()) return done(reserved.status());
  // The topic is durable, so outcomes come from the flusher's one thread, in the order of the log.
  request.done = [this, group, growth = *reserved, changes = std::move(changes),
                  done = std::move(done)](const absl::StatusOr<topic::AppendOutcome>& outcome) {
    {
      const core::MutexLock lock(mutex_);
      memory_ -= growth;
      if (outcome.ok()) Apply(group, changes);
    }
    if (outcome.ok()) ForgetDeleted(group, changes);
    Settle(group);
    done(outcome.status());  // last: whoever hears of it may destroy the store
  };
  partition_->Append(std::move(request));
}

void OffsetStore::WhenSettled(const std::string& group, std::function<void()> next) {
  {
    const core::MutexLock lock(mutex_);
    const auto found = pending_.find(group);
    if (found != pending_.end()) {
      found->second.waiting.push_back(std::move(next));
      return;
    }
  }
  next();
}

void OffsetStore::Settle(const std::string& group) {
  std::vector<std::function<void()>> settled;
  {
    const core::MutexLock lock(mutex_);
    const auto found = pending_.find(group);
    if (--found->second.appends > 0) return;
    settled = std::move(found->second.waiting);
    pending_.erase(found);
  }
  for (const auto& next : settled) next();
}

std::size_t OffsetStore::GrowthBy(const std::string& group, const Changes& changes) const {
  const auto state = groups_.find(group);
  const bool known = state != groups_.end();
  std::size_t held = 0;
  std::size_t wanted = 0;
  for (const auto& [partition, committed] : changes.positions) {
    if (!committed) continue;
    wanted += SizeOf(*committed);
    if (!known) continue;
    const auto present = state->second.positions.find(partition);
    if (present != state->second.positions.end()) held += SizeOf(present->second);
  }
  if (changes.former) {
    wanted += kPositionSize * changes.former->size();
    held += known ? kPositionSize * state->second.former.size() : 0;
  }
  if (wanted > 0 && !known) wanted += kGroupSize + group.size();
  return wanted > held ? wanted - held : 0;
}

absl::StatusOr<std::size_t> OffsetStore::Reserve(const std::string& group, const Changes& changes) {
  const core::MutexLock lock(mutex_);
  const std::size_t growth = GrowthBy(group, changes);
  if (growth > 0 && memory_ + growth > memory_max_) {
    return MakeError(
        ErrorCode::kInvalidCommitOffsetSize,
        absl::StrCat("the positions of all groups hold ", memory_, " bytes, and this commit of group ", group,
                     " adds ", growth, "; the limit is ", memory_max_,
                     ": delete groups that are not used any more, or commit less metadata"));
  }
  memory_ += growth;
  ++pending_[group].appends;
  return growth;
}

void OffsetStore::Apply(const std::string& group, const Changes& changes) {
  State& state = groups_.try_emplace(group, memory_).first->second;
  std::size_t size = std::max(state.memory.size(), kGroupSize + group.size());
  for (const auto& [partition, committed] : changes.positions) {
    const auto present = state.positions.find(partition);
    if (present != state.positions.end()) {
      size -= SizeOf(present->second);
      state.positions.erase(present);
    }
    if (!committed) continue;
    size += SizeOf(*committed);
    state.positions.emplace(partition, *committed);
  }
  if (changes.former) {
    size += kPositionSize * changes.former->size();
    size -= kPositionSize * state.former.size();
    state.former = *changes.former;
  }
  state.memory.Set(size);
  if (state.positions.empty() && state.former.empty()) groups_.erase(group);
}

std::optional<CommittedOffset> OffsetStore::Find(const std::string& group,
                                                 const TopicPartition& partition) const {
  const core::MutexLock lock(mutex_);
  const auto state = groups_.find(group);
  if (state == groups_.end()) return std::nullopt;
  const auto committed = state->second.positions.find(partition);
  if (committed == state->second.positions.end()) return std::nullopt;
  return committed->second;
}

Positions OffsetStore::All(const std::string& group) const {
  const core::MutexLock lock(mutex_);
  const auto state = groups_.find(group);
  return state == groups_.end() ? Positions() : state->second.positions;
}

Positions OffsetStore::Former(const std::string& group) const {
  const core::MutexLock lock(mutex_);
  const auto state = groups_.find(group);
  return state == groups_.end() ? Positions() : state->second.former;
}

bool OffsetStore::Has(const std::string& group) const {
  const core::MutexLock lock(mutex_);
  return groups_.contains(group);
}

std::vector<std::string> OffsetStore::Groups() const {
  const core::MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, state] : groups_) names.push_back(name);
  return names;
}

}  // namespace headrace::group
