#include "headrace/client.h"

#include "protocol/core/compression.h"

namespace headrace {

std::optional<Codec> ParseCodec(std::string_view name) {
  const std::optional<Compression> compression = ParseCompression(name);
  if (!compression) return std::nullopt;
  return static_cast<Codec>(*compression);
}

}  // namespace headrace
