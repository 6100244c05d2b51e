#include "client/cli/offline/batch_walk.h"

#include <algorithm>

#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::cli::offline {
namespace {

constexpr std::size_t kWindow = 1U << 20;  // read at once while searching
constexpr std::size_t kMagicPosition = 16;
constexpr std::byte kMagic{2};

bool AllZero(ByteSpan bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

// Reads `size` bytes at `position` into bytes_; false if the file is shorter.
absl::StatusOr<bool> BatchWalk::Fill(std::uint64_t position, std::uint64_t size) {
  bytes_.resize(static_cast<std::size_t>(size));
  ASSIGN_OR_RETURN(const std::size_t got, file_.ReadAt(position, bytes_));
  return got == size;
}

absl::StatusOr<std::optional<Stretch>> BatchWalk::Next() {
  if (position_ >= size_) return std::optional<Stretch>();
  ASSIGN_OR_RETURN(Stretch stretch, ReadStretch());
  position_ = stretch.position + stretch.size;
  return std::optional<Stretch>(std::move(stretch));
}

absl::StatusOr<Stretch> BatchWalk::ReadStretch() {
  const std::uint64_t left = size_ - position_;
  if (left < kBatchHeaderSize) {
    return Stretch{Stretch::Kind::kTorn, position_, left, std::nullopt,
                   std::to_string(left) + " bytes, fewer than a batch's header has (61)"};
  }
  ASSIGN_OR_RETURN(const bool has_header, Fill(position_, kBatchHeaderSize));
  if (!has_header) return absl::DataLossError(file_.path() + " became shorter while it was read");
  if (AllZero(bytes_)) return Unreadable(position_ + 1, "zeros where a batch should begin");
  const std::uint64_t stated = RecordBatchView::StatedSize(bytes_);
  if (stated < kBatchHeaderSize || bytes_[kMagicPosition] != kMagic) {
    return Unreadable(position_ + 1, "no batch begins here: magic " +
                                         std::to_string(std::to_integer<int>(bytes_[kMagicPosition])) +
                                         ", stated size " + std::to_string(stated));
  }
  if (stated > left) {
    return Unreadable(position_ + 1, "the batch states " + std::to_string(stated) + " bytes, and " +
                                         std::to_string(left) + " are left in the file");
  }
  ASSIGN_OR_RETURN(const bool whole, Fill(position_, stated));
  if (!whole) return absl::DataLossError(file_.path() + " became shorter while it was read");
  auto batch = RecordBatchView::Parse(bytes_);
  if (!batch.ok()) return Unreadable(position_ + 1, std::string(MessageOf(batch.status())));
  const absl::Status sum = batch->CheckCrc();
  if (sum.ok()) return Stretch{Stretch::Kind::kBatch, position_, stated, *batch, ""};
  const std::string problem(MessageOf(sum));
  // If a sound batch begins where this one says that it ends, its size is right and its content is not. Asked
  // first, because a record's value may hold a whole batch.
  const std::uint64_t end = position_ + stated;
  ASSIGN_OR_RETURN(const bool continues, IsBatchAt(end));
  if (!continues && end != size_) return Unreadable(position_ + 1, problem);
  ASSIGN_OR_RETURN(const bool again, Fill(position_, stated));
  batch = RecordBatchView::Parse(bytes_);
  if (!again || !batch.ok()) return absl::DataLossError(file_.path() + " changed while it was read");
  return Stretch{continues ? Stretch::Kind::kDamaged : Stretch::Kind::kTorn, position_, stated, *batch,
                 problem};
}

absl::StatusOr<Stretch> BatchWalk::Unreadable(std::uint64_t search_from, std::string problem) {
  ASSIGN_OR_RETURN(const auto next, FindBatch(search_from));
  const std::uint64_t end = next.value_or(size_);
  return Stretch{next ? Stretch::Kind::kDamaged : Stretch::Kind::kTorn, position_, end - position_,
                 std::nullopt, std::move(problem)};
}

// Whether a sound batch begins at `position`.
absl::StatusOr<bool> BatchWalk::IsBatchAt(std::uint64_t position) {
  if (position >= size_ || size_ - position < kBatchHeaderSize) return false;
  ASSIGN_OR_RETURN(const bool has_header, Fill(position, kBatchHeaderSize));
  const std::uint64_t stated = has_header ? RecordBatchView::StatedSize(bytes_) : 0;
  if (stated < kBatchHeaderSize || stated > size_ - position) return false;
  ASSIGN_OR_RETURN(const bool whole, Fill(position, stated));
  if (!whole) return false;
  const auto batch = RecordBatchView::Parse(bytes_);
  return batch.ok() && batch->CheckCrc().ok();
}

absl::StatusOr<std::optional<std::uint64_t>> BatchWalk::FindBatch(std::uint64_t from) {
  std::vector<std::byte> window(kWindow);
  for (; from + kBatchHeaderSize <= size_; from += kWindow - kBatchHeaderSize + 1) {
    ASSIGN_OR_RETURN(const std::size_t got, file_.ReadAt(from, window));
    for (std::size_t i = 0; i + kBatchHeaderSize <= got; ++i) {
      if (window[i + kMagicPosition] != kMagic) continue;
      const std::uint64_t stated = RecordBatchView::StatedSize(ByteSpan(window).subspan(i));
      if (stated < kBatchHeaderSize || stated > size_ - from - i) continue;
      ASSIGN_OR_RETURN(const bool found, IsBatchAt(from + i));
      if (found) return std::optional(from + i);
    }
  }
  return std::optional<std::uint64_t>();
}

}  // namespace headrace::cli::offline
