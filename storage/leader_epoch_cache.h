// Which offsets were written under which leader epoch.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "protocol/core/bytes.h"
#include "protocol/core/types.h"

namespace headrace::storage {

// The start offset of every epoch in a log, ascending in both. Disposable: batch headers hold the same. A
// value; the owner serialises.
class LeaderEpochCache {
 public:
  struct Entry {
    LeaderEpoch epoch = 0;
    Offset start = 0;
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  // A batch of `epoch` stands at `offset`. True if that began a new epoch.
  bool Note(LeaderEpoch epoch, Offset offset);
  // The offset after the last record of the largest epoch that is at most `epoch`, with that epoch; nullopt
  // if there is none that low (KIP-101's OffsetForLeaderEpoch).
  std::optional<Entry> EndOf(LeaderEpoch epoch, Offset log_end) const;
  // Forgets what lies below a new start of the log, or at and above a new end.
  void TrimFront(Offset start);
  void TrimBack(Offset end);

  const std::vector<Entry>& entries() const { return entries_; }
  std::vector<std::byte> Serialize() const;
  static absl::StatusOr<LeaderEpochCache> Parse(ByteSpan bytes);

 private:
  std::vector<Entry> entries_;
};

}  // namespace headrace::storage
