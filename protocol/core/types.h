// Names for the integers that travel through every layer.
//
// `offset` is always logical (the number of a record in its partition) and `position` is always a byte
// position in a file; the two are never mixed. All types here are trivially copyable values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace headrace {

// Logical number of a record within its partition; the first record of a log has offset 0.
using Offset = std::int64_t;
// Raised by one at every unclean start (later: at every change of leader); -1 means unknown.
using LeaderEpoch = std::int32_t;
// Number of a partition within its topic, from 0.
using PartitionId = std::int32_t;
// Milliseconds since the Unix epoch, as producers state it or as the broker's wall clock reads it.
using TimestampMs = std::int64_t;
// Identity of an idempotent producer; -1 means that a batch has none.
using ProducerId = std::int64_t;

inline constexpr ProducerId kNoProducerId = -1;
inline constexpr LeaderEpoch kNoLeaderEpoch = -1;

// Identity of a topic: a random UUID, so that a topic created again under an old name shares nothing with
// its predecessor. The all-zero value means "none".
struct TopicId {
  std::array<std::uint8_t, 16> bytes{};

  // 32 lower-case hexadecimal digits, as used for directory names.
  std::string ToString() const;
  // The inverse of ToString; nullopt unless `text` is exactly 32 hexadecimal digits.
  static std::optional<TopicId> Parse(std::string_view text);
  // A random version 4 UUID from the kernel's generator. Thread: any.
  static TopicId Random();

  bool IsNone() const { return *this == TopicId{}; }
  friend bool operator==(const TopicId&, const TopicId&) = default;
  friend auto operator<=>(const TopicId&, const TopicId&) = default;
};

struct TopicPartition {
  TopicId topic;
  PartitionId partition = 0;

  friend bool operator==(const TopicPartition&, const TopicPartition&) = default;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

}  // namespace headrace

template <>
struct std::hash<headrace::TopicId> {
  std::size_t operator()(const headrace::TopicId& id) const noexcept {
    return std::hash<std::string_view>{}(
        std::string_view(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()));
  }
};

template <>
struct std::hash<headrace::TopicPartition> {
  std::size_t operator()(const headrace::TopicPartition& tp) const noexcept {
    return std::hash<headrace::TopicId>{}(tp.topic) * 31 + static_cast<std::size_t>(tp.partition);
  }
};
