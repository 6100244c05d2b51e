// How much of a log is known to be on disk and whole: where recovery begins to look.
//
// The file `checkpoint` has two slots, written in turns, so that a torn write leaves the other one:
//
//    0      4        8          16         24          32         40       48       56          64
//   +------+--------+----------+----------+-----------+----------+--------+--------+-----------+-----
//   |"HRCP"| CRC-32C| sequence | segment  | position  | end      | first  | last   | max       |
//   |      | of the | number   | base     | in it,    | offset   | append | append | timestamp |
//   |      | rest   |          | offset   | bytes     |          |        |        |           |
//   +------+--------+----------+----------+-----------+----------+--------+--------+-----------+-----
//     64       68           69        70                134
//   -+--------+------------+---------+-----------------+
//    | leader | flags: 1   | boot id | boot id, filled |
//    | epoch  | producers, | size    | with zeros      |
//    |        | 2 first    |         |                 |
//   -+--------+------------+---------+-----------------+
#pragma once

#include <optional>
#include <string>

#include "storage/io/file_cache.h"
#include "storage/time_index.h"

namespace headrace::storage {

struct Checkpoint {
  std::uint64_t sequence = 0;          // rises by one with each
  Offset segment = 0;                  // base offset of the segment it lies in
  std::uint64_t position = 0;          // bytes of it that are on disk; a batch ends there
  Offset end = 0;                      // offset after that batch
  SegmentTimes times;                  // of that segment
  LeaderEpoch epoch = kNoLeaderEpoch;  // the last that began below `end`
  bool has_producers = false;          // whether batches below `end` may have producer ids
  bool first = false;   // written with a new log's first segment: nothing of the log was synced before it
  std::string boot_id;  // of the kernel that ran when it was written; at most 64 bytes

  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// Writes it to its slot, without a sync: it is a lower bound, an older one does too. Blocking.
absl::Status WriteCheckpoint(FileCache& cache, const std::string& path, const Checkpoint& checkpoint);

// The newer of the slots that are whole; nullopt if none is, or the file is missing.
absl::StatusOr<std::optional<Checkpoint>> ReadCheckpoint(FileSystem& files, const std::string& path);

}  // namespace headrace::storage
