// Writes messages for the wire; see wire.h for how they describe themselves.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "protocol/kafka/wire.h"

namespace headrace::kafka {

// Writes one message. One thread.
class Encoder {
 public:
  // Where in bytes() `size` bytes of somebody else belong.
  struct Gap {
    std::size_t position = 0;
    std::uint64_t size = 0;
  };

  Encoder(std::int16_t version, bool flexible) : version_(version), flexible_(flexible) {}

  std::int16_t version() const { return version_; }
  std::string& bytes() { return bytes_; }
  const std::vector<Gap>& gaps() const { return gaps_; }

  template <typename... T>
  void operator()(const T&... values) {
    (Value(values), ...);
  }
  template <typename... T>
  void Tags(Tagged<T>... fields) {
    if (!flexible_) return;
    UnsignedVarint((std::uint64_t{0} + ... + (fields.value == std::remove_const_t<T>{} ? 0 : 1)));
    (Tag(fields.tag, fields.value), ...);
  }

 private:
  template <typename T>
  void Value(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      Integer(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::same_as<T, bool>) {
      Integer(static_cast<std::int8_t>(value ? 1 : 0));
    } else if constexpr (std::integral<T>) {
      Integer(value);
    } else if constexpr (std::same_as<T, std::string>) {
      String(value);
    } else if constexpr (std::same_as<T, std::optional<std::string>>) {
      value ? String(*value) : Size<std::int16_t>(std::nullopt);
    } else if constexpr (std::same_as<T, TopicId>) {
      bytes_.append(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
    } else if constexpr (std::same_as<T, Bytes>) {
      Size<std::int32_t>(value.value.size());
      bytes_ += value.value;
    } else if constexpr (std::same_as<T, Records>) {
      WriteRecords(value);
    } else if constexpr (kIsVector<T>) {
      Array(value);
    } else if constexpr (kIsOptionalVector<T>) {
      value ? Array(*value) : Size<std::int32_t>(std::nullopt);
    } else if constexpr (kIsOptional<T>) {
      Integer(static_cast<std::int8_t>(value ? 1 : -1));
      if (value) T::value_type::Fields(*value, *this);
    } else {
      T::Fields(value, *this);
    }
  }

  template <std::integral T>
  void Integer(T value) {
    std::byte stored[sizeof(T)];
    StoreBigEndian(stored, value);
    bytes_ += AsText(stored);
  }
  template <typename T>
  void Array(const std::vector<T>& values) {
    Size<std::int32_t>(values.size());
    for (const auto& value : values) Value<T>(value);
  }
  template <std::integral Fixed>
  void Size(std::optional<std::uint64_t> size) {
    if (flexible_) return UnsignedVarint(size ? *size + 1 : 0);
    Integer(size ? static_cast<Fixed>(*size) : Fixed{-1});
  }
  template <typename T>
  void Tag(std::uint32_t tag, const T& value) {
    if (value == T{}) return;
    Encoder field(version_, true);
    field(value);
    UnsignedVarint(tag);
    UnsignedVarint(field.bytes_.size());
    bytes_ += field.bytes_;
  }

  void UnsignedVarint(std::uint64_t value);
  void String(std::string_view value);
  void WriteRecords(const Records& records);

  std::string bytes_;
  std::vector<Gap> gaps_;
  std::int16_t version_;
  bool flexible_;
};

}  // namespace headrace::kafka
