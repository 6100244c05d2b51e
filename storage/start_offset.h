// The file that holds where a log begins. Not disposable: without it deleted messages would come back.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "protocol/core/types.h"
#include "storage/io/file.h"

namespace headrace::storage {

inline constexpr std::string_view kStartOffsetFile = "start_offset";

// On disk when it returns. Blocking.
absl::Status WriteStartOffset(FileSystem& files, const std::string& path, Offset start);

// 0 if there is none. Errors: DATA_LOSS if the file is damaged.
absl::StatusOr<Offset> ReadStartOffset(FileSystem& files, const std::string& path);

}  // namespace headrace::storage
