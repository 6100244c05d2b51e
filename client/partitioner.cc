#include "client/partitioner.h"

namespace headrace {
namespace {

constexpr std::uint32_t kSeed = 0x9747b28cU;
constexpr std::uint32_t kMultiplier = 0x5bd1e995U;

std::uint32_t Mix(std::uint32_t word) {
  word *= kMultiplier;
  word ^= word >> 24;
  return word * kMultiplier;
}

std::uint32_t LoadLittleEndian(const std::byte* at) {
  return __builtin_bswap32(LoadBigEndian<std::uint32_t>(at));
}

}  // namespace

std::uint32_t Murmur2(ByteSpan bytes) {
  std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(bytes.size());
  while (bytes.size() >= 4) {
    hash = hash * kMultiplier ^ Mix(LoadLittleEndian(bytes.data()));
    bytes = bytes.subspan(4);
  }
  if (!bytes.empty()) {
    for (std::size_t i = bytes.size(); i-- > 0;) hash ^= static_cast<std::uint32_t>(bytes[i]) << (8 * i);
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ hash >> 15;
}

}  // namespace headrace
