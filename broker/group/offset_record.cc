#include "broker/group/offset_record.h"

#include <cstring>

namespace headrace::group {
namespace {

constexpr std::int16_t kPositionKind = 1;  // of a key
constexpr std::int16_t kFormerKind = 2;
constexpr std::int16_t kForm = 1;  // of either value
constexpr std::size_t kTopicIdSize = sizeof(TopicId::bytes);
constexpr std::size_t kGroupAt = 4;
constexpr std::size_t kPartitionSize = kTopicIdSize + 4;
constexpr std::size_t kValueFixedSize = 2 + 8 + 4 + 8;
constexpr std::size_t kFormerEntrySize = kPartitionSize + 8 + 4;

std::vector<std::byte> GroupKey(std::int16_t kind, std::string_view group, std::size_t more) {
  std::vector<std::byte> key(kGroupAt + group.size() + more);
  StoreBigEndian(key.data(), kind);
  StoreBigEndian(key.data() + 2, static_cast<std::uint16_t>(group.size()));
  std::memcpy(key.data() + kGroupAt, group.data(), group.size());
  return key;
}

void StorePartition(std::byte* at, const TopicPartition& partition) {
  std::memcpy(at, partition.topic.bytes.data(), kTopicIdSize);
  StoreBigEndian(at + kTopicIdSize, partition.partition);
}

TopicPartition LoadPartition(const std::byte* at) {
  TopicPartition partition;
  std::memcpy(partition.topic.bytes.data(), at, kTopicIdSize);
  partition.partition = LoadBigEndian<std::int32_t>(at + kTopicIdSize);
  return partition;
}

}  // namespace

std::vector<std::byte> EncodeKey(std::string_view group, const TopicPartition& partition) {
  std::vector<std::byte> key = GroupKey(kPositionKind, group, kPartitionSize);
  StorePartition(key.data() + kGroupAt + group.size(), partition);
  return key;
}

std::vector<std::byte> EncodeFormerKey(std::string_view group) {
  return GroupKey(kFormerKind, group, 0);
}

std::optional<OffsetKey> DecodeKey(ByteSpan key) {
  if (key.size() < kGroupAt) return std::nullopt;
  const auto kind = LoadBigEndian<std::int16_t>(key.data());
  const std::size_t size = LoadBigEndian<std::uint16_t>(key.data() + 2);
  const std::size_t more = kind == kPositionKind ? kPartitionSize : 0;
  if ((kind != kPositionKind && kind != kFormerKind) || key.size() != kGroupAt + size + more) {
    return std::nullopt;
  }
  OffsetKey decoded;
  decoded.group = AsText(key.subspan(kGroupAt, size));
  if (kind == kPositionKind) decoded.partition = LoadPartition(key.data() + kGroupAt + size);
  return decoded;
}

std::vector<std::byte> EncodeValue(const CommittedOffset& committed) {
  std::vector<std::byte> value(kValueFixedSize + committed.metadata.size());
  StoreBigEndian(value.data(), kForm);
  StoreBigEndian(value.data() + 2, committed.offset);
  StoreBigEndian(value.data() + 10, committed.leader_epoch);
  StoreBigEndian(value.data() + 14, committed.commit_time);
  std::memcpy(value.data() + kValueFixedSize, committed.metadata.data(), committed.metadata.size());
  return value;
}

std::optional<CommittedOffset> DecodeValue(ByteSpan value) {
  if (value.size() < kValueFixedSize || LoadBigEndian<std::int16_t>(value.data()) != kForm) {
    return std::nullopt;
  }
  CommittedOffset committed;
  committed.offset = LoadBigEndian<std::int64_t>(value.data() + 2);
  committed.leader_epoch = LoadBigEndian<std::int32_t>(value.data() + 10);
  committed.commit_time = LoadBigEndian<std::int64_t>(value.data() + 14);
  committed.metadata = AsText(value.subspan(kValueFixedSize));
  return committed;
}

std::vector<std::byte> EncodeFormer(const Positions& positions) {
  std::vector<std::byte> value(2 + positions.size() * kFormerEntrySize);
  StoreBigEndian(value.data(), kForm);
  std::byte* at = value.data() + 2;
  for (const auto& [partition, committed] : positions) {
    StorePartition(at, partition);
    StoreBigEndian(at + kPartitionSize, committed.offset);
    StoreBigEndian(at + kPartitionSize + 8, committed.leader_epoch);
    at += kFormerEntrySize;
  }
  return value;
}

std::optional<Positions> DecodeFormer(ByteSpan value) {
  if (value.size() < 2 || LoadBigEndian<std::int16_t>(value.data()) != kForm ||
      (value.size() - 2) % kFormerEntrySize != 0) {
    return std::nullopt;
  }
  Positions positions;
  for (std::size_t at = 2; at < value.size(); at += kFormerEntrySize) {
    CommittedOffset& committed = positions[LoadPartition(value.data() + at)];
    committed.offset = LoadBigEndian<std::int64_t>(value.data() + at + kPartitionSize);
    committed.leader_epoch = LoadBigEndian<std::int32_t>(value.data() + at + kPartitionSize + 8);
  }
  return positions;
}

}  // namespace headrace::group
