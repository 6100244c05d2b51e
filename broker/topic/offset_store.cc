#include "broker/topic/offset_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace::topic {
namespace {

constexpr std::uint64_t kReadSize = 1 << 20;            // bytes of a replayed slice
constexpr std::size_t kSnapshotBatchSize = 256 << 10;   // bytes of a snapshot's batch
constexpr std::size_t kOwnDecompressedSizeMax = 64 << 20;  // our own batches are never compressed
constexpr std::size_t kKeyFixedSize = 2 + 16 + 4;
constexpr std::size_t kValueFixedSize = 8 + 8;

std::vector<std::byte> EncodeKey(std::string_view consumer, const TopicPartition& partition) {
  std::vector<std::byte> key(kKeyFixedSize + consumer.size());
  StoreBigEndian(key.data(), static_cast<std::uint16_t>(consumer.size()));
  std::memcpy(key.data() + 2, consumer.data(), consumer.size());
  std::memcpy(key.data() + 2 + consumer.size(), partition.topic.bytes.data(), 16);
  StoreBigEndian(key.data() + 18 + consumer.size(), partition.partition);
  return key;
}

std::vector<std::byte> EncodeValue(const CommittedOffset& committed) {
  std::vector<std::byte> value(kValueFixedSize + committed.metadata.size());
  StoreBigEndian(value.data(), committed.offset);
  StoreBigEndian(value.data() + 8, committed.commit_time);
  std::memcpy(value.data() + kValueFixedSize, committed.metadata.data(), committed.metadata.size());
  return value;
}

void AddRecord(RecordBatchBuilder& builder, std::string_view consumer, const TopicPartition& partition,
               const CommittedOffset& committed) {
  const std::vector<std::byte> key = EncodeKey(consumer, partition);
  const std::vector<std::byte> value = EncodeValue(committed);
  RecordView record;
  record.timestamp = committed.commit_time;
  record.key = key;
  record.value = value;
  builder.Add(record);
}

// An append of our own batch; `done` gets its base offset.
AppendRequest MakeAppend(std::vector<std::byte> batch, AppendCallback done) {
  auto owner = std::make_shared<std::vector<std::byte>>(std::move(batch));
  AppendRequest request;
  request.bytes = *owner;
  request.owner = std::move(owner);
  request.done = std::move(done);
  request.internal = true;
  return request;
}

}  // namespace

OffsetStore::OffsetStore(TopicRegistry& registry, storage::FilePool& pool, storage::Clock& clock)
    : registry_(registry), pool_(pool), clock_(clock) {}

absl::Status OffsetStore::Load() {
  CreateTopicOptions options;
  options.name = kTopicName;
  options.configs = {{"durability", "durable"},
                     {"retention.ms", "-1"},
                     {"retention.bytes", "-1"},
                     {"segment.bytes", std::to_string(1 << 20)}};
  options.if_not_exists = true;
  options.internal = true;
  ASSIGN_OR_RETURN(const TopicPtr topic, registry_.Create(options));
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
    ASSIGN_OR_RETURN(RecordIterator records, RecordIterator::Open(batch, kOwnDecompressedSizeMax));
    while (records.Next()) ReplayRecord(records.record());
    RETURN_IF_ERROR(records.status());
    batches = batches.subspan(batch.size());
  }
  return absl::OkStatus();
}

void OffsetStore::ReplayRecord(const RecordView& record) {
  const ByteSpan key = record.key.value_or(ByteSpan());
  if (key.size() < kKeyFixedSize) return;
  const std::size_t size = LoadBigEndian<std::uint16_t>(key.data());
  if (key.size() != kKeyFixedSize + size) return;
  const std::string consumer(AsText(key.subspan(2, size)));
  TopicPartition partition;
  std::memcpy(partition.topic.bytes.data(), key.data() + 2 + size, 16);
  partition.partition = LoadBigEndian<std::int32_t>(key.data() + 18 + size);
  if (!record.value || record.value->size() < kValueFixedSize) {
    consumers_[consumer].erase(partition);
    return;
  }
  CommittedOffset& committed = consumers_[consumer][partition];
  committed.offset = LoadBigEndian<std::int64_t>(record.value->data());
  committed.commit_time = LoadBigEndian<std::int64_t>(record.value->data() + 8);
  committed.metadata = AsText(record.value->subspan(kValueFixedSize));
}

void OffsetStore::Commit(const std::string& consumer, std::vector<OffsetCommit> commits,
                         std::function<void(const absl::Status&)> done) {
  if (consumer.empty() || consumer.size() > kConsumerSizeMax) {
    return done(MakeError(ErrorCode::kInvalidRequest, absl::StrCat("consumer name of ", consumer.size(),
                                                                   " bytes; from 1 to ", kConsumerSizeMax)));
  }
  for (const OffsetCommit& commit : commits) {
    if (commit.metadata.size() <= kMetadataSizeMax && commit.offset >= 0) continue;
    return done(MakeError(ErrorCode::kInvalidRequest,
                          absl::StrCat("offset ", commit.offset, " with metadata of ", commit.metadata.size(),
                                       " bytes; at least 0, and at most ", kMetadataSizeMax, " bytes")));
  }
  if (commits.empty()) return done(absl::OkStatus());
  Pending pending{consumer, std::move(commits), clock_.WallNow(), std::move(done)};
  const core::MutexLock lock(mutex_);
  if (snapshot_due_) {
    held_.push_back(std::move(pending));
  } else {
    AppendCommit(std::move(pending));
  }
}

void OffsetStore::AppendCommit(Pending pending) {
  RecordBatchBuilder builder;
  for (const OffsetCommit& commit : pending.commits) {
    AddRecord(builder, pending.consumer, commit.partition,
              {commit.offset, commit.metadata, pending.time, -1});
  }
  auto batch = builder.Build();
  HEADRACE_CHECK(batch.ok());  // uncompressed: nothing in it can fail
  ++in_flight_;
  // The topic is durable, so the outcome comes from the flusher's thread; an immediate refusal must not be
  // called under our lock either, and is handed to the pool.
  auto shared = std::make_shared<Pending>(std::move(pending));
  partition_->Append(
      MakeAppend(*std::move(batch), [this, shared](const absl::StatusOr<AppendOutcome>& outcome) {
        pool_.Post([this, shared, outcome] { FinishCommit(*shared, outcome); });
      }));
}

void OffsetStore::FinishCommit(const Pending& pending, const absl::StatusOr<AppendOutcome>& outcome) {
  {
    const core::MutexLock lock(mutex_);
    --in_flight_;
    if (outcome.ok()) {
      Positions& positions = consumers_[pending.consumer];
      for (const OffsetCommit& commit : pending.commits) {
        CommittedOffset& committed = positions[commit.partition];
        if (committed.record_offset > outcome->base_offset) continue;
        committed = {commit.offset, commit.metadata, pending.time, outcome->base_offset};
      }
    }
    const std::uint64_t size = partition_->log().size();
    if (size > kLogSizeMin && size > 4 * snapshot_size_) snapshot_due_ = true;
    if (snapshot_due_ && in_flight_ == 0) {
      // On a full disk the snapshot fails and the log goes on growing by commits only: tried again later.
      static_cast<void>(AppendSnapshot());
      snapshot_due_ = false;
      for (Pending& held : std::exchange(held_, {})) AppendCommit(std::move(held));
    }
  }
  pending.done(outcome.status());
}

absl::Status OffsetStore::AppendSnapshot() {
  // Everything lands in the log from here on in this order, so the first batch's offset begins the snapshot.
  std::vector<std::vector<std::byte>> batches;
  RecordBatchBuilder builder;
  for (const auto& [consumer, positions] : consumers_) {
    for (const auto& [partition, committed] : positions) {
      if (registry_.Find(partition.topic) == nullptr)
        continue;  // the topic is gone, and its positions with it
      AddRecord(builder, consumer, partition, committed);
      if (builder.size() < kSnapshotBatchSize) continue;
      ASSIGN_OR_RETURN(batches.emplace_back(), builder.Build());
    }
  }
  if (!builder.empty()) {
    ASSIGN_OR_RETURN(batches.emplace_back(), builder.Build());
  }
  snapshot_size_ = 0;
  auto base = std::make_shared<Offset>(-1);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    snapshot_size_ += batches[i].size();
    const bool first = i == 0;
    const bool last = i + 1 == batches.size();
    partition_->Append(
        MakeAppend(std::move(batches[i]), [=, this](const absl::StatusOr<AppendOutcome>& outcome) {
          if (first && outcome.ok()) *base = outcome->base_offset;
          if (last && outcome.ok() && *base >= 0) pool_.Post([this, base] { TrimToSnapshot(*base); });
        }));
  }
  return absl::OkStatus();
}

void OffsetStore::TrimToSnapshot(Offset base_offset) {
  // A failure leaves a longer log, which says the same.
  static_cast<void>(partition_->Trim(base_offset));
}

std::optional<CommittedOffset> OffsetStore::Find(const std::string& consumer,
                                                 const TopicPartition& partition) const {
  const core::MutexLock lock(mutex_);
  const auto positions = consumers_.find(consumer);
  if (positions == consumers_.end()) return std::nullopt;
  const auto committed = positions->second.find(partition);
  if (committed == positions->second.end()) return std::nullopt;
  return committed->second;
}

std::vector<std::pair<TopicPartition, CommittedOffset>> OffsetStore::All(const std::string& consumer) const {
  const core::MutexLock lock(mutex_);
  const auto positions = consumers_.find(consumer);
  if (positions == consumers_.end()) return {};
  return {positions->second.begin(), positions->second.end()};
}

}  // namespace headrace::topic
