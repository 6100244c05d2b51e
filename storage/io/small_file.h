// Small files that are replaced whole: metadata that must never be seen half-written.
//
//    0       4        8             12              16
//   +-------+--------+-------------+---------------+--------------+
//   | magic | format | size        | CRC-32C of    | content ...  |
//   | "HRSF"|        | of content  | all the rest  |              |
//   +-------+--------+-------------+---------------+--------------+
//
// The sum covers the format number too: one flipped bit there must not pass for a newer or older format.
#pragma once

#include <string>
#include <vector>

#include "storage/io/file.h"

namespace headrace::storage {

// Writes `<path>.new`, syncs it, renames it over `path` and syncs the directory: after a crash the file is
// the old or the new one. On an error, too. Content is at most 1 GiB (INVALID_ARGUMENT). Blocking.
absl::Status ReplaceSmallFile(FileSystem& files, const std::string& path, std::uint32_t format,
                              ByteSpan content);

struct SmallFile {
  std::uint32_t format = 0;
  std::vector<std::byte> content;
};

// Errors: kNotFound if there is no such file; DATA_LOSS if it is damaged (short, long, wrong sum).
absl::StatusOr<SmallFile> ReadSmallFile(FileSystem& files, const std::string& path);

}  // namespace headrace::storage
