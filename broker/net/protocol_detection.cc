#include "broker/net/protocol_detection.h"

#include <algorithm>

namespace headrace::net {

Detection Detect(const std::vector<Protocol>& protocols, std::string_view first_bytes) {
  Detection detection;
  for (const Protocol& protocol : protocols) {
    const std::string_view preface = protocol.preface;
    if (preface.empty() && static_cast<std::uint8_t>(first_bytes.front()) > protocol.first_byte_max) continue;
    const std::size_t common = std::min(preface.size(), first_bytes.size());
    if (preface.substr(0, common) != first_bytes.substr(0, common)) continue;
    detection.possible = true;
    if (common < preface.size()) continue;
    detection.protocol = &protocol;
    break;
  }
  return detection;
}

std::string_view Looks(std::string_view first_bytes) {
  const auto first = static_cast<unsigned char>(first_bytes.front());
  if (first == 0x16) return "TLS ClientHello on a plaintext listener";
  for (const std::string_view method : {"GET ", "POST", "HEAD", "PUT ", "OPTI"}) {
    if (method.starts_with(first_bytes.substr(0, 4))) return "HTTP request";
  }
  if (first_bytes.starts_with("SSH-")) return "SSH";
  if (first_bytes.starts_with("PROXY")) return "PROXY protocol header";
  return "unknown protocol";
}

}  // namespace headrace::net
