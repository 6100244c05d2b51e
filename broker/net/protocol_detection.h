// Tells the protocols of a port from each other by a connection's first bytes.
#pragma once

#include <string_view>
#include <vector>

#include "broker/net/net_options.h"

namespace headrace::net {

struct Detection {
  const Protocol* protocol = nullptr;  // nullptr: none, or not yet
  bool possible = false;               // it is one, or may become one with more bytes
};
// `first_bytes` is not empty.
Detection Detect(const std::vector<Protocol>& protocols, std::string_view first_bytes);

// What the first bytes of an unknown protocol look like, for the log line.
std::string_view Looks(std::string_view first_bytes);

}  // namespace headrace::net
