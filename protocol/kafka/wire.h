// Kafka's primitive types on the wire (https://kafka.apache.org/protocol, "Protocol Primitive Types").
//
// A message describes itself once, for both directions: a static member template Fields(self, wire) names its
// fields in wire order, with an `if` on wire.version() where a version has or lacks one. With a Decoder it
// reads, with an Encoder it writes:
//
//   struct HeartbeatRequest {
//     std::string group_id;
//     std::optional<std::string> instance_id;
//     static void Fields(auto& self, auto& wire) {
//       wire(self.group_id);
//       if (wire.version() >= 3) wire(self.instance_id);
//       wire.Tags();
//     }
//   };
//
// How a C++ type travels; "flexible" versions of an API (KIP-482) have the compact form and end each struct
// with tagged fields:
//
//   bool, intN, ErrorCode        1 byte, or N/8 bytes big-endian
//   std::string                  int16 size, bytes          flexible: uvarint size + 1, bytes
//   std::optional<std::string>   the same, size -1 is null            0 is null
//   Bytes, Records               int32 size, -1 is null               uvarint size + 1, 0 is null
//   std::vector<T>               int32 count                          uvarint count + 1
//   std::optional<vector<T>>     the same, count -1 is null           0 is null
//   TopicId                      16 bytes, all zero is none
//   std::optional<struct>        int8, -1 is null, then the struct
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "protocol/core/bytes.h"
#include "protocol/core/error_code.h"
#include "protocol/core/types.h"

namespace headrace::kafka {

// Opaque bytes that a message carries; null reads as empty.
struct Bytes {
  std::string value;
  friend bool operator==(const Bytes&, const Bytes&) = default;
};

inline constexpr std::size_t kStringSizeMax = 0x7fff;  // bytes: what the fixed form can say

// Record batches inside a message. Read: a view into the frame, nothing is copied. Written: `bytes`, or, if
// `external` is above 0, that many bytes which the caller sends at the place that the Encoder has noted.
struct Records {
  MutableByteSpan bytes{};
  std::uint64_t external = 0;
};

// A tagged field: written only if it differs from its default.
template <typename T>
struct Tagged {
  std::uint32_t tag;
  T& value;
};
template <typename T>
Tagged(std::uint32_t, T&) -> Tagged<T>;

template <typename T>
inline constexpr bool kIsVector = false;
template <typename T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <typename T>
inline constexpr bool kIsOptionalVector = false;
template <typename T>
inline constexpr bool kIsOptionalVector<std::optional<std::vector<T>>> = true;

}  // namespace headrace::kafka
