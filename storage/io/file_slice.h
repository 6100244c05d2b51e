// A range of bytes of an open file, on its way to a socket.
#pragma once

#include <cstdint>
#include <memory>

#include "storage/io/file.h"

namespace headrace::storage {

// Owns its file: deleting a segment only unlinks it, and the bytes stay until the last slice is gone.
// The bytes it names are published and never change. Copyable; thread: any.
struct FileSlice {
  std::shared_ptr<const File> file;
  std::uint64_t position = 0;  // bytes from the start of the file
  std::uint64_t length = 0;    // bytes
};

}  // namespace headrace::storage
