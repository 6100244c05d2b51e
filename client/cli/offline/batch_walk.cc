#include "client/cli/offline/batch_walk.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::cli::offline {
namespace {

using storage::BatchPlace;
using Found = storage::SegmentScanner::Found;
using Tail = storage::SegmentScanner::Tail;

constexpr std::size_t kNameDigits = 20;
constexpr std::size_t kMagicPosition = 16;
constexpr std::byte kMagic{2};

bool AllZero(ByteSpan bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

Offset OffsetEnd(Offset first, std::optional<Offset> following) {
  return following.value_or(first + std::numeric_limits<std::int32_t>::max());
}

}  // namespace

std::optional<Offset> BaseOffsetOf(std::string_view name, std::string_view suffix) {
  if (name.size() != kNameDigits + 1 + suffix.size() || name[kNameDigits] != '.' || !name.ends_with(suffix)) {
    return std::nullopt;
  }
  Offset base = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kNameDigits, base);
  if (error != std::errc{} || end != name.data() + kNameDigits || base < 0) return std::nullopt;
  return base;
}

BatchWalk::BatchWalk(const storage::File& file, std::uint64_t file_size, Offset first,
                     std::optional<Offset> following)
    : file_(file),
      size_(file_size),
      offset_end_(OffsetEnd(first, following)),
      tail_(following.has_value() ? Tail::kWhole : Tail::kMayBeTorn),
      scanner_(file, {first, 0}, file_size) {}

// Reads `size` bytes at `position` into bytes_; false if the file is shorter.
absl::StatusOr<bool> BatchWalk::Fill(std::uint64_t position, std::uint64_t size) {
  bytes_.resize(static_cast<std::size_t>(size));
  ASSIGN_OR_RETURN(const std::size_t got, file_.ReadAt(position, bytes_));
  return got == size;
}

absl::StatusOr<std::optional<Stretch>> BatchWalk::Next() {
  ASSIGN_OR_RETURN(const Found found, scanner_.Next());
  if (found == Found::kEnd) return std::optional<Stretch>();
  if (found == Found::kBatch) {
    const RecordBatchView& batch = scanner_.batch();
    return Stretch{Stretch::Kind::kBatch, scanner_.batch_place().position, batch.size(), batch, ""};
  }
  ASSIGN_OR_RETURN(Stretch stretch, BadStretch());
  return std::optional<Stretch>(std::move(stretch));
}

absl::StatusOr<Stretch> BatchWalk::BadStretch() {
  const BatchPlace at = scanner_.place();
  ASSIGN_OR_RETURN(const std::optional<BatchPlace> next, scanner_.FindNext(offset_end_, tail_));
  const std::uint64_t size = next.value_or(BatchPlace{at.offset, size_}).position - at.position;
  scanner_.Resume(next.value_or(BatchPlace{at.offset, size_}));
  Stretch stretch{next ? Stretch::Kind::kDamaged : Stretch::Kind::kTorn, at.position, size, std::nullopt, ""};
  ASSIGN_OR_RETURN(stretch.problem, Explain(at));
  // Explain has left in bytes_ what there is of the batch.
  if (const auto batch = RecordBatchView::Parse(bytes_); batch.ok() && batch->size() == size) {
    stretch.batch = *batch;
  }
  return stretch;
}

absl::StatusOr<std::string> BatchWalk::Explain(BatchPlace at) {
  const std::uint64_t left = size_ - at.position;
  if (left < kBatchHeaderSize) {
    bytes_.clear();
    return std::to_string(left) + " bytes, fewer than a batch's header has (61)";
  }
  ASSIGN_OR_RETURN(const bool has_header, Fill(at.position, kBatchHeaderSize));
  if (!has_header) return absl::DataLossError(file_.path() + " became shorter while it was read");
  if (AllZero(bytes_)) return "zeros where a batch should begin";
  const std::uint64_t stated = RecordBatchView::StatedSize(bytes_);
  if (stated < kBatchHeaderSize || bytes_[kMagicPosition] != kMagic) {
    return "no batch begins here: magic " + std::to_string(std::to_integer<int>(bytes_[kMagicPosition])) +
           ", stated size " + std::to_string(stated);
  }
  if (stated > left) {
    return "the batch states " + std::to_string(stated) + " bytes, and " + std::to_string(left) +
           " are left in the file";
  }
  ASSIGN_OR_RETURN(const bool whole, Fill(at.position, stated));
  if (!whole) return absl::DataLossError(file_.path() + " became shorter while it was read");
  const auto batch = RecordBatchView::Parse(bytes_);
  if (!batch.ok()) return std::string(MessageOf(batch.status()));
  const absl::Status sum = batch->CheckCrc();
  if (!sum.ok()) return std::string(MessageOf(sum));
  return "the batch begins at offset " + std::to_string(batch->base_offset()) + ", expected " +
         std::to_string(at.offset);
}

}  // namespace headrace::cli::offline
