// Small files that may be lost: hints that make a start fast. Not synced; damage is as good as absence.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/io/file.h"

namespace headrace::storage {

// Writes a temporary file beside `path` and renames it. After a power loss the file may be the old one, the
// new one, or anything; ReadDisposableFile tells.
//
//    0       4             8
//   +-------+-------------+-------------
//   | "HRDF"| CRC-32C of  | content ...
//   |       | the content |
//   +-------+-------------+-------------
absl::Status WriteDisposableFile(FileSystem& files, const std::string& path, ByteSpan content);

// Makes what was written survive power loss, up to the directory's sync.
absl::Status SyncDisposableFile(FileSystem& files, const std::string& path);

// nullopt if it is missing or damaged in any way.
std::optional<std::vector<std::byte>> ReadDisposableFile(FileSystem& files, const std::string& path);

}  // namespace headrace::storage
