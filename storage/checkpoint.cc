#include "storage/checkpoint.h"

#include <array>
#include <cstring>

#include "protocol/core/crc32c.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

constexpr std::string_view kMagic = "HRCP";
constexpr std::byte kHasProducers{1};
constexpr std::byte kFirst{2};
constexpr std::size_t kBootIdAt = 70;
constexpr std::size_t kBootIdSizeMax = 64;
constexpr std::size_t kSlotSize = kBootIdAt + kBootIdSizeMax;
constexpr std::uint64_t kSlotDistance = 4096;  // a page of its own each: what tears one leaves the other

using Slot = std::array<std::byte, kSlotSize>;

std::optional<Checkpoint> ParseSlot(const Slot& slot) {
  const std::byte* at = slot.data();
  if (std::memcmp(at, kMagic.data(), kMagic.size()) != 0) return std::nullopt;
  if (Crc32c(ByteSpan(slot).subspan(8)) != LoadBigEndian<std::uint32_t>(at + 4)) return std::nullopt;
  Checkpoint checkpoint;
  checkpoint.sequence = LoadBigEndian<std::uint64_t>(at + 8);
  checkpoint.segment = LoadBigEndian<Offset>(at + 16);
  checkpoint.position = LoadBigEndian<std::uint64_t>(at + 24);
  checkpoint.end = LoadBigEndian<Offset>(at + 32);
  checkpoint.times.first_append = LoadBigEndian<TimestampMs>(at + 40);
  checkpoint.times.last_append = LoadBigEndian<TimestampMs>(at + 48);
  checkpoint.times.max_timestamp = LoadBigEndian<TimestampMs>(at + 56);
  checkpoint.epoch = LoadBigEndian<LeaderEpoch>(at + 64);
  checkpoint.has_producers = (at[68] & kHasProducers) != std::byte{0};
  checkpoint.first = (at[68] & kFirst) != std::byte{0};
  const auto boot_id_size = std::to_integer<std::size_t>(at[69]);
  if (boot_id_size > kBootIdSizeMax) return std::nullopt;
  checkpoint.boot_id = AsText(ByteSpan(slot).subspan(kBootIdAt, boot_id_size));
  return checkpoint;
}

}  // namespace

absl::Status WriteCheckpoint(FileCache& cache, const std::string& path, const Checkpoint& checkpoint) {
  Slot slot{};
  std::byte* at = slot.data();
  std::memcpy(at, kMagic.data(), kMagic.size());
  StoreBigEndian(at + 8, checkpoint.sequence);
  StoreBigEndian(at + 16, checkpoint.segment);
  StoreBigEndian(at + 24, checkpoint.position);
  StoreBigEndian(at + 32, checkpoint.end);
  StoreBigEndian(at + 40, checkpoint.times.first_append);
  StoreBigEndian(at + 48, checkpoint.times.last_append);
  StoreBigEndian(at + 56, checkpoint.times.max_timestamp);
  StoreBigEndian(at + 64, checkpoint.epoch);
  at[68] =
      (checkpoint.has_producers ? kHasProducers : std::byte{0}) | (checkpoint.first ? kFirst : std::byte{0});
  const std::string_view boot_id = std::string_view(checkpoint.boot_id).substr(0, kBootIdSizeMax);
  at[69] = static_cast<std::byte>(boot_id.size());
  std::memcpy(at + kBootIdAt, boot_id.data(), boot_id.size());
  StoreBigEndian(at + 4, Crc32c(ByteSpan(slot).subspan(8)));
  ASSIGN_OR_RETURN(const std::shared_ptr<File> file, cache.Get(path, OpenMode::kCreate));
  const ByteSpan piece = slot;
  return file->WriteAt((checkpoint.sequence % 2) * kSlotDistance, {&piece, 1});
}

absl::StatusOr<std::optional<Checkpoint>> ReadCheckpoint(FileSystem& files, const std::string& path) {
  const absl::StatusOr<std::shared_ptr<File>> file = files.Open(path, OpenMode::kRead);
  if (absl::IsNotFound(file.status())) return std::nullopt;
  RETURN_IF_ERROR(file.status());
  std::optional<Checkpoint> newest;
  for (const std::uint64_t position : {std::uint64_t{0}, kSlotDistance}) {
    Slot slot{};
    ASSIGN_OR_RETURN(const std::size_t read, (*file)->ReadAt(position, slot));
    if (read != slot.size()) continue;
    std::optional<Checkpoint> found = ParseSlot(slot);
    if (found.has_value() && (!newest.has_value() || found->sequence > newest->sequence))
      newest = std::move(found);
  }
  return newest;
}

}  // namespace headrace::storage
