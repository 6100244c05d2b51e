#include "broker/net/protocol_detection.h"

#include <catch2/catch.hpp>

using namespace headrace;
using net::Detect;
using net::Detection;

TEST_CASE("Protocols: told by a preface, or by the first byte of who has none") {
  std::vector<net::Protocol> protocols(2);
  protocols[0].name = "native";
  protocols[0].preface = "\x68native";
  protocols[1].name = "Kafka";
  protocols[1].first_byte_max = 6;
  const auto told = [&](std::string_view bytes) -> std::string {
    const Detection detection = Detect(protocols, bytes);
    if (detection.protocol != nullptr) return detection.protocol->name;
    return detection.possible ? "wait" : "none";
  };
  CHECK(told("\x68native") == "native");
  CHECK(told("\x68native and more") == "native");
  for (std::size_t size = 1; size < 7; ++size) CHECK(told(protocols[0].preface.substr(0, size)) == "wait");
  CHECK(told("\x68nativx") == "none");
  CHECK(told(std::string_view("\0", 1)) == "Kafka");
  CHECK(told("\x06") == "Kafka");
  CHECK(told("\x07") == "none");
  CHECK(told("\x16\x03") == "none");
}

TEST_CASE("Protocols: an unknown one is named if it is well known") {
  CHECK(net::Looks("\x16\x03\x01") == "TLS ClientHello on a plaintext listener");
  CHECK(net::Looks("GET / HTTP/1.1") == "HTTP request");
  CHECK(net::Looks("SSH-2.0-x") == "SSH");
  CHECK(net::Looks("PROXY TCP4") == "PROXY protocol header");
  CHECK(net::Looks("\xff\xff") == "unknown protocol");
}
