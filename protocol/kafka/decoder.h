// Reads messages from the wire; see wire.h for how they describe themselves.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "protocol/kafka/wire.h"

namespace headrace::kafka {

// Reads one message from a frame's bytes. The first error ends it: what follows reads as zeros, and status()
// tells. Never reads past the span; allocates no more than kDecodedSizeMax, whatever counts a frame states.
// One thread.
class Decoder {
 public:
  static constexpr std::uint64_t kDecodedSizeMax = 32 << 20;  // bytes

  // REQUIRES: `bytes` outlive the Records that are read.
  Decoder(MutableByteSpan bytes, std::int16_t version, bool flexible)
      : bytes_(bytes), version_(version), flexible_(flexible) {}

  std::int16_t version() const { return version_; }
  // OK, or kInvalidRequest with the byte where it went wrong.
  const absl::Status& status() const { return status_; }
  std::size_t position() const { return position_; }
  MutableByteSpan rest() const { return bytes_.subspan(position_); }

  template <typename... T>
  void operator()(T&... values) {
    (Value(values), ...);
  }
  // Ends a struct: reads the tagged fields it knows and skips the others. Nothing in versions without them.
  template <typename... T>
  void Tags(Tagged<T>... known) {
    if (!flexible_) return;
    for (std::uint64_t left = UnsignedVarint(); left > 0 && status_.ok(); --left) {
      [[maybe_unused]] const auto tag = static_cast<std::uint32_t>(UnsignedVarint());
      Decoder field(Take(UnsignedVarint()), version_, true);
      field.decoded_size_ = decoded_size_;
      ((tag == known.tag ? field(known.value) : void()), ...);
      decoded_size_ = field.decoded_size_;
      if (!field.status_.ok()) status_ = field.status_;
    }
  }

 private:
  template <typename T>
  void Value(T& value) {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(Integer<std::underlying_type_t<T>>());
    } else if constexpr (std::same_as<T, bool>) {
      value = Integer<std::int8_t>() != 0;
    } else if constexpr (std::integral<T>) {
      value = Integer<T>();
    } else if constexpr (std::same_as<T, std::string>) {
      value = String().value_or("");
    } else if constexpr (std::same_as<T, std::optional<std::string>>) {
      value = String();
    } else if constexpr (std::same_as<T, TopicId>) {
      ReadId(value);
    } else if constexpr (std::same_as<T, Bytes>) {
      value.value = AsText(SizedBytes());
      Spend(value.value.size());
    } else if constexpr (std::same_as<T, Records>) {
      value.bytes = SizedBytes();
    } else if constexpr (kIsVector<T>) {
      Array(value);
    } else if constexpr (kIsOptionalVector<T>) {
      if (!Array(value.emplace())) value.reset();
    } else if constexpr (kIsOptional<T>) {
      value.reset();
      if (Integer<std::int8_t>() >= 0) T::value_type::Fields(value.emplace(), *this);
    } else {
      T::Fields(value, *this);
    }
  }

  template <std::integral T>
  T Integer() {
    const MutableByteSpan taken = Take(sizeof(T));
    return taken.empty() ? T{} : LoadBigEndian<T>(taken.data());
  }
  // False if it is null.
  template <typename T>
  bool Array(std::vector<T>& values) {
    values.clear();
    const std::optional<std::uint64_t> count = Size<std::int32_t>();
    // Each element has at least one byte; elements are made as they are read, never by a stated count.
    if (count && *count > rest().size()) Fail("an array has more elements than the frame has bytes");
    for (std::uint64_t i = 0; count && i < *count && status_.ok(); ++i) {
      Spend(sizeof(T));
      Value(values.emplace_back());
    }
    return count.has_value();
  }
  // The size in front of a string, an array or bytes; nullopt for null.
  template <std::integral Fixed>
  std::optional<std::uint64_t> Size() {
    if (flexible_) {
      const std::uint64_t stated = UnsignedVarint();
      return stated == 0 ? std::nullopt : std::optional(stated - 1);
    }
    const Fixed stated = Integer<Fixed>();
    return stated < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(stated));
  }

  std::uint64_t UnsignedVarint();
  std::optional<std::string> String();
  MutableByteSpan SizedBytes();
  void ReadId(TopicId& id);
  // The next `size` bytes; empty, with an error, if there are fewer.
  MutableByteSpan Take(std::uint64_t size);
  void Spend(std::uint64_t size);
  void Fail(std::string_view what);

  MutableByteSpan bytes_;
  std::size_t position_ = 0;
  std::int16_t version_;
  bool flexible_;
  std::uint64_t decoded_size_ = 0;
  absl::Status status_;
};

}  // namespace headrace::kafka
