// The highest offset of each key, within a fixed amount of memory.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "protocol/core/bytes.h"
#include "protocol/core/types.h"

namespace headrace::storage {

// 128 bits of SipHash-2-4 (https://cr.yp.to/siphash/siphash-20120918.pdf, with the output of its authors'
// reference for 128 bits). With a secret key nobody can choose two record keys that meet.
struct KeyHash {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const KeyHash&, const KeyHash&) = default;
};
KeyHash HashKey(ByteSpan key, const std::array<std::uint64_t, 2>& secret);

// Owned by one compaction, on one thread. An entry has 24 bytes, at most three of four slots are used, and
// the table doubles as it fills: it never has more than `size_max` bytes, nor needs more than 1.5 times that
// while it grows. Keys are told apart by their hash only, under a random secret of the map's own: two among
// a billion keys meet with a probability of 1 to 10^20.
class KeyMap {
 public:
  explicit KeyMap(std::size_t size_max);

  // How many keys a map of `size_max` bytes takes: 48 at least.
  static constexpr std::size_t KeysWithin(std::size_t size_max) { return KeysOf(SlotsMax(size_max)); }

  bool full() const { return count_ >= capacity_; }
  // Notes that `key` has a record at `offset`; the highest stays. False if there is no room.
  bool Put(ByteSpan key, Offset offset);
  std::optional<Offset> Find(ByteSpan key) const;
  std::size_t size() const { return count_; }  // keys
  void Clear();

 private:
  struct Entry {
    KeyHash hash;
    Offset offset = -1;  // -1: free
  };
  static_assert(sizeof(Entry) == 24);
  static constexpr std::size_t kFirstSlots = 64;
  // The most slots that fit: a power of two.
  static constexpr std::size_t SlotsMax(std::size_t size_max) {
    return std::bit_floor(std::max(size_max / sizeof(Entry), kFirstSlots));
  }
  static constexpr std::size_t KeysOf(std::size_t slots) { return slots - slots / 4; }
  // The slot of this hash, or the free one where it belongs.
  static std::size_t SlotOf(const std::vector<Entry>& entries, const KeyHash& hash);
  void Grow();

  std::array<std::uint64_t, 2> secret_;
  std::size_t capacity_;  // keys
  std::size_t count_ = 0;
  std::vector<Entry> entries_;  // a power of two
};

}  // namespace headrace::storage
