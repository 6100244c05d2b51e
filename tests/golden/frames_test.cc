// Frames as real clients and Apache Kafka sent them (capture_frames.py).
#include <catch2/catch.hpp>

#include <set>
#include <string>

#include "absl/strings/escaping.h"
#include "protocol/kafka/frame.h"
#include "protocol/kafka/messages/all.h"
#include "tests/golden/golden_frames.h"

using namespace headrace;
using namespace headrace::kafka;
using headrace::testing::GoldenFrame;

namespace {

constexpr char kFolder[] = HEADRACE_SOURCE_DIR "/tests/golden/";
// APIs that no client happens to use, or whose frames would name folders of the machine.
constexpr std::size_t kApisUnmetMax = 4;

MutableByteSpan Writable(std::string& bytes) {
  return {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()};
}

// The body is decoded whole, and encoded again it is the same bytes. With `more_at_end` it may have tagged
// fields at its end that Headrace does not know.
template <typename Message>
void CheckBody(const Api& api, std::int16_t version, Decoder body, bool more_at_end) {
  const std::string before(AsText(body.rest()));
  Message message;
  body(message);
  CHECK(body.status().ok());
  Encoder encoder(version, api.IsFlexible(version));
  encoder(message);
  std::string again = encoder.bytes();
  if (more_at_end) {
    again.pop_back();  // "no tagged fields"
    CHECK(absl::BytesToHexString(before).starts_with(absl::BytesToHexString(again)));
  } else {
    CHECK(body.rest().empty());
    CHECK(absl::BytesToHexString(again) == absl::BytesToHexString(before));
  }
}

}  // namespace

TEST_CASE("Golden: every request of a real client is decoded whole, and encodes to the same bytes") {
  std::set<ApiKey> met;
  for (GoldenFrame& frame : headrace::testing::ReadGoldenFrames(std::string(kFolder) + "requests.frames")) {
    CAPTURE(frame.who, static_cast<int>(frame.key), frame.version);
    const auto header = DecodeRequestHeader(Writable(frame.bytes));
    REQUIRE(header.ok());
    CHECK(header->key == frame.key);
    CHECK(header->version == frame.version);
    const Api* api = FindApi(frame.key);
    if (api == nullptr || !api->Serves(frame.version)) continue;
    met.insert(frame.key);
    // librdkafka 2.0 writes the tagged fields of this one twice.
    const bool more = frame.key == ApiKey::kListGroups && frame.who == "librdkafka";
    VisitApis([&]<typename Request, typename Response>(ApiKey key) {
      if (key != frame.key) return;
      CheckBody<Request>(*api, frame.version, RequestBody(Writable(frame.bytes), *api, frame.version), more);
    });
  }
  CHECK(met.size() + kApisUnmetMax >= kApis.size());
}

TEST_CASE("Golden: every response of Apache Kafka is decoded whole, and encodes to the same bytes") {
  std::set<ApiKey> met;
  for (GoldenFrame& frame : headrace::testing::ReadGoldenFrames(std::string(kFolder) + "responses.frames")) {
    CAPTURE(static_cast<int>(frame.key), frame.version);
    const Api* api = FindApi(frame.key);
    if (api == nullptr || !api->Serves(frame.version)) continue;
    met.insert(frame.key);
    const bool flexible = api->IsFlexible(frame.version);
    const bool is_versions = frame.key == ApiKey::kApiVersions;  // no tags in front, features at the end
    const std::size_t header_size = sizeof(std::int32_t) + (flexible && !is_versions ? 1 : 0);
    VisitApis([&]<typename Request, typename Response>(ApiKey key) {
      if (key != frame.key) return;
      const Decoder body(Writable(frame.bytes).subspan(header_size), frame.version, flexible);
      CheckBody<Response>(*api, frame.version, body, flexible && is_versions);
    });
  }
  CHECK(met.size() + kApisUnmetMax >= kApis.size());
}
