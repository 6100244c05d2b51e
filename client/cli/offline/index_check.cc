#include "client/cli/offline/index_check.h"

#include <vector>

#include "protocol/core/crc32c.h"
#include "protocol/core/status_macros.h"

namespace headrace::cli::offline {
namespace {

// Magic, CRC of what follows it, base offset: how both kinds of index begin (see storage/offset_index.h).
constexpr std::size_t kMagicSize = 4;
constexpr std::size_t kSummedFrom = 8;
constexpr std::size_t kHeaderSize = 16;

// The file's bytes; nothing if there is no such file.
absl::StatusOr<std::optional<std::vector<std::byte>>> ReadWhole(storage::FileSystem& files,
                                                                const std::string& path) {
  const auto file = files.Open(path, storage::OpenMode::kRead);
  if (file.status().code() == absl::StatusCode::kNotFound) return std::optional<std::vector<std::byte>>();
  if (!file.ok()) return file.status();
  ASSIGN_OR_RETURN(const std::uint64_t size, (*file)->Size());
  std::vector<std::byte> bytes(size);
  ASSIGN_OR_RETURN(const std::size_t got, (*file)->ReadAt(0, bytes));
  bytes.resize(got);
  return std::optional(std::move(bytes));
}

}  // namespace

absl::StatusOr<std::string> CheckIndexFile(storage::FileSystem& files, const std::string& path,
                                           std::string_view magic, Offset base_offset) {
  ASSIGN_OR_RETURN(const auto bytes, ReadWhole(files, path));
  if (!bytes) return "";
  if (bytes->size() < kHeaderSize)
    return "it has " + std::to_string(bytes->size()) + " bytes, fewer than its header";
  if (AsText(ByteSpan(*bytes).first(kMagicSize)) != magic)
    return "it does not begin with \"" + std::string(magic) + "\"";
  if (Crc32c(ByteSpan(*bytes).subspan(kSummedFrom)) !=
      LoadBigEndian<std::uint32_t>(bytes->data() + kMagicSize)) {
    return "its CRC does not match its content";
  }
  const auto base = LoadBigEndian<Offset>(bytes->data() + kSummedFrom);
  if (base != base_offset) return "it is the index of the segment at offset " + std::to_string(base);
  return "";
}

absl::StatusOr<IndexCheck> IndexCheck::Load(storage::FileSystem& files, const std::string& path,
                                            Offset base_offset, std::uint64_t log_size) {
  IndexCheck check;
  ASSIGN_OR_RETURN(check.problem_, CheckIndexFile(files, path, "HROI", base_offset));
  if (!check.problem_.empty()) return check;
  ASSIGN_OR_RETURN(const auto bytes, ReadWhole(files, path));
  if (bytes) check.index_ = storage::OffsetIndex::Parse(*bytes, base_offset, log_size);
  return check;
}

void IndexCheck::Note(std::uint64_t position, const RecordBatchView& batch) {
  if (!index_ || !problem_.empty()) return;
  const storage::BatchPlace floor = index_->FloorPosition(position + batch.size() - 1);
  if (floor.position > position) {
    problem_ = "an entry points to position " + std::to_string(floor.position) + ", inside the batch at " +
               std::to_string(position);
  } else if (floor.position == position && floor.offset != batch.base_offset()) {
    problem_ = "an entry says that offset " + std::to_string(floor.offset) + " is at position " +
               std::to_string(position) + ", where the batch at offset " +
               std::to_string(batch.base_offset()) + " is";
  }
}

}  // namespace headrace::cli::offline
