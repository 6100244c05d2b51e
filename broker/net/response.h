// What goes out on a socket: byte runs and file slices, in order.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "storage/io/file_slice.h"

namespace headrace::net {

using ResponsePiece = std::variant<std::string, storage::FileSlice>;

// One response or pushed frame, sent whole and in order. Movable.
struct Response {
  std::vector<ResponsePiece> pieces;
  // The size of the request that this answers, as OnFrame received it: given back to the connection's
  // in-flight limits when the response is queued. 0 for pushed frames, which answer nothing.
  std::size_t request_size = 0;
};

}  // namespace headrace::net
