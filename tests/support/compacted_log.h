// A log of records with keys, for tests of compaction.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/core/record_iterator.h"
#include "storage/compaction.h"
#include "tests/support/log_builder.h"

namespace headrace::testing {

struct Keyed {
  std::optional<std::string> key;
  std::optional<std::string> value;
  friend bool operator==(const Keyed&, const Keyed&) = default;
};

// One log of a compacted topic. Single-threaded.
class CompactedLog {
 public:
  explicit CompactedLog(std::uint64_t segment_size_max);

  // One batch for each record, or one for all; acknowledged together. The first failure is kept.
  absl::Status Fill(const std::vector<Keyed>& records);
  absl::Status FillTogether(const std::vector<Keyed>& records);
  // Closes the active segment: by age, with one record more, of the key "seal".
  absl::Status Seal();
  // A whole run, as a partition makes it. Fails the process on errors; TryCompact gives them back.
  storage::CompactionResult Compact(storage::CompactionLimits limits = {});
  absl::StatusOr<storage::CompactionResult> TryCompact(storage::CompactionLimits limits = {});

  // What a reader sees, by offset; each offset once (else the process fails).
  std::map<Offset, Keyed> Records() const;
  std::map<Offset, Keyed> RecordsFrom(storage::ReadCursor cursor) const;
  std::map<Offset, TimestampMs> Timestamps() const;
  Compression CodecAt(Offset offset) const;
  bool Damaged() const { return log_.Readable().find('!') != std::string::npos; }
  std::vector<std::byte> MakeProduced(ProducerId id, std::int32_t sequence) const;

  // Of every key, the offset and value of the last acknowledged record.
  const std::map<std::string, std::pair<Offset, std::optional<std::string>>>& acknowledged() const {
    return acknowledged_;
  }
  TestLog& log() { return log_; }
  const TestLog& log() const { return log_; }

  Compression codec = Compression::kNone;

 private:
  using Visit = std::function<void(const RecordBatchView&, const RecordView&)>;
  void Read(storage::ReadCursor cursor, const Visit& visit) const;
  absl::Status Append(const std::vector<Keyed>& records);

  TestLog log_;
  std::map<std::string, std::pair<Offset, std::optional<std::string>>> acknowledged_;
};

}  // namespace headrace::testing
