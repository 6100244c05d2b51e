#include "storage/key_map.h"

#include <algorithm>
#include <bit>
#include <random>

namespace headrace::storage {
namespace {

struct Sip {
  std::uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void Take(std::uint64_t word) {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }
  std::uint64_t Finish() {
    for (int i = 0; i < 4; ++i) Round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

std::uint64_t LittleEndian(ByteSpan bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) word |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return word;
}

}  // namespace

KeyHash HashKey(ByteSpan key, const std::array<std::uint64_t, 2>& secret) {
  Sip sip{secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d ^ 0xee,
          secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573};
  const std::uint64_t size = key.size();
  for (; key.size() >= 8; key = key.subspan(8)) sip.Take(LittleEndian(key.first(8)));
  sip.Take(LittleEndian(key) | size << 56);
  sip.v2 ^= 0xee;
  KeyHash hash;
  hash.low = sip.Finish();
  sip.v1 ^= 0xdd;
  hash.high = sip.Finish();
  return hash;
}

KeyMap::KeyMap(std::size_t size_max) : capacity_(KeysWithin(size_max)) {
  std::random_device random;
  for (std::uint64_t& word : secret_) word = std::uint64_t{random()} << 32 | random();
  entries_.resize(kFirstSlots);
}

std::size_t KeyMap::SlotOf(const std::vector<Entry>& entries, const KeyHash& hash) {
  std::size_t slot = hash.low & (entries.size() - 1);
  while (entries[slot].offset >= 0 && entries[slot].hash != hash) slot = (slot + 1) & (entries.size() - 1);
  return slot;
}

void KeyMap::Grow() {
  std::vector<Entry> larger(entries_.size() * 2);
  for (const Entry& entry : entries_) {
    if (entry.offset >= 0) larger[SlotOf(larger, entry.hash)] = entry;
  }
  entries_ = std::move(larger);
}

bool KeyMap::Put(ByteSpan key, Offset offset) {
  const KeyHash hash = HashKey(key, secret_);
  std::size_t slot = SlotOf(entries_, hash);
  if (entries_[slot].offset < 0) {
    if (full()) return false;
    if (count_ >= KeysOf(entries_.size())) {
      Grow();
      slot = SlotOf(entries_, hash);
    }
    ++count_;
  }
  entries_[slot].hash = hash;
  entries_[slot].offset = std::max(entries_[slot].offset, offset);
  return true;
}

std::optional<Offset> KeyMap::Find(ByteSpan key) const {
  const Entry& entry = entries_[SlotOf(entries_, HashKey(key, secret_))];
  return entry.offset < 0 ? std::nullopt : std::optional(entry.offset);
}

void KeyMap::Clear() {
  std::fill(entries_.begin(), entries_.end(), Entry());
  count_ = 0;
}

}  // namespace headrace::storage
