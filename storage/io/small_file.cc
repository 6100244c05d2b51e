#include "storage/io/small_file.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "protocol/core/crc32c.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::size_t kHeaderSize = 16;
constexpr std::string_view kMagic = "HRSF";
constexpr std::uint64_t kContentMax = std::uint64_t{1} << 30;  // bytes

// Of everything but the sum itself.
std::uint32_t SumOf(ByteSpan header, ByteSpan content) {
  return Crc32c(content, Crc32c(header.first(12)));
}

absl::Status Damaged(const std::string& path, std::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": ", std::string(what)));
}

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

absl::Status ReplaceSmallFile(FileSystem& files, const std::string& path, std::uint32_t format,
                              ByteSpan content) {
  if (content.size() > kContentMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", content.size(), " bytes of content, the limit is ", kContentMax));
  }
  std::byte header[kHeaderSize];
  std::memcpy(header, kMagic.data(), kMagic.size());
  StoreBigEndian(header + 4, format);
  StoreBigEndian(header + 8, static_cast<std::uint32_t>(content.size()));
  StoreBigEndian(header + 12, SumOf(header, content));
  const std::string fresh = path + ".new";
  {
    ASSIGN_OR_RETURN(const std::shared_ptr<File> file, files.Open(fresh, OpenMode::kCreate));
    RETURN_IF_ERROR(file->Truncate(0));
    const ByteSpan pieces[] = {header, content};
    RETURN_IF_ERROR(file->WriteAt(0, pieces));
    RETURN_IF_ERROR(file->Sync());
  }
  RETURN_IF_ERROR(files.Rename(fresh, path));
  return files.SyncDirectory(ParentOf(path));
}

absl::StatusOr<SmallFile> ReadSmallFile(FileSystem& files, const std::string& path) {
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, files.Open(path, OpenMode::kRead));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  std::byte header[kHeaderSize];
  ASSIGN_OR_RETURN(const std::size_t header_size, file->ReadAt(0, header));
  if (header_size < kHeaderSize) return Damaged(path, absl::StrCat("it has ", size, " bytes, its header 16"));
  if (std::memcmp(header, kMagic.data(), kMagic.size()) != 0)
    return Damaged(path, "it does not begin with \"HRSF\"");
  SmallFile small;
  small.format = LoadBigEndian<std::uint32_t>(header + 4);
  const std::uint64_t stated = LoadBigEndian<std::uint32_t>(header + 8);
  if (stated != size - kHeaderSize || stated > kContentMax) {
    return Damaged(path,
                   absl::StrCat("it states ", stated, " bytes of content and has ", size - kHeaderSize));
  }
  small.content.resize(stated);
  ASSIGN_OR_RETURN(const std::size_t read, file->ReadAt(kHeaderSize, small.content));
  if (read != stated) return Damaged(path, "it became shorter while it was read");
  if (SumOf(header, small.content) != LoadBigEndian<std::uint32_t>(header + 12))
    return Damaged(path, "its checksum is wrong");
  return small;
}

}  // namespace headrace::storage
