#include "protocol/kafka/frame.h"

namespace headrace::kafka {
namespace {

EncodedFrame Finish(Encoder& header, Encoder& body) {
  std::uint64_t size = header.bytes().size() + body.bytes().size();
  for (const Encoder::Gap& gap : body.gaps()) size += gap.size;
  Encoder front(0, false);
  front(static_cast<std::int32_t>(size));
  front.bytes() += header.bytes();
  EncodedFrame frame;
  frame.gaps = body.gaps();
  for (Encoder::Gap& gap : frame.gaps) gap.position += front.bytes().size();
  frame.bytes = std::move(front.bytes()) + body.bytes();
  return frame;
}

}  // namespace

absl::StatusOr<RequestHeader> DecodeRequestHeader(MutableByteSpan frame) {
  Decoder fixed(frame, 0, false);
  RequestHeader header;
  fixed(header.key, header.version, header.correlation_id, header.client_id);
  if (!fixed.status().ok()) return fixed.status();
  return header;
}

Decoder RequestBody(MutableByteSpan frame, const Api& api, std::int16_t version) {
  Decoder fixed(frame, 0, false);
  RequestHeader header;
  fixed(header.key, header.version, header.correlation_id, header.client_id);
  Decoder body(fixed.rest(), version, api.IsFlexible(version));
  body.Tags();
  return body;
}

EncodedFrame FinishResponse(const Api& api, std::int32_t correlation_id, Encoder& body) {
  Encoder header(body.version(), api.key != ApiKey::kApiVersions && api.IsFlexible(body.version()));
  header(correlation_id);
  header.Tags();
  return Finish(header, body);
}

EncodedFrame FinishRequest(const Api& api, const RequestHeader& header, Encoder& body) {
  Encoder fixed(0, false);
  fixed(header.key, header.version, header.correlation_id, header.client_id);
  Encoder tags(0, api.IsFlexible(header.version));
  tags.Tags();
  fixed.bytes() += tags.bytes();
  return Finish(fixed, body);
}

}  // namespace headrace::kafka
