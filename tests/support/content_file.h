// A file whose every byte is known, for tests of what sends it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "storage/io/file_slice.h"
#include "storage/io/posix_file_system.h"
#include "tests/support/temp_dir.h"

namespace headrace::testing {

// Bytes of which any range tells where it is from.
inline std::string Pattern(std::size_t size, std::uint64_t seed) {
  std::string bytes(size, '\0');
  std::uint64_t state = seed * 2 + 1;
  for (std::size_t i = 0; i < size; i += 8) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const std::uint64_t mixed = state ^ (state >> 29);
    std::memcpy(bytes.data() + i, &mixed, std::min<std::size_t>(8, size - i));
  }
  return bytes;
}

// A file on disk with known content, and slices of it.
class ContentFile {
 public:
  ContentFile(const std::string& path, std::string content) : path_(path), content_(std::move(content)) {
    auto opened = storage::PosixFileSystem().Open(path, storage::OpenMode::kCreate);
    REQUIRE(opened.ok());
    file_ = *opened;
    const ByteSpan piece = AsBytes(content_);
    REQUIRE(file_->WriteAt(0, {&piece, 1}).ok());
  }

  storage::FileSlice Slice(std::uint64_t position, std::uint64_t length) const {
    return {file_, position, length};
  }
  std::string_view Expected(std::uint64_t position, std::uint64_t length) const {
    return std::string_view(content_).substr(position, length);
  }
  storage::File& file() { return *file_; }
  const std::string& path() const { return path_; }

  // Takes every page of the file out of the cache. Reads it first: a page that a readahead is still bringing
  // in cannot be dropped, and would be back a moment later.
  void MakeCold() {
    REQUIRE(file_->Sync().ok());
    std::string all(content_.size(), '\0');
    REQUIRE(::pread(file_->descriptor(), all.data(), all.size(), 0) == static_cast<ssize_t>(all.size()));
    REQUIRE(::posix_fadvise(file_->descriptor(), 0, 0, POSIX_FADV_DONTNEED) == 0);
  }

 private:
  std::string path_;
  std::string content_;
  std::shared_ptr<storage::File> file_;
};

}  // namespace headrace::testing
