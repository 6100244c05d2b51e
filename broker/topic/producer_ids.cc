#include "broker/topic/producer_ids.h"

#include <limits>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/io/small_file.h"

namespace headrace::topic {
namespace {
constexpr std::uint32_t kFormat = 1;  // content: the end of the last block begun, 8 bytes, big-endian
}  // namespace

ProducerIds::ProducerIds(storage::FileSystem& files, std::string path, ProducerId next)
    : files_(files), path_(std::move(path)), next_(next), block_end_(next) {}

absl::StatusOr<std::unique_ptr<ProducerIds>> ProducerIds::Open(storage::FileSystem& files,
                                                               const std::string& directory) {
  const std::string path = directory + "/producer_ids";
  ProducerId next = 0;
  const auto file = storage::ReadSmallFile(files, path);
  if (file.ok()) {
    if (file->format != kFormat || file->content.size() != sizeof next) {
      return absl::DataLossError(absl::StrCat(path, " has format ", file->format, " and ",
                                              file->content.size(), " bytes; format ", kFormat, " with ",
                                              sizeof next, " was expected"));
    }
    next = LoadBigEndian<std::int64_t>(file->content.data());
  } else if (!absl::IsNotFound(file.status())) {
    return file.status();
  }
  return absl::WrapUnique(new ProducerIds(files, path, next));
}

absl::StatusOr<ProducerIdentity> ProducerIds::Next(const ProducerIdentity& former) {
  const core::MutexLock lock(mutex_);
  if (former.id != kNoProducerId) {
    if (former.id < 0 || former.id >= next_) {
      return MakeError(ErrorCode::kInvalidRequest,
                       absl::StrCat("producer id ", former.id, " was never handed out"));
    }
    if (former.epoch >= 0 && former.epoch < std::numeric_limits<std::int16_t>::max()) {
      return ProducerIdentity{former.id, static_cast<std::int16_t>(former.epoch + 1)};
    }
  }
  if (next_ == block_end_) {
    std::byte content[sizeof next_];
    StoreBigEndian(content, block_end_ + kBlockSize);
    RETURN_IF_ERROR(storage::ReplaceSmallFile(files_, path_, kFormat, content));
    block_end_ += kBlockSize;
  }
  return ProducerIdentity{next_++, 0};
}

}  // namespace headrace::topic
