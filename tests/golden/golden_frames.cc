#include "tests/golden/golden_frames.h"

#include <fstream>

#include "absl/strings/escaping.h"

namespace headrace::testing {

std::vector<GoldenFrame> ReadGoldenFrames(const std::string& path) {
  std::ifstream file(path);
  std::vector<GoldenFrame> frames;
  GoldenFrame frame;
  std::int16_t key = 0;
  for (std::string hex; file >> frame.who >> key >> frame.version >> hex;) {
    frame.key = kafka::ApiKey{key};
    frame.bytes = absl::HexStringToBytes(hex);
    frames.push_back(frame);
  }
  return frames;
}

}  // namespace headrace::testing
