// The frames that capture_frames.py wrote, and the bodies of frames that make_schema_bodies.py made.
#pragma once

#include <string>
#include <vector>

#include "protocol/kafka/api.h"

namespace headrace::testing {

struct GoldenFrame {
  std::string who;  // sent it; of a body: "request" or "response"
  kafka::ApiKey key{};
  std::int16_t version = 0;
  std::string bytes;  // without the size
};

// Empty if there is no such file.
std::vector<GoldenFrame> ReadGoldenFrames(const std::string& path);

}  // namespace headrace::testing
