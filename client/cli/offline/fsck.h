// Checks a data directory that no broker is using.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/offline/batch_walk.h"
#include "protocol/core/types.h"
#include "storage/data_directory.h"
#include "storage/io/file.h"

namespace headrace::cli::offline {

struct Finding {
  std::string path;
  std::optional<std::uint64_t> position;  // bytes into the file
  std::string problem;
  std::string repair;  // what was done; empty if nothing was
};

struct FsckReport {
  std::uint64_t partitions = 0;
  std::uint64_t segments = 0;
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t findings = 0;
  std::uint64_t repaired = 0;
};

// Reads every log: that each segment's batches are sound and continue each other, that segments do, that the
// small files beside them match their sums, that all is as the last shutdown left it, and that names are
// ours. With `repair`, bytes behind the last batch of a segment are copied to quarantine/ and then cut off
// (unless the next segment shows that offsets are missing there), and files that are damaged and disposable
// (indexes, the checkpoint) are moved there; nothing is ever deleted, and a sound batch is never touched. A
// batch damaged between sound ones stays where it is: the broker tells its readers and serves what is around
// it. Owner: one thread. Takes the directory's lock for its life.
class Fsck {
 public:
  Fsck(storage::FileSystem& files, std::string directory, bool repair,
       std::function<void(const Finding&)> report)
      : files_(files), directory_(std::move(directory)), repair_(repair), on_finding_(std::move(report)) {}

  // Errors: the directory is none of ours, its lock is held, or the disk fails; findings are no errors.
  absl::StatusOr<FsckReport> Run();

 private:
  struct Segment {
    Offset base_offset = 0;
    std::string path;

    // The path of a file beside it, such as "index".
    std::string Sibling(std::string_view suffix) const;
  };
  // What the segments seen so far of one log come to.
  struct LogState {
    std::optional<Offset> next;  // the offset the next batch should have
    std::string quarantine_name;
  };

  absl::Status CheckMeta();
  absl::Status CheckSmallFiles(const std::vector<storage::DirectoryEntry>& top);
  absl::Status CheckTopic(const std::string& name);
  absl::Status CheckPartition(const std::string& directory, TopicPartition partition);
  // Checks the other files on the way.
  absl::StatusOr<std::vector<Segment>> FindSegments(const std::string& directory, const LogState& state);
  absl::Status CheckAgainst(const storage::LogSummary& known, const std::string& directory);
  absl::Status CheckSegment(const Segment& segment, const Segment* following, LogState& state);
  absl::Status CheckTear(const Segment& segment, const Stretch& tear, bool may_cut, const LogState& state);
  void CheckContinues(const Segment& segment, const Stretch& stretch, LogState& state);
  absl::Status ReportDisposable(const std::string& path, const std::string& problem, const LogState& state);
  absl::StatusOr<std::string> CutTail(const Segment& segment, const Stretch& tear, const LogState& state);
  absl::StatusOr<std::string> FreeQuarantinePath(const std::string& name);
  absl::Status WriteFile(const std::string& path, ByteSpan content);
  void Report(Finding finding);

  storage::FileSystem& files_;
  const std::string directory_;
  const bool repair_;
  std::function<void(const Finding&)> on_finding_;
  std::map<TopicPartition, storage::LogSummary> clean_;
  bool cut_ = false;
  FsckReport report_;
};

}  // namespace headrace::cli::offline
