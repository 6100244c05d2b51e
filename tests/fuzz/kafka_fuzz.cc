// Any bytes after a frame's size are refused, or give a request of the API and version they state; and what
// stands there for the body is refused, or is a request or a response, at every version of the API. What was
// decoded is encoded again and then decodes to the same bytes.
#include <vector>

#include "protocol/core/status_macros.h"
#include "protocol/kafka/frame.h"
#include "protocol/kafka/messages/all.h"

namespace headrace::kafka {
namespace {

template <typename Message>
std::string Encoded(const Api& api, std::int16_t version, const Message& message) {
  Encoder encoder(version, api.IsFlexible(version));
  encoder(message);
  return encoder.bytes();
}

template <typename Message>
void CheckOne(const Api& api, std::int16_t version, MutableByteSpan from) {
  Decoder body(from, version, api.IsFlexible(version));
  Message message;
  body(message);
  if (!body.status().ok()) return;
  std::string bytes = Encoded(api, version, message);
  Decoder again({reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}, version, api.IsFlexible(version));
  Message same;
  again(same);
  HEADRACE_CHECK(again.status().ok() && again.rest().empty());
  HEADRACE_CHECK(Encoded(api, version, same) == bytes);
}

void Fuzz(MutableByteSpan bytes) {
  const auto header = DecodeRequestHeader(bytes);
  if (!header.ok()) return;
  const Api* api = FindApi(header->key);
  if (api == nullptr || !api->Serves(header->version)) return;
  const MutableByteSpan body = RequestBody(bytes, *api, header->version).rest();
  VisitApis([&]<typename Request, typename Response>(ApiKey key) {
    if (key != api->key) return;
    for (std::int16_t version = api->version_min; version <= api->version_max; ++version) {
      CheckOne<Request>(*api, version, body);
      CheckOne<Response>(*api, version, body);
    }
  });
}

}  // namespace
}  // namespace headrace::kafka

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin, begin + size);  // a broker's buffer may be written to; libFuzzer's not
  headrace::kafka::Fuzz(bytes);
  return 0;
}
