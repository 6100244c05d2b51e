#include "storage/start_offset.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "protocol/core/bytes.h"
#include "protocol/core/status_macros.h"
#include "storage/io/small_file.h"

namespace headrace::storage {
namespace {
constexpr std::uint32_t kFormat = 1;  // content: the offset, 8 bytes, big-endian
}  // namespace

absl::Status WriteStartOffset(FileSystem& files, const std::string& path, Offset start) {
  std::array<std::byte, sizeof(Offset)> content;
  StoreBigEndian(content.data(), start);
  return ReplaceSmallFile(files, path, kFormat, content);
}

absl::StatusOr<Offset> ReadStartOffset(FileSystem& files, const std::string& path) {
  const absl::StatusOr<SmallFile> file = ReadSmallFile(files, path);
  if (absl::IsNotFound(file.status())) return Offset{0};
  RETURN_IF_ERROR(file.status());
  if (file->format != kFormat || file->content.size() != sizeof(Offset)) {
    return absl::DataLossError(absl::StrCat(path, ": format ", file->format, " with ", file->content.size(),
                                            " bytes of content, known is format 1 with 8"));
  }
  const auto start = LoadBigEndian<Offset>(file->content.data());
  if (start < 0) return absl::DataLossError(absl::StrCat(path, ": the start offset is ", start));
  return start;
}

}  // namespace headrace::storage
