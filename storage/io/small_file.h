// Small files that are replaced whole: metadata that must never be seen half-written.
//
//    0       4        8             12              16
//   +-------+--------+-------------+---------------+--------------+
//   | magic | format | size        | CRC-32C of    | content ...  |
//   | "HRSF"|        | of content  | the content   |              |
//   +-------+--------+-------------+---------------+--------------+
#pragma once

#include <string>
#include <vector>

#include "storage/io/file.h"

namespace headrace::storage {

// Writes `<path>.new`, syncs it, renames it over `path` and syncs the directory: after a crash the file is
// the old or the new one. Blocking.
absl::Status ReplaceSmallFile(FileSystem& files, const std::string& path, std::uint32_t format,
                              ByteSpan content);

struct SmallFile {
  std::uint32_t format = 0;
  std::vector<std::byte> content;
};

// Errors: kNotFound if there is no such file; DATA_LOSS if it is damaged (short, long, wrong sum).
absl::StatusOr<SmallFile> ReadSmallFile(FileSystem& files, const std::string& path);

}  // namespace headrace::storage
