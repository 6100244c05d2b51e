// Frames of the Kafka protocol: a size, a header, a body (https://kafka.apache.org/protocol, "Protocol
// Guide").
//
//   request   0          4         6           8                12
//            +----------+---------+-----------+----------------+-----------------+------+--------
//            | size     | api key | version   | correlation id | client id:      | tags | body
//            | int32    | int16   | int16     | int32          | int16 size, ... |      | ...
//            +----------+---------+-----------+----------------+-----------------+------+--------
//   response  0          4                8
//            +----------+----------------+------+--------
//            | size     | correlation id | tags | body
//            | int32    | int32          |      | ...
//            +----------+----------------+------+--------
//
// `size` counts what follows it. `tags` are there in flexible versions only, and never in the response to
// ApiVersions: a client that guessed its version too high must still be able to read it (KIP-511).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "protocol/kafka/api.h"
#include "protocol/kafka/decoder.h"
#include "protocol/kafka/encoder.h"

namespace headrace::kafka {

struct RequestHeader {
  ApiKey key{};
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string> client_id;
};

// Reads the header of a request, as far as it is the same in all versions, from a frame without its size.
// Error: kInvalidRequest.
absl::StatusOr<RequestHeader> DecodeRequestHeader(MutableByteSpan frame);
// What follows the header. REQUIRES: DecodeRequestHeader took this frame, and `api` serves the version.
Decoder RequestBody(MutableByteSpan frame, const Api& api, std::int16_t version);

// A frame ready to be sent, with places where record bytes of somebody else belong.
struct EncodedFrame {
  std::string bytes;
  std::vector<Encoder::Gap> gaps;
};

// Puts sizes and header in front of an encoded body.
EncodedFrame FinishResponse(const Api& api, std::int32_t correlation_id, Encoder& body);
EncodedFrame FinishRequest(const Api& api, const RequestHeader& header, Encoder& body);

template <typename Message>
EncodedFrame EncodeResponse(const Api& api, std::int16_t version, std::int32_t correlation_id,
                            const Message& message) {
  Encoder body(version, api.IsFlexible(version));
  body(message);
  return FinishResponse(api, correlation_id, body);
}

template <typename Message>
EncodedFrame EncodeRequest(const Api& api, const RequestHeader& header, const Message& message) {
  Encoder body(header.version, api.IsFlexible(header.version));
  body(message);
  return FinishRequest(api, header, body);
}

}  // namespace headrace::kafka
