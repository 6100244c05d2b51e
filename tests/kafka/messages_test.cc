#include "protocol/kafka/messages/all.h"

#include <catch2/catch.hpp>

#include "protocol/kafka/decoder.h"
#include "protocol/kafka/encoder.h"

using namespace headrace;
using namespace headrace::kafka;

namespace {

MutableByteSpan Writable(std::string& bytes) {
  return {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()};
}

template <typename Message>
std::string Encode(const Api& api, std::int16_t version, const Message& message) {
  Encoder encoder(version, api.IsFlexible(version));
  encoder(message);
  return encoder.bytes();
}

// Bytes that are a message of this version: those of one that was decoded, until nothing changes any more.
template <typename Message>
void CheckRoundTrip(const Api& api, std::int16_t version) {
  // Arrays, strings and bytes of one element, and numbers that differ: every byte 1 decodes as such.
  std::string ones(4096, '\1');
  if (!api.IsFlexible(version)) ones.assign(4096, '\0');
  Decoder first(Writable(ones), version, api.IsFlexible(version));
  Message message;
  first(message);
  std::string encoded = Encode(api, version, message);
  Decoder second(Writable(encoded), version, api.IsFlexible(version));
  Message again;
  second(again);
  CHECK(second.status().ok());
  CHECK(second.position() == encoded.size());
  CHECK(Encode(api, version, again) == encoded);
}

template <typename Message>
void CheckCutAnywhere(const Api& api, std::int16_t version) {
  std::string encoded = Encode(api, version, Message());
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    std::string cut = encoded.substr(0, size);
    Decoder decoder(Writable(cut), version, api.IsFlexible(version));
    Message message;
    decoder(message);
    CHECK_FALSE(decoder.status().ok());
  }
}

}  // namespace

TEST_CASE("Messages: each reads what it has written, at every version") {
  VisitApis([]<typename Request, typename Response>(ApiKey key) {
    const Api& api = *FindApi(key);
    for (std::int16_t version = api.version_min; version <= api.version_max; ++version) {
      CAPTURE(std::string(api.name), version);
      CheckRoundTrip<Request>(api, version);
      CheckRoundTrip<Response>(api, version);
    }
  });
}

TEST_CASE("Messages: cut anywhere, each is refused") {
  VisitApis([]<typename Request, typename Response>(ApiKey key) {
    const Api& api = *FindApi(key);
    for (std::int16_t version = api.version_min; version <= api.version_max; ++version) {
      CAPTURE(std::string(api.name), version);
      CheckCutAnywhere<Request>(api, version);
      CheckCutAnywhere<Response>(api, version);
    }
  });
}
