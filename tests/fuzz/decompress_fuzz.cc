// Any bytes given to a codec are refused, or give no more than the limit; and what they give survives another
// way through the codec. HEADRACE_FUZZ_CODEC names the codec.
#include "protocol/core/compression.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

constexpr std::size_t kSizeMax = 1 << 20;

void Fuzz(Compression codec, ByteSpan bytes) {
  const auto output = Decompress(codec, bytes, kSizeMax);
  if (!output.ok()) {
    const ErrorCode code = CodeOf(output.status());
    HEADRACE_CHECK(code == ErrorCode::kCorruptMessage || code == ErrorCode::kMessageTooLarge);
    return;
  }
  HEADRACE_CHECK(output->size() <= kSizeMax);
  std::vector<std::byte> again;
  HEADRACE_CHECK(Compress(codec, *output, again).ok());
  const auto same = Decompress(codec, again, output->size());
  HEADRACE_CHECK(same.ok() && *same == *output);
}

}  // namespace
}  // namespace headrace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto codec = headrace::ParseCompression(HEADRACE_FUZZ_CODEC);
  headrace::Fuzz(codec.value(), {reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
