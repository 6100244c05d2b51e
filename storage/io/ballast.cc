#include "storage/io/ballast.h"

#include <algorithm>
#include <array>
#include <random>
#include <span>

#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{64} << 10;  // written at once

std::uint64_t WholePieces(std::uint64_t size) {
  return size / kPiece * kPiece;
}

}  // namespace

void Ballast::Fill() {
  const core::MutexLock lock(mutex_);
  if (size_ == kSize) return;
  if (const auto file = files_.Open(path_, OpenMode::kRead); file.ok()) {  // perhaps of the run before
    size_ = WholePieces(std::min((*file)->Size().value_or(0), kSize));
  }
  Grow();
}

void Ballast::Grow() {
  if (size_ == kSize) return;
  const auto file = files_.Open(path_, OpenMode::kCreate);
  if (!file.ok()) return;
  std::mt19937_64 random(size_);  // bytes that no file system can compress away
  std::array<std::uint64_t, kPiece / sizeof(std::uint64_t)> words;
  const ByteSpan piece = std::as_bytes(std::span(words));
  do {
    std::generate(words.begin(), words.end(), std::ref(random));
    if (!(*file)->WriteAt(size_, {&piece, 1}).ok()) return;
    size_ += kPiece;
  } while (size_ < kSize);
}

absl::Status Ballast::GiveUpHalf() {
  size_ = WholePieces(size_ / 2);
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, files_.Open(path_, OpenMode::kWrite));
  return file->Truncate(size_);
}

absl::Status Ballast::Lighten(const std::function<absl::Status()>& write) {
  absl::Status written = write();
  if (!absl::IsResourceExhausted(written)) return written;
  const core::MutexLock lock(mutex_);
  while (absl::IsResourceExhausted(written) && size_ > 0 && GiveUpHalf().ok()) written = write();
  Grow();
  return written;
}

}  // namespace headrace::storage
