// What every client of the library is told about the broker, and the values they share.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "headrace/result.h"

namespace headrace {

struct ClientOptions {
  ClientOptions() = default;
  // A "host", "host:port" or "[v6 address]:port" alone, so that a broker's name converts.
  ClientOptions(std::string broker_address) : broker(std::move(broker_address)) {}
  ClientOptions(const char* broker_address) : broker(broker_address) {}

  std::string broker = "127.0.0.1:9092";
  std::string client_id;  // shown in the broker's logs and statistics; at most 255 bytes
  std::chrono::milliseconds connect_timeout{5'000};   // name look-up, TCP and handshake together
  std::chrono::milliseconds request_timeout{30'000};  // from a request to its answer
  std::chrono::milliseconds backoff_min{50};          // between attempts to reconnect or retry: doubles,
  std::chrono::milliseconds backoff_max{1'000};       // with jitter, up to this
  std::size_t receive_size_max = 128U << 20;          // bytes: the largest frame this client takes
};

// How the records of a batch are compressed; the numbers are those of the batch format.
enum class Codec : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

// "none", "gzip", "snappy", "lz4" or "zstd"; nullopt for anything else.
std::optional<Codec> ParseCodec(std::string_view name);

// A header of a message; views into memory of another.
struct Header {
  std::string_view key;
  std::optional<std::string_view> value;  // nullopt: null
};

}  // namespace headrace
