#include "broker/group/offset_store.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace::group {
namespace {

constexpr std::uint64_t kReadSize = 1 << 20;            // bytes of a replayed slice
constexpr std::size_t kDecompressedSizeMax = 64 << 20;  // our own batches are never compressed
constexpr std::int16_t kPositionKind = 1;               // of a key
constexpr std::int16_t kPositionForm = 1;               // of a value
constexpr std::size_t kKeyFixedSize = 2 + 2 + 16 + 4;
constexpr std::size_t kValueFixedSize = 2 + 8 + 4 + 8;

std::vector<std::byte> EncodeKey(std::string_view group, const TopicPartition& partition) {
  std::vector<std::byte> key(kKeyFixedSize + group.size());
  StoreBigEndian(key.data(), kPositionKind);
  StoreBigEndian(key.data() + 2, static_cast<std::uint16_t>(group.size()));
  std::memcpy(key.data() + 4, group.data(), group.size());
  std::memcpy(key.data() + 4 + group.size(), partition.topic.bytes.data(), partition.topic.bytes.size());
  StoreBigEndian(key.data() + 20 + group.size(), partition.partition);
  return key;
}

struct PositionKey {
  std::string group;
  TopicPartition partition;
};

std::optional<PositionKey> DecodeKey(ByteSpan key) {
  if (key.size() < kKeyFixedSize || LoadBigEndian<std::int16_t>(key.data()) != kPositionKind)
    return std::nullopt;
  const std::size_t size = LoadBigEndian<std::uint16_t>(key.data() + 2);
  if (key.size() != kKeyFixedSize + size) return std::nullopt;
  PositionKey decoded;
  decoded.group = AsText(key.subspan(4, size));
  std::memcpy(decoded.partition.topic.bytes.data(), key.data() + 4 + size, 16);
  decoded.partition.partition = LoadBigEndian<std::int32_t>(key.data() + 20 + size);
  return decoded;
}

std::vector<std::byte> EncodeValue(const CommittedOffset& committed) {
  std::vector<std::byte> value(kValueFixedSize + committed.metadata.size());
  StoreBigEndian(value.data(), kPositionForm);
  StoreBigEndian(value.data() + 2, committed.offset);
  StoreBigEndian(value.data() + 10, committed.leader_epoch);
  StoreBigEndian(value.data() + 14, committed.commit_time);
  std::memcpy(value.data() + kValueFixedSize, committed.metadata.data(), committed.metadata.size());
  return value;
}

std::optional<CommittedOffset> DecodeValue(ByteSpan value) {
  if (value.size() < kValueFixedSize || LoadBigEndian<std::int16_t>(value.data()) != kPositionForm) {
    return std::nullopt;
  }
  CommittedOffset committed;
  committed.offset = LoadBigEndian<std::int64_t>(value.data() + 2);
  committed.leader_epoch = LoadBigEndian<std::int32_t>(value.data() + 10);
  committed.commit_time = LoadBigEndian<std::int64_t>(value.data() + 14);
  committed.metadata = AsText(value.subspan(kValueFixedSize));
  return committed;
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

OffsetStore::OffsetStore(topic::TopicRegistry& registry, storage::Clock& clock)
    : registry_(registry), clock_(clock) {}

absl::Status OffsetStore::CheckGroup(std::string_view group) {
  if (!group.empty() && group.size() <= kGroupSizeMax) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidGroupId, absl::StrCat("a group's name of ", group.size(),
                                                            " bytes; it must have 1 to ", kGroupSizeMax));
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
  const std::optional<PositionKey> key = DecodeKey(record.key.value_or(ByteSpan()));
  if (!key) return;
  if (!record.value) return Apply(key->group, {{key->partition, std::nullopt}});
  std::optional<CommittedOffset> committed = DecodeValue(*record.value);
  if (committed) Apply(key->group, {{key->partition, std::move(committed)}});
}

void OffsetStore::Commit(const std::string& group, std::vector<OffsetCommit> commits, Done done) {
  const absl::Status checked = CheckCommit(group, commits);
  if (!checked.ok() || commits.empty()) return done(checked);
  const TimestampMs now = clock_.WallNow();
  Changes changes;
  for (OffsetCommit& commit : commits) {
    changes.emplace_back(commit.partition, CommittedOffset{commit.offset, commit.leader_epoch,
                                                           std::move(commit.metadata), now});
  }
  Append(group, std::move(changes), std::move(done));
}

void OffsetStore::Delete(const std::string& group, const std::vector<TopicPartition>& partitions, Done done) {
  if (partitions.empty()) return done(absl::OkStatus());
  Changes changes;
  for (const TopicPartition& partition : partitions) changes.emplace_back(partition, std::nullopt);
  Append(group, std::move(changes), std::move(done));
}

void OffsetStore::Append(const std::string& group, Changes changes, Done done) {
  RecordBatchBuilder builder;
  for (const auto& [partition, committed] : changes) {
    const std::vector<std::byte> key = EncodeKey(group, partition);
    const std::vector<std::byte> value = committed ? EncodeValue(*committed) : std::vector<std::byte>();
    RecordView record;
    record.timestamp = committed ? committed->commit_time : clock_.WallNow();
    record.key = key;
    if (committed) record.value = value;
    builder.Add(record);
  }
  auto batch = builder.Build();
  if (!batch.ok()) return done(batch.status());
  auto owner = std::make_shared<std::vector<std::byte>>(*std::move(batch));
  topic::AppendRequest request;
  request.bytes = *owner;
  request.owner = std::move(owner);
  request.internal = true;
  // The topic is durable, so outcomes come from the flusher's one thread, in the order of the log.
  request.done = [this, group, changes = std::move(changes),
                  done = std::move(done)](const absl::StatusOr<topic::AppendOutcome>& outcome) {
    if (outcome.ok()) {
      const core::MutexLock lock(mutex_);
      Apply(group, changes);
    }
    done(outcome.status());
  };
  partition_->Append(std::move(request));
}

void OffsetStore::Apply(const std::string& group, const Changes& changes) {
  Positions& positions = groups_[group];
  for (const auto& [partition, committed] : changes) {
    if (committed) {
      positions[partition] = *committed;
    } else {
      positions.erase(partition);
    }
  }
  if (positions.empty()) groups_.erase(group);
}

std::optional<CommittedOffset> OffsetStore::Find(const std::string& group,
                                                 const TopicPartition& partition) const {
  const core::MutexLock lock(mutex_);
  const auto positions = groups_.find(group);
  if (positions == groups_.end()) return std::nullopt;
  const auto committed = positions->second.find(partition);
  if (committed == positions->second.end()) return std::nullopt;
  return committed->second;
}

OffsetStore::Positions OffsetStore::All(const std::string& group) const {
  const core::MutexLock lock(mutex_);
  const auto positions = groups_.find(group);
  return positions == groups_.end() ? Positions() : positions->second;
}

std::vector<std::string> OffsetStore::Groups() const {
  const core::MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, positions] : groups_) names.push_back(name);
  return names;
}

}  // namespace headrace::group
