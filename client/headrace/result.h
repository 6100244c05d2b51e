// Results of the client library: a value or an Error. Nothing here throws except value() on an error.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace headrace {

// Numbers of the errors a caller may want to tell apart; the broker's own numbers are passed on unchanged
// (they are Kafka's, see https://kafka.apache.org/protocol, "Error Codes").
namespace error_number {
inline constexpr int kUnknown = -1;
inline constexpr int kOffsetOutOfRange = 1;
inline constexpr int kCorruptMessage = 2;
inline constexpr int kUnknownTopicOrPartition = 3;
inline constexpr int kTimedOut = 7;
inline constexpr int kMessageTooLarge = 10;
inline constexpr int kNetwork = 13;
inline constexpr int kUnknownMemberId = 25;
inline constexpr int kTopicAlreadyExists = 36;
inline constexpr int kInvalidRequest = 42;
inline constexpr int kRebalanceInProgress = 27;
inline constexpr int kNonEmptyGroup = 68;
inline constexpr int kGroupIdNotFound = 69;   // to join a group: its members speak another protocol
inline constexpr int kFencedInstanceId = 82;  // another took over the instance id
inline constexpr int kUnknownTopicId = 100;
inline constexpr int kUnreleasedInstanceId = 111;  // another member still has the instance id
// Of the client itself, outside the broker's range.
inline constexpr int kClosed = 2000;       // the object was closed
inline constexpr int kBufferFull = 2001;   // the producer's buffer has no room (for so long as was asked)
inline constexpr int kInterrupted = 2002;  // Consumer::Interrupt was called
}  // namespace error_number

struct Error {
  int code = error_number::kUnknown;
  std::string message;
  bool retriable = false;  // the same call may succeed later, unchanged
};

// Either a T or an Error. Thread rule: as safe as T.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok(); std::bad_variant_access otherwise.
  T& value() & { return std::get<0>(content_); }
  const T& value() const& { return std::get<0>(content_); }
  T&& value() && { return std::get<0>(std::move(content_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // REQUIRES: !ok().
  const Error& error() const { return std::get<1>(content_); }

 private:
  std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok(); std::bad_optional_access otherwise.
  void value() const {
    if (error_) throw std::bad_optional_access();
  }
  // REQUIRES: !ok().
  const Error& error() const { return error_.value(); }

 private:
  std::optional<Error> error_;
};

}  // namespace headrace
