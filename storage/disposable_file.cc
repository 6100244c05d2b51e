#include "storage/disposable_file.h"

#include <cstring>

#include "protocol/core/crc32c.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::string_view kMagic = "HRDF";
constexpr std::size_t kHeaderSize = 8;
constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 30;

}  // namespace

absl::Status WriteDisposableFile(FileSystem& files, const std::string& path, ByteSpan content) {
  std::byte header[kHeaderSize];
  std::memcpy(header, kMagic.data(), kMagic.size());
  StoreBigEndian(header + 4, Crc32c(content));
  const std::string fresh = path + ".new";
  {
    ASSIGN_OR_RETURN(const std::shared_ptr<File> file, files.Open(fresh, OpenMode::kCreate));
    RETURN_IF_ERROR(file->Truncate(0));
    const ByteSpan pieces[] = {header, content};
    RETURN_IF_ERROR(file->WriteAt(0, pieces));
  }
  return files.Rename(fresh, path);
}

absl::Status SyncDisposableFile(FileSystem& files, const std::string& path) {
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, files.Open(path, OpenMode::kWrite));
  return file->Sync();
}

std::optional<std::vector<std::byte>> ReadDisposableFile(FileSystem& files, const std::string& path) {
  const absl::StatusOr<std::shared_ptr<File>> file = files.Open(path, OpenMode::kRead);
  if (!file.ok()) return std::nullopt;
  const absl::StatusOr<std::uint64_t> size = (*file)->Size();
  if (!size.ok() || *size < kHeaderSize || *size > kSizeMax) return std::nullopt;
  std::vector<std::byte> bytes(*size);
  const absl::StatusOr<std::size_t> read = (*file)->ReadAt(0, bytes);
  if (!read.ok() || *read != bytes.size() || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return std::nullopt;
  }
  const ByteSpan content = ByteSpan(bytes).subspan(kHeaderSize);
  if (Crc32c(content) != LoadBigEndian<std::uint32_t>(bytes.data() + 4)) return std::nullopt;
  bytes.erase(bytes.begin(), bytes.begin() + kHeaderSize);
  return bytes;
}

}  // namespace headrace::storage
