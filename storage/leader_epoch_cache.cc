#include "storage/leader_epoch_cache.h"

#include <algorithm>

namespace headrace::storage {
namespace {
constexpr std::size_t kEntrySize = 12;  // epoch (4), start offset (8), big-endian
}  // namespace

bool LeaderEpochCache::Note(LeaderEpoch epoch, Offset offset) {
  if (!entries_.empty() && epoch <= entries_.back().epoch) return false;
  entries_.push_back({epoch, offset});
  return true;
}

std::optional<LeaderEpochCache::Entry> LeaderEpochCache::EndOf(LeaderEpoch epoch, Offset log_end) const {
  const auto after =
      std::upper_bound(entries_.begin(), entries_.end(), epoch,
                       [](LeaderEpoch value, const Entry& entry) { return value < entry.epoch; });
  if (after == entries_.begin()) return std::nullopt;
  return Entry{std::prev(after)->epoch, after == entries_.end() ? log_end : after->start};
}

void LeaderEpochCache::TrimFront(Offset start) {
  // The epoch that `start` lies in stays, from there on.
  while (entries_.size() > 1 && entries_[1].start <= start) entries_.erase(entries_.begin());
  if (!entries_.empty()) entries_.front().start = std::max(entries_.front().start, start);
}

void LeaderEpochCache::TrimBack(Offset end) {
  while (!entries_.empty() && entries_.back().start >= end) entries_.pop_back();
}

std::vector<std::byte> LeaderEpochCache::Serialize() const {
  std::vector<std::byte> bytes(entries_.size() * kEntrySize);
  std::byte* at = bytes.data();
  for (const Entry& entry : entries_) {
    StoreBigEndian(at, entry.epoch);
    StoreBigEndian(at + 4, entry.start);
    at += kEntrySize;
  }
  return bytes;
}

absl::StatusOr<LeaderEpochCache> LeaderEpochCache::Parse(ByteSpan bytes) {
  if (bytes.size() % kEntrySize != 0)
    return absl::DataLossError("leader epochs: a part of an entry is left over");
  LeaderEpochCache cache;
  for (; !bytes.empty(); bytes = bytes.subspan(kEntrySize)) {
    const Entry entry{LoadBigEndian<std::int32_t>(bytes.data()),
                      LoadBigEndian<std::int64_t>(bytes.data() + 4)};
    if (!cache.entries_.empty() &&
        (entry.epoch <= cache.entries_.back().epoch || entry.start < cache.entries_.back().start)) {
      return absl::DataLossError("leader epochs: they do not ascend");
    }
    cache.entries_.push_back(entry);
  }
  return cache;
}

}  // namespace headrace::storage
