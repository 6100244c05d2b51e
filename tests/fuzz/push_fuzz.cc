// Any bytes that a broker pushes as batches give a consumer records that lie inside them, with offsets that
// ascend, or an error that is met again and again.
#include <cstring>
#include <limits>

#include "client/push_decoder.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

std::size_t SizeOf(const Record& record) {
  std::size_t size = record.key.value_or("").size() + record.value.value_or("").size();
  for (const Header& header : record.headers) {
    size += header.key.size() + header.value.value_or("").size();
  }
  return size;
}

void Fuzz(ByteSpan bytes, bool check_crc) {
  DecoderOptions options;
  options.topic = "topic";
  options.check_crc = check_crc;
  options.decompressed_size_max = 1 << 20;
  options.records_max = 16;
  ReceivedFrame push;
  push.storage = std::make_shared<BufferPool>(0)->Take(bytes.size());
  if (!bytes.empty()) std::memcpy(push.storage.span().data(), bytes.data(), bytes.size());
  push.frame.attachment = push.storage.span();
  PushDecoder decoder(options);
  decoder.Start(std::move(push), 0, 0, std::numeric_limits<std::int64_t>::max());
  std::int64_t last = -1;
  while (true) {
    const auto chunk = decoder.NextChunk();
    if (!chunk) HEADRACE_CHECK(!decoder.NextChunk());
    if (!chunk || chunk->empty()) break;
    for (const Record& record : *chunk) {
      HEADRACE_CHECK(record.offset > last && SizeOf(record) <= options.decompressed_size_max);
      last = record.offset;
    }
    HEADRACE_CHECK(decoder.next_offset() > last);
  }
  HEADRACE_CHECK(decoder.Stop() == bytes.size());
}

}  // namespace
}  // namespace headrace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const headrace::ByteSpan bytes{reinterpret_cast<const std::byte*>(data), size};
  headrace::Fuzz(bytes, true);
  headrace::Fuzz(bytes, false);
  return 0;
}
