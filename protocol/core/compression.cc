#include "protocol/core/compression.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

using Output = std::vector<std::byte>;
constexpr std::array<std::string_view, 5> kNames = {"none", "gzip", "snappy", "lz4", "zstd"};
constexpr std::size_t kChunk = 64 << 10;  // output grows by this much at a time

absl::Status Malformed(Compression compression, std::string_view what) {
  return MakeError(ErrorCode::kCorruptMessage,
                   absl::StrCat(std::string(NameOf(compression)), ": ", std::string(what)));
}

absl::Status TooLarge(Compression compression, std::size_t size_max) {
  return MakeError(ErrorCode::kMessageTooLarge,
                   absl::StrCat(std::string(NameOf(compression)), ": more than ", size_max,
                                " bytes when decompressed, the limit"));
}

// Room for more output within the limit: grows `output` and says where to write, or an empty span at the
// limit. One byte beyond the limit is offered, so that an input of exactly the limit's size can be told from
// a longer one.
MutableByteSpan MoreRoom(Output& output, std::size_t used, std::size_t size_max) {
  if (used > size_max) return {};
  if (output.size() == used) {
    const std::size_t wanted = std::min(size_max + 1, used + std::max(kChunk, used / 2));
    output.resize(wanted);
  }
  return MutableByteSpan(output).subspan(used);
}

// --- gzip (RFC 1952), by zlib ---

constexpr int kGzipWindowBits = 15 + 16;  // "+ 16" asks zlib for the gzip wrapper

absl::Status CompressGzip(ByteSpan input, Output& output) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindowBits, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    return absl::InternalError("gzip: deflateInit2 failed");
  }
  const std::size_t start = output.size();
  output.resize(start + deflateBound(&stream, static_cast<uLong>(input.size())));
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data() + start);
  stream.avail_out = static_cast<uInt>(output.size() - start);
  const int result = deflate(&stream, Z_FINISH);
  output.resize(start + stream.total_out);
  deflateEnd(&stream);
  return result == Z_STREAM_END ? absl::OkStatus() : absl::InternalError("gzip: deflate failed");
}

absl::StatusOr<Output> DecompressGzip(ByteSpan input, std::size_t size_max) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindowBits) != Z_OK) return absl::InternalError("gzip: inflateInit2 failed");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  Output output;
  std::size_t used = 0;
  int result = input.empty() ? Z_DATA_ERROR : Z_OK;
  while (result == Z_OK) {
    const MutableByteSpan room = MoreRoom(output, used, size_max);
    if (room.empty()) return TooLarge(Compression::kGzip, size_max);
    stream.next_out = reinterpret_cast<Bytef*>(room.data());
    stream.avail_out = static_cast<uInt>(room.size());
    result = inflate(&stream, Z_NO_FLUSH);
    used += room.size() - stream.avail_out;
    // Another member may follow the first.
    if (result == Z_STREAM_END && stream.avail_in > 0) result = inflateReset(&stream);
  }
  if (result != Z_STREAM_END) return Malformed(Compression::kGzip, "the stream is damaged or cut short");
  if (used > size_max) return TooLarge(Compression::kGzip, size_max);
  output.resize(used);
  return output;
}

// --- snappy, raw or in the blocks of snappy-java ("xerial"): magic 82 "SNAPPY" 00, version 1, compatible 1,
// then
//     blocks of a 4-byte big-endian length and that many bytes of raw snappy ---

constexpr std::size_t kXerialHeaderSize = 16;
constexpr std::size_t kXerialBlockSize = 32 << 10;
constexpr std::array<unsigned char, kXerialHeaderSize> kXerialHeader = {
    0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};

absl::Status CompressSnappy(ByteSpan input, Output& output) {
  const auto* header = reinterpret_cast<const std::byte*>(kXerialHeader.data());
  output.insert(output.end(), header, header + kXerialHeaderSize);
  while (!input.empty()) {
    const ByteSpan block = input.first(std::min(input.size(), kXerialBlockSize));
    const std::size_t start = output.size();
    output.resize(start + 4 + snappy::MaxCompressedLength(block.size()));
    std::size_t size = 0;
    snappy::RawCompress(reinterpret_cast<const char*>(block.data()), block.size(),
                        reinterpret_cast<char*>(output.data() + start + 4), &size);
    StoreBigEndian(output.data() + start, static_cast<std::uint32_t>(size));
    output.resize(start + 4 + size);
    input = input.subspan(block.size());
  }
  return absl::OkStatus();
}

absl::Status AppendRawSnappy(ByteSpan block, std::size_t size_max, Output& output) {
  const auto* data = reinterpret_cast<const char*>(block.data());
  std::size_t size = 0;
  // The stated size is checked against the block too: snappy never makes more than 64 bytes of 3.
  if (!snappy::GetUncompressedLength(data, block.size(), &size) || size / 32 > block.size()) {
    return Malformed(Compression::kSnappy, "a block states no plausible size");
  }
  if (size > size_max - output.size()) return TooLarge(Compression::kSnappy, size_max);
  const std::size_t start = output.size();
  output.resize(start + size);
  if (!snappy::RawUncompress(data, block.size(), reinterpret_cast<char*>(output.data() + start))) {
    return Malformed(Compression::kSnappy, "a block is damaged");
  }
  return absl::OkStatus();
}

absl::StatusOr<Output> DecompressSnappy(ByteSpan input, std::size_t size_max) {
  Output output;
  if (input.size() < kXerialHeaderSize || std::memcmp(input.data(), kXerialHeader.data(), 8) != 0) {
    RETURN_IF_ERROR(AppendRawSnappy(input, size_max, output));
    return output;
  }
  input = input.subspan(kXerialHeaderSize);
  while (!input.empty()) {
    if (input.size() < 4) return Malformed(Compression::kSnappy, "a block's length is cut short");
    const std::size_t size = LoadBigEndian<std::uint32_t>(input.data());
    input = input.subspan(4);
    if (size > input.size()) return Malformed(Compression::kSnappy, "a block is cut short");
    RETURN_IF_ERROR(AppendRawSnappy(input.first(size), size_max, output));
    input = input.subspan(size);
  }
  return output;
}

// --- LZ4 frame ---

absl::Status CompressLz4(ByteSpan input, Output& output) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;  // what Kafka's own clients read fastest
  const std::size_t start = output.size();
  output.resize(start + LZ4F_compressFrameBound(input.size(), &preferences));
  const std::size_t size = LZ4F_compressFrame(output.data() + start, output.size() - start, input.data(),
                                              input.size(), &preferences);
  if (LZ4F_isError(size)) return absl::InternalError(absl::StrCat("lz4: ", LZ4F_getErrorName(size)));
  output.resize(start + size);
  return absl::OkStatus();
}

absl::StatusOr<Output> DecompressLz4(ByteSpan input, std::size_t size_max) {
  LZ4F_dctx* raw = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&raw, LZ4F_VERSION))) {
    return absl::ResourceExhaustedError("lz4: no memory for a context");
  }
  const std::unique_ptr<LZ4F_dctx, LZ4F_errorCode_t (*)(LZ4F_dctx*)> context(raw,
                                                                             LZ4F_freeDecompressionContext);
  Output output;
  std::size_t used = 0;
  std::size_t more = 1;  // 0 exactly at the end of a frame
  while (!input.empty() || more != 0) {
    const MutableByteSpan room = MoreRoom(output, used, size_max);
    if (room.empty()) return TooLarge(Compression::kLz4, size_max);
    std::size_t produced = room.size();
    std::size_t consumed = input.size();
    more = LZ4F_decompress(context.get(), room.data(), &produced, input.data(), &consumed, nullptr);
    if (LZ4F_isError(more)) return Malformed(Compression::kLz4, LZ4F_getErrorName(more));
    if (produced == 0 && consumed == 0) return Malformed(Compression::kLz4, "the frame is cut short");
    used += produced;
    input = input.subspan(consumed);
  }
  if (used > size_max) return TooLarge(Compression::kLz4, size_max);
  output.resize(used);
  return output;
}

// --- Zstandard (RFC 8878) ---

struct ZstdFree {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

absl::Status CompressZstd(ByteSpan input, Output& output) {
  // A context costs more to make than a small batch to compress: one for each thread.
  thread_local const std::unique_ptr<ZSTD_CCtx, ZstdFree> context(ZSTD_createCCtx());
  const std::size_t start = output.size();
  output.resize(start + ZSTD_compressBound(input.size()));
  const std::size_t size = ZSTD_compressCCtx(context.get(), output.data() + start, output.size() - start,
                                             input.data(), input.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size)) return absl::InternalError(absl::StrCat("zstd: ", ZSTD_getErrorName(size)));
  output.resize(start + size);
  return absl::OkStatus();
}

// In one piece, so that no window is needed beside the output, however large a one the frame was made with
// (level 22 states 128 MiB). The output is guessed, not taken on the frame's word, and made larger until it
// holds everything.
absl::StatusOr<Output> DecompressZstd(ByteSpan input, std::size_t size_max) {
  thread_local const std::unique_ptr<ZSTD_DCtx, ZstdFree> context(ZSTD_createDCtx());
  if (input.empty()) return Malformed(Compression::kZstd, "the frame is cut short");
  constexpr std::size_t kGrowth = 4;
  Output output;
  std::size_t size = std::max(kChunk, kGrowth * input.size());
  for (;; size *= kGrowth) {
    output.resize(std::min(size, size_max));
    const std::size_t used =
        ZSTD_decompressDCtx(context.get(), output.data(), output.size(), input.data(), input.size());
    if (!ZSTD_isError(used)) {
      output.resize(used);
      return output;
    }
    if (ZSTD_getErrorCode(used) != ZSTD_error_dstSize_tooSmall) {
      return Malformed(Compression::kZstd, ZSTD_getErrorName(used));
    }
    if (output.size() == size_max) return TooLarge(Compression::kZstd, size_max);
  }
}

}  // namespace

std::string_view NameOf(Compression compression) {
  const auto index = static_cast<std::size_t>(compression);
  return index < kNames.size() ? kNames[index] : "unknown codec";
}

std::optional<Compression> ParseCompression(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Compression>(i);
  }
  return std::nullopt;
}

absl::Status Compress(Compression compression, ByteSpan input, std::vector<std::byte>& output) {
  switch (compression) {
    case Compression::kGzip:
      return CompressGzip(input, output);
    case Compression::kSnappy:
      return CompressSnappy(input, output);
    case Compression::kLz4:
      return CompressLz4(input, output);
    case Compression::kZstd:
      return CompressZstd(input, output);
    case Compression::kNone:
      break;
  }
  return MakeError(ErrorCode::kUnsupportedCompressionType, "no such codec");
}

absl::StatusOr<std::vector<std::byte>> Decompress(Compression compression, ByteSpan input,
                                                  std::size_t size_max) {
  switch (compression) {
    case Compression::kGzip:
      return DecompressGzip(input, size_max);
    case Compression::kSnappy:
      return DecompressSnappy(input, size_max);
    case Compression::kLz4:
      return DecompressLz4(input, size_max);
    case Compression::kZstd:
      return DecompressZstd(input, size_max);
    case Compression::kNone:
      break;
  }
  return MakeError(ErrorCode::kUnsupportedCompressionType, "no such codec");
}

}  // namespace headrace
