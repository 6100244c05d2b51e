#include "protocol/core/compression.h"

#include <catch2/catch.hpp>

#include <sys/resource.h>

#include <memory>
#include <random>
#include <utility>

#include <snappy.h>
#include <zstd.h>

#include "protocol/core/error_code.h"

using namespace headrace;

namespace {

const Compression kCodecs[] = {Compression::kGzip, Compression::kSnappy, Compression::kLz4,
                               Compression::kZstd};

std::vector<std::byte> Text(std::size_t size) {
  std::mt19937_64 random(size);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>('a' + random() % 4);
  return bytes;
}

std::vector<std::byte> Packed(Compression codec, ByteSpan input) {
  std::vector<std::byte> output;
  REQUIRE(Compress(codec, input, output).ok());
  return output;
}

std::int64_t PeakResidentKib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

TEST_CASE("Compression: round trips of every codec and size") {
  const std::size_t sizes[] = {0, 1, 100, 32'768, 32'769, 65'536, 1'000'000};
  for (const Compression codec : kCodecs) {
    for (const std::size_t size : sizes) {
      CAPTURE(NameOf(codec), size);
      const auto input = Text(size);
      const auto output = Decompress(codec, Packed(codec, input), size);
      REQUIRE(output.ok());
      CHECK(*output == input);
    }
  }
}

TEST_CASE("Compression: one byte above the limit is too large") {
  for (const Compression codec : kCodecs) {
    CAPTURE(NameOf(codec));
    const auto packed = Packed(codec, Text(100'000));
    CHECK(Decompress(codec, packed, 100'000).ok());
    CHECK(CodeOf(Decompress(codec, packed, 99'999).status()) == ErrorCode::kMessageTooLarge);
    CHECK(CodeOf(Decompress(codec, packed, 0).status()) == ErrorCode::kMessageTooLarge);
  }
}

TEST_CASE("Compression: a bomb is refused within its limit, and in bounded memory") {
  for (const Compression codec : kCodecs) {
    CAPTURE(NameOf(codec));
    // 2 GiB of zeros, as many members of 16 MiB each; snappy's framing repeats its blocks without its header.
    const auto member = Packed(codec, std::vector<std::byte>(16 << 20));
    const std::size_t repeated_from = codec == Compression::kSnappy ? 16 : 0;
    auto bomb = member;
    for (int i = 1; i < 128; ++i) {
      bomb.insert(bomb.end(), member.begin() + static_cast<std::ptrdiff_t>(repeated_from), member.end());
    }
    const std::int64_t before = PeakResidentKib();
    CHECK(CodeOf(Decompress(codec, bomb, 1 << 20).status()) == ErrorCode::kMessageTooLarge);
    CHECK(PeakResidentKib() - before < 32 << 10);
  }
}

TEST_CASE("Compression: memory is not taken on the word of an input that states a size") {
  // Frames that state 2^40 bytes of content and hold none, or one; of snappy, a block that states 2^32 - 1.
  const std::pair<Compression, std::string_view> liars[] = {
      {Compression::kSnappy, {"\xff\xff\xff\xff\x0f\x00", 6}},
      {Compression::kLz4, {"\x04\x22\x4d\x18\x68\x70\0\0\0\0\0\x01\0\0\x97\0\0\0\0", 19}},
      {Compression::kZstd, {"\x28\xb5\x2f\xfd\xc0\x58\0\0\0\0\0\x01\0\0\x09\0\0x", 18}},
  };
  for (const auto& [codec, bytes] : liars) {
    CAPTURE(NameOf(codec));
    const std::int64_t before = PeakResidentKib();
    CHECK(CodeOf(Decompress(codec, AsBytes(bytes), std::size_t{1} << 40).status()) ==
          ErrorCode::kCorruptMessage);
    CHECK(PeakResidentKib() - before < 32 << 10);
  }
}

TEST_CASE("Compression: bytes without a codec are nobody's to compress") {
  std::vector<std::byte> output;
  CHECK(CodeOf(Compress(Compression::kNone, AsBytes("x"), output)) == ErrorCode::kUnsupportedCompressionType);
  CHECK(CodeOf(Decompress(Compression::kNone, AsBytes("x"), 1).status()) ==
        ErrorCode::kUnsupportedCompressionType);
  CHECK(CodeOf(Decompress(static_cast<Compression>(5), AsBytes("x"), 1).status()) ==
        ErrorCode::kUnsupportedCompressionType);
}

TEST_CASE("Compression: cut at every byte") {
  for (const Compression codec : kCodecs) {
    const auto packed = Packed(codec, Text(500));
    for (std::size_t size = 0; size < packed.size(); ++size) {
      CAPTURE(NameOf(codec), size);
      const std::vector<std::byte> cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size));
      const auto output = Decompress(codec, cut, 1 << 20);
      // Only snappy's blocks can end early without a trace: after its header, no block at all.
      const bool may_pass = codec == Compression::kSnappy && size == 16;
      CHECK((output.ok() ? may_pass : CodeOf(output.status()) == ErrorCode::kCorruptMessage));
    }
  }
}

TEST_CASE("Compression: zstd frames with a window of 128 MiB are read, as streams of level 22 have it") {
  const auto input = Text(300'000);
  const std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, 27);
  std::vector<std::byte> packed(ZSTD_compressBound(input.size()));
  ZSTD_inBuffer in{input.data(), input.size(), 0};
  ZSTD_outBuffer out{packed.data(), packed.size(), 0};
  // As a stream, so that the frame states its window, and no size that would make a smaller one do.
  while (in.pos < in.size)
    REQUIRE_FALSE(ZSTD_isError(ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_continue)));
  REQUIRE(ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_end) == 0);
  packed.resize(out.pos);
  const auto output = Decompress(Compression::kZstd, packed, input.size());
  REQUIRE(output.ok());
  CHECK(*output == input);
  CHECK(CodeOf(Decompress(Compression::kZstd, packed, input.size() - 1).status()) ==
        ErrorCode::kMessageTooLarge);
}

TEST_CASE("Compression: several members follow each other") {
  const auto first = Text(1000);
  const auto second = Text(2000);
  for (const Compression codec : {Compression::kGzip, Compression::kLz4, Compression::kZstd}) {
    CAPTURE(NameOf(codec));
    auto packed = Packed(codec, first);
    REQUIRE(Compress(codec, second, packed).ok());
    const auto output = Decompress(codec, packed, 3000);
    REQUIRE(output.ok());
    CHECK(std::equal(first.begin(), first.end(), output->begin()));
    CHECK(std::equal(second.begin(), second.end(), output->begin() + 1000));
  }
}

TEST_CASE("Compression: raw snappy is read, as clients without the Java framing send it") {
  const auto input = Text(5000);
  std::string raw;
  snappy::Compress(reinterpret_cast<const char*>(input.data()), input.size(), &raw);
  const auto output = Decompress(Compression::kSnappy, AsBytes(raw), 1 << 20);
  REQUIRE(output.ok());
  CHECK(*output == input);
}

TEST_CASE("Compression: 5,000 mutations of each codec end in bytes or an error") {
  std::mt19937_64 random(3);
  for (const Compression codec : kCodecs) {
    const auto packed = Packed(codec, Text(300));
    for (int round = 0; round < 5'000; ++round) {
      auto bytes = packed;
      for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
      const auto output = Decompress(codec, bytes, 1 << 16);
      if (output.ok()) REQUIRE(output->size() <= std::size_t{1} << 16);
    }
  }
}

TEST_CASE("Compression: names") {
  for (int number = 0; number <= 4; ++number) {
    const auto codec = static_cast<Compression>(number);
    CHECK(ParseCompression(NameOf(codec)) == codec);
  }
  CHECK_FALSE(ParseCompression("brotli").has_value());
  CHECK_FALSE(ParseCompression("").has_value());
}
