// Files replaced whole: the old or the new content, and never a third.
#include "storage/io/small_file.h"

#include <sys/mman.h>

#include <catch2/catch.hpp>

#include "protocol/core/error_code.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace headrace::storage {
namespace {

using headrace::testing::FaultyFileSystem;
using headrace::testing::MemoryFileSystem;

constexpr const char* kPath = "/data/meta";

struct Fixture {
  Fixture() {
    REQUIRE(memory.CreateDirectory("/data").ok());
    REQUIRE(memory.SyncDirectory("/").ok());
  }
  absl::Status Replace(std::string_view content, std::uint32_t format = 1) {
    return ReplaceSmallFile(files, kPath, format, AsBytes(content));
  }
  // "format:content", or the error's code.
  std::string Read() {
    const auto file = ReadSmallFile(files, kPath);
    if (!file.ok()) return absl::StatusCodeToString(file.status().code());
    return std::to_string(file->format) + ":" + std::string(AsText(file->content));
  }

  MemoryFileSystem memory;
  FaultyFileSystem files{memory};
};

TEST_CASE("Small file: content and format are read back") {
  Fixture fixture;
  CHECK(fixture.Read() == "NOT_FOUND");
  REQUIRE(fixture.Replace("first").ok());
  CHECK(fixture.Read() == "1:first");
  REQUIRE(fixture.Replace("", 2).ok());
  CHECK(fixture.Read() == "2:");
  CHECK(fixture.memory.Files() == std::vector<std::string>{kPath});
}

TEST_CASE("Small file: a replaced file survives the loss of power") {
  const auto seed = GENERATE(range(0, 20));
  Fixture fixture;
  REQUIRE(fixture.Replace("old").ok());
  REQUIRE(fixture.Replace("new").ok());
  fixture.memory.CrashPower(static_cast<std::uint64_t>(seed));
  CHECK(fixture.Read() == "1:new");
}

TEST_CASE("Small file: stopped at any operation, it is the old or the new one") {
  Fixture counting;
  REQUIRE(counting.Replace("old").ok());
  counting.files.Heal();
  REQUIRE(counting.Replace("new").ok());
  const std::uint64_t operations = counting.files.operations();
  REQUIRE(operations >= 5);  // create, write, sync, rename, sync of the directory
  for (std::uint64_t at = 1; at <= operations; ++at) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      Fixture fixture;
      REQUIRE(fixture.Replace("old").ok());
      fixture.files.Heal();
      fixture.files.DieAt(at);
      CHECK_FALSE(fixture.Replace("new, and longer").ok());
      fixture.files.Heal();
      seed == 0 ? fixture.memory.CrashProcess() : fixture.memory.CrashPower(seed);
      const std::string found = fixture.Read();
      CAPTURE(at, seed, found);
      CHECK((found == "1:old" || found == "1:new, and longer"));
      // What was left behind is in nobody's way.
      REQUIRE(fixture.Replace("next").ok());
      CHECK(fixture.Read() == "1:next");
    }
  }
}

TEST_CASE("Small file: a full disk leaves the old one") {
  Fixture fixture;
  REQUIRE(fixture.Replace("old").ok());
  for (std::uint64_t room = 0; room < 16 + 3; ++room) {
    fixture.files.FillAfter(room);
    CHECK(absl::IsResourceExhausted(fixture.Replace("new")));
    CHECK(fixture.Read() == "1:old");
  }
  fixture.files.Heal();
  REQUIRE(fixture.Replace("new").ok());
  CHECK(fixture.Read() == "1:new");
}

TEST_CASE("Small file: cut at any byte, or longer, it is damaged") {
  Fixture fixture;
  REQUIRE(fixture.Replace("some content").ok());
  const std::vector<std::byte> whole = fixture.memory.Read(kPath);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    fixture.memory.Write(kPath, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
    CAPTURE(size);
    CHECK(fixture.Read() == "DATA_LOSS");
  }
  std::vector<std::byte> longer = whole;
  longer.push_back(std::byte{0});
  fixture.memory.Write(kPath, longer);
  CHECK(fixture.Read() == "DATA_LOSS");
}

TEST_CASE("Small file: any flipped bit is noticed, in the format number too") {
  Fixture fixture;
  REQUIRE(fixture.Replace("some content").ok());
  const std::vector<std::byte> whole = fixture.memory.Read(kPath);
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::vector<std::byte> flipped = whole;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    fixture.memory.Write(kPath, flipped);
    CAPTURE(bit);
    CHECK(fixture.Read() == "DATA_LOSS");
  }
}

TEST_CASE("Small file: the message says which file and what is wrong with it") {
  Fixture fixture;
  REQUIRE(fixture.Replace("some content").ok());
  std::vector<std::byte> bytes = fixture.memory.Read(kPath);
  bytes.pop_back();
  fixture.memory.Write(kPath, bytes);
  const auto file = ReadSmallFile(fixture.files, kPath);
  CHECK(std::string(MessageOf(file.status())) == "/data/meta: it states 12 bytes of content and has 11");
}

TEST_CASE("Small file: content over 1 GiB is refused before anything is touched") {
  constexpr std::size_t kTooLong = (std::size_t{1} << 30) + 1;
  // Reserved, never read: no page of it becomes memory.
  void* const pages =
      ::mmap(nullptr, kTooLong, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(pages != MAP_FAILED);
  Fixture fixture;
  REQUIRE(fixture.Replace("old").ok());
  fixture.files.Heal();
  const absl::Status status =
      ReplaceSmallFile(fixture.files, kPath, 1, {static_cast<const std::byte*>(pages), kTooLong});
  ::munmap(pages, kTooLong);
  CHECK(std::string(MessageOf(status)) == "/data/meta: 1073741825 bytes of content, the limit is 1073741824");
  CHECK(absl::IsInvalidArgument(status));
  CHECK(fixture.files.operations() == 0);
  CHECK(fixture.Read() == "1:old");
}

TEST_CASE("Small file: a size that lies takes no memory") {
  Fixture fixture;
  std::vector<std::byte> bytes(16, std::byte{0xff});
  std::copy_n(AsBytes("HRSF").begin(), 4, bytes.begin());
  fixture.memory.Write(kPath, bytes);
  CHECK(fixture.Read() == "DATA_LOSS");
}

}  // namespace
}  // namespace headrace::storage
