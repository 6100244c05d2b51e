#include "protocol/kafka/messages/all.h"

#include <catch2/catch.hpp>

#include <set>

#include "absl/strings/escaping.h"
#include "protocol/kafka/decoder.h"
#include "protocol/kafka/encoder.h"
#include "tests/golden/golden_frames.h"

using namespace headrace;
using namespace headrace::kafka;
using headrace::testing::GoldenFrame;

namespace {

template <typename Message>
std::string Encode(const Api& api, std::int16_t version, const Message& message) {
  Encoder encoder(version, api.IsFlexible(version));
  encoder(message);
  return encoder.bytes();
}

// A message as it is decoded from bytes, and where the decoder stopped.
template <typename Message>
struct Decoded {
  Decoded(const Api& api, std::int16_t version, std::string from)
      : bytes(std::move(from)),
        decoder({reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}, version,
                api.IsFlexible(version)) {
    decoder(message);
  }

  std::string bytes;  // Records point into them
  Decoder decoder;
  Message message;
};

template <typename Message>
void CheckRoundTrip(const Api& api, std::int16_t version, const std::string& body) {
  const Decoded<Message> read(api, version, body);
  CHECK(read.decoder.status().ok());
  CHECK(read.decoder.position() == body.size());
  CHECK(absl::BytesToHexString(Encode(api, version, read.message)) == absl::BytesToHexString(body));
}

template <typename Message>
void CheckCutAnywhere(const Api& api, std::int16_t version, const std::string& body) {
  for (std::size_t size = 0; size < body.size(); ++size) {
    CHECK_FALSE(Decoded<Message>(api, version, body.substr(0, size)).decoder.status().ok());
  }
}

// Calls check.operator()<Message>(api, version, body) for a message with nothing set of every kind, and for
// the bodies that Apache Kafka's schemas gave.
template <typename Check>
void ForEachBody(Check check) {
  const std::vector<GoldenFrame> frames =
      headrace::testing::ReadGoldenFrames(HEADRACE_SOURCE_DIR "/tests/golden/schema.frames");
  REQUIRE(!frames.empty());
  VisitApis([&]<typename Request, typename Response>(ApiKey key) {
    const Api& api = *FindApi(key);
    for (std::int16_t version = api.version_min; version <= api.version_max; ++version) {
      CAPTURE(std::string(api.name), version);
      check.template operator()<Request>(api, version, Encode(api, version, Request()));
      check.template operator()<Response>(api, version, Encode(api, version, Response()));
    }
    for (const GoldenFrame& frame : frames) {
      if (frame.key != key) continue;
      CAPTURE(std::string(api.name), frame.version, frame.who, absl::BytesToHexString(frame.bytes));
      if (frame.who == "request") {
        check.template operator()<Request>(api, frame.version, frame.bytes);
      } else {
        check.template operator()<Response>(api, frame.version, frame.bytes);
      }
    }
  });
}

}  // namespace

TEST_CASE("Messages: what Apache Kafka's schemas make is decoded whole, and encodes to the same bytes") {
  ForEachBody([]<typename Message>(const Api& api, std::int16_t version, const std::string& body) {
    CheckRoundTrip<Message>(api, version, body);
  });
}

TEST_CASE("Messages: cut anywhere, each is refused") {
  ForEachBody([]<typename Message>(const Api& api, std::int16_t version, const std::string& body) {
    CheckCutAnywhere<Message>(api, version, body);
  });
}

TEST_CASE("Messages: every API's newest version is among the bodies made by the schemas") {
  std::set<std::pair<std::string, ApiKey>> met;
  for (const GoldenFrame& frame :
       headrace::testing::ReadGoldenFrames(HEADRACE_SOURCE_DIR "/tests/golden/schema.frames")) {
    if (frame.version == FindApi(frame.key)->version_max) met.insert({frame.who, frame.key});
  }
  CHECK(met.size() == 2 * kApis.size());
}
