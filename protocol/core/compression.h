// The four compression codecs of record batches, each through its own library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "protocol/core/bytes.h"

namespace headrace {

// Values are those of bits 0-2 of a batch's attributes.
enum class Compression : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

std::string_view NameOf(Compression compression);
// "none", "gzip", "snappy", "lz4" or "zstd"; nullopt for anything else.
std::optional<Compression> ParseCompression(std::string_view name);

// Appends the compressed form of `input` to `output`: gzip stream, snappy in the framing of Kafka's Java
// client (xerial), LZ4 frame, or Zstandard frame. REQUIRES: compression != kNone.
absl::Status Compress(Compression compression, ByteSpan input, std::vector<std::byte>& output);

// The whole of a compressed record area. Accepts raw snappy beside the framed form, and several
// concatenated gzip members or frames. Never holds more than `size_max` bytes of output: an input that
// wants more is kMessageTooLarge, malformed input is kCorruptMessage.
absl::StatusOr<std::vector<std::byte>> Decompress(Compression compression, ByteSpan input,
                                                  std::size_t size_max);

}  // namespace headrace
