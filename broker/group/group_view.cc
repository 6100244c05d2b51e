#include "broker/group/group_view.h"

#include "broker/group/member_bytes.h"
#include "protocol/core/record_iterator.h"

namespace headrace::group {
namespace {

constexpr std::uint64_t kReadSize = 64 << 10;  // a batch that is larger is read whole

GroupDescription OnlyOffsets(const std::string& group_id) {
  GroupDescription description;
  description.group_id = group_id;
  description.state = GroupState::kEmpty;
  return description;
}

// The first record of `batches` from `offset` on.
std::optional<TimestampMs> FirstTimestamp(ByteSpan batches, Offset offset,
                                          std::size_t decompressed_size_max) {
  while (!batches.empty()) {
    const auto batch = RecordBatchView::Parse(batches);
    if (!batch.ok()) return std::nullopt;
    auto records = RecordIterator::Open(*batch, decompressed_size_max);
    if (!records.ok()) return std::nullopt;
    while (records->Next()) {
      if (records->record().offset >= offset) return records->record().timestamp;
    }
    batches = batches.subspan(batch->size());
  }
  return std::nullopt;
}

}  // namespace

std::string_view NameOf(GroupState state) {
  switch (state) {
    case GroupState::kEmpty:
      return "Empty";
    case GroupState::kPreparingRebalance:
      return "PreparingRebalance";
    case GroupState::kCompletingRebalance:
      return "CompletingRebalance";
    case GroupState::kStable:
      return "Stable";
    case GroupState::kDead:
      return "Dead";
    case GroupState::kAssigning:
      return "Assigning";
    case GroupState::kReconciling:
      return "Reconciling";
  }
  return "Unknown";
}

std::string_view NameOf(GroupType type) {
  return type == GroupType::kClassic ? "classic" : "consumer";
}

std::optional<GroupDescription> DescribeAny(const Coordinator& groups, const OffsetStore& offsets,
                                            const std::string& group_id) {
  std::optional<GroupDescription> found = groups.Describe(group_id);
  if (!found && offsets.Has(group_id)) found = OnlyOffsets(group_id);
  return found;
}

std::vector<GroupDescription> ListAll(const Coordinator& groups, const OffsetStore& offsets) {
  std::vector<GroupDescription> all = groups.List();
  std::set<std::string> known;
  for (const GroupDescription& found : all) known.insert(found.group_id);
  for (const std::string& name : offsets.Groups()) {
    if (!known.contains(name)) all.push_back(OnlyOffsets(name));
  }
  return all;
}

std::set<TopicId> TopicsRead(const GroupDescription& group, const topic::TopicRegistry& topics) {
  std::set<TopicId> read;
  const auto add = [&](const std::string& name) {
    if (const topic::TopicPtr found = topics.Find(name)) read.insert(found->id);
  };
  for (const MemberDescription& member : group.members) {
    read.insert(member.subscribed.begin(), member.subscribed.end());
    for (const TopicPartition& each : member.assigned) read.insert(each.topic);
    if (group.type != GroupType::kClassic) continue;
    for (const std::string& name : DecodeSubscription(member.metadata)) add(name);
    for (const auto& [name, partitions] : DecodeAssignment(member.assignment)) add(name);
  }
  return read;
}

std::optional<TimestampMs> TimestampAt(const topic::Partition& partition, Offset offset,
                                       std::size_t decompressed_size_max) {
  storage::ReadCursor cursor;
  cursor.offset = std::max(offset, partition.offsets().start);
  std::vector<std::byte> buffer;
  while (true) {  // compaction leaves batches without records
    const auto slice = partition.Read(cursor, kReadSize);
    if (!slice.ok() || slice->length == 0) return std::nullopt;
    buffer.resize(slice->length);
    const auto size = slice->file->ReadAt(slice->position, buffer);
    if (!size.ok()) return std::nullopt;
    const auto found = FirstTimestamp(ByteSpan(buffer).first(*size), offset, decompressed_size_max);
    if (found) return found;
  }
}

}  // namespace headrace::group
