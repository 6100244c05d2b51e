// Where clients are told to find the broker.
#pragma once

#include <cstdint>
#include <string>

#include "broker/kafka/request.h"

namespace headrace::kafka {

struct Address {
  std::string host;
  std::int32_t port = 0;
};

// The setting `advertised`, or the address this connection came in by: what worked for the first connection
// works for the next.
inline Address AdvertisedAddress(const Request& request) {
  const Services& services = *request.services;
  if (!services.advertised_host.empty()) return {services.advertised_host, services.advertised_port};
  return {request.channel->local_host(), request.channel->local_port()};
}

}  // namespace headrace::kafka
