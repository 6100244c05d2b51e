#include "storage/io/ballast.h"

#include <catch2/catch.hpp>

#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace headrace::storage {
namespace {

using headrace::testing::FaultyFileSystem;
using headrace::testing::MemoryFileSystem;

constexpr const char* kPath = "/ballast";

// A write that fails while there is more ballast than `left`, and counts its runs.
struct SmallWrite {
  absl::Status operator()() {
    ++runs;
    return memory->Read(kPath).size() > left ? status : absl::OkStatus();
  }
  MemoryFileSystem* memory;
  std::uint64_t left;
  absl::Status status = absl::ResourceExhaustedError("No space left on device");
  int runs = 0;
};

TEST_CASE("Ballast: as much of it is given up as a write on a full disk needs, and comes back") {
  MemoryFileSystem memory;
  Ballast ballast(memory, kPath);
  ballast.Fill();
  CHECK(memory.Read(kPath).size() == Ballast::kSize);
  for (const std::uint64_t left : {Ballast::kSize / 2, Ballast::kSize / 4, std::uint64_t{0}}) {
    SmallWrite write{&memory, left};
    CHECK(ballast.Lighten(std::ref(write)).ok());
    CHECK(write.runs > 1);
    CHECK(memory.Read(kPath).size() == Ballast::kSize);
  }
}

TEST_CASE("Ballast: it cannot help for ever, nor against another failure") {
  MemoryFileSystem memory;
  Ballast ballast(memory, kPath);
  ballast.Fill();
  CHECK(
      absl::IsResourceExhausted(ballast.Lighten([] { return absl::ResourceExhaustedError("still full"); })));
  SmallWrite broken{&memory, 0, absl::InternalError("EIO")};
  CHECK(absl::IsInternal(ballast.Lighten(std::ref(broken))));
  CHECK(broken.runs == 1);
  CHECK(memory.Read(kPath).size() == Ballast::kSize);
}

TEST_CASE("Ballast: it takes what room there is, and what the run before has left") {
  MemoryFileSystem memory;
  FaultyFileSystem files(memory);
  {
    Ballast ballast(files, kPath);
    files.FillAfter(Ballast::kSize / 2 + 1);
    ballast.Fill();
    SmallWrite write{&memory, Ballast::kSize / 4};
    CHECK(ballast.Lighten(std::ref(write)).ok());
    files.Heal();
    ballast.Fill();
    CHECK(memory.Read(kPath).size() == Ballast::kSize);
  }
  Ballast ballast(files, kPath);
  files.FillAfter(0);
  ballast.Fill();
  SmallWrite write{&memory, 0};
  CHECK(ballast.Lighten(std::ref(write)).ok());
}

}  // namespace
}  // namespace headrace::storage
