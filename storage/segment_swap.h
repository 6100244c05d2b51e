// How compacted segments take the place of others so that a crash leaves the old ones or the new one.
//
//   1. <base>.log.cleaned is written and synced
//   2. `swap` says what it replaces: a small file (storage/io/small_file.h), on disk with all names
//   3. <base>.log.cleaned is renamed over <base>.log, and the directory is synced
//   4. the indexes are written and synced, the other replaced segments removed, the directory synced
//   5. `swap` is removed
//
// Before 2 a start removes what it finds of it; from 2 on it finishes the swap.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/log.h"

namespace headrace::storage {

inline constexpr std::string_view kSwapFile = "swap";
inline constexpr std::string_view kCleanedSuffix = "log.cleaned";

// What is being replaced: the content of `swap`. Its sum and format are the small file's.
//
//    0             8            16              24             32            40              48
//   +-------------+------------+---------------+--------------+-------------+---------------+
//   | base offset | end offset | size of the   | first append | last append | max timestamp |
//   |             |            | segment, bytes|              |             |               |
//   +-------------+------------+---------------+--------------+-------------+---------------+
struct SwapRecord {
  SegmentSummary segment;
  Offset end = 0;  // the segments from its base offset to here go
};

// Errors: NOT_FOUND if there is none, DATA_LOSS if it is damaged or not understood.
absl::StatusOr<SwapRecord> ReadSwapRecord(FileSystem& files, const std::string& directory);
absl::Status WriteSwapRecord(FileSystem& files, const std::string& directory, const SwapRecord& record);
// Step 5, or taking it back before step 3. OK if there is none.
absl::Status RemoveSwapRecord(FileSystem& files, const std::string& directory);

// At a start, before anything else looks at the directory: finishes a swap that was begun, from any point. A
// `swap` that is damaged, or not understood, goes to quarantine; the segments then tell how far it came: only
// after step 3 does one of them reach into the next, which goes to quarantine too if the first has all of its
// offsets. Errors: those of the file system.
absl::Status FinishSwap(const LogEnvironment& environment, const std::string& directory);

}  // namespace headrace::storage
