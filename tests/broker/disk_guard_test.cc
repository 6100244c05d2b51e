#include "broker/topic/disk_guard.h"

#include <catch2/catch.hpp>

#include "protocol/core/error_code.h"
#include "storage/data_directory.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

using namespace headrace;
using headrace::testing::FaultyFileSystem;
using headrace::testing::FileOperation;
using headrace::testing::MemoryFileSystem;
using headrace::topic::DiskGuard;

namespace {

constexpr std::uint64_t kReserve = std::uint64_t{1} << 30;  // of the 1 TiB that a MemoryFileSystem has

std::string Refusal(const DiskGuard& disk) {
  const absl::Status status = disk.Check();
  return status.ok() ? "" : std::string(MessageOf(status));
}

}  // namespace

TEST_CASE("DiskGuard: appends go on down to the reserve, and not below") {
  MemoryFileSystem files;
  files.SetFreeSpace(kReserve);
  DiskGuard disk(files, "/data");
  CHECK(disk.Check().ok());
  files.SetFreeSpace(kReserve - 1);
  CHECK(disk.Check().ok());  // only Refresh asks the file system
  disk.Refresh();
  CHECK(CodeOf(disk.Check()) == ErrorCode::kDiskFull);
  files.SetFreeSpace(kReserve);
  disk.Refresh();
  CHECK(disk.Check().ok());
}

TEST_CASE("DiskGuard: a disk that is full at the start is noticed at once") {
  MemoryFileSystem files;
  files.SetFreeSpace(0);
  CHECK(CodeOf(DiskGuard(files, "/data").Check()) == ErrorCode::kDiskFull);
}

TEST_CASE("DiskGuard: the refusal names the path, what is free and what is kept, and may be retried") {
  MemoryFileSystem files;
  files.SetFreeSpace(12'345);
  const DiskGuard disk(files, "/data");
  CHECK_THAT(Refusal(disk), Catch::Contains("/data") && Catch::Contains("12345 bytes free") &&
                                Catch::Contains(std::to_string(kReserve)));
  CHECK(IsRetriable(CodeOf(disk.Check())));
}

TEST_CASE("DiskGuard: a write that met a full disk stops appends until there is room") {
  MemoryFileSystem files;
  DiskGuard disk(files, "/data");
  disk.NoteFull(absl::ResourceExhaustedError("write /data/x: Disk quota exceeded"));
  CHECK(CodeOf(disk.Check()) == ErrorCode::kDiskFull);
  disk.Refresh();
  CHECK(disk.Check().ok());
}

TEST_CASE("DiskGuard: the refusal names the write that met a full disk, until somebody has looked") {
  MemoryFileSystem files;
  DiskGuard disk(files, "/data");
  disk.NoteFull(absl::ResourceExhaustedError("write /data/x: Disk quota exceeded"));
  CHECK_THAT(Refusal(disk), Catch::Contains("/data/x: Disk quota exceeded"));
  files.SetFreeSpace(7);
  disk.Refresh();
  CHECK_THAT(Refusal(disk), Catch::Contains("7 bytes free") && !Catch::Contains("quota"));
}

TEST_CASE("DiskGuard: that produce is refused is told once, with numbers, and that it goes on") {
  MemoryFileSystem files;
  std::vector<std::string> lines;
  DiskGuard disk(files, "/data", nullptr, [&](const std::string& line) { lines.push_back(line); });
  disk.Refresh();
  CHECK(lines.empty());
  files.SetFreeSpace(12'345);
  for (int i = 0; i < 3; ++i) disk.Refresh();
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], Catch::Contains("12345 bytes free") && Catch::Contains(std::to_string(kReserve)) &&
                           Catch::Contains("refused"));
  files.SetFreeSpace(2 * kReserve);
  for (int i = 0; i < 3; ++i) disk.Refresh();
  REQUIRE(lines.size() == 2);
  CHECK_THAT(lines[1], Catch::Contains(std::to_string(2 * kReserve)) && Catch::Contains("goes on"));
}

TEST_CASE("DiskGuard: a quota that only writes can meet is told once while they meet it") {
  MemoryFileSystem files;
  int lines = 0;
  DiskGuard disk(files, "/data", nullptr, [&](const std::string&) { ++lines; });
  for (int i = 0; i < 5; ++i) {
    disk.NoteFull(absl::ResourceExhaustedError("write /data/x: Disk quota exceeded"));
    disk.Refresh();
    CHECK(disk.Check().ok());  // tried again
  }
  CHECK(lines == 1);
  disk.Refresh();
  CHECK(lines == 2);
}

TEST_CASE("DiskGuard: the ballast is filled again when there is room") {
  MemoryFileSystem files;
  REQUIRE(files.CreateDirectory("/data").ok());
  storage::Ballast ballast(files, "/data/ballast");
  files.SetFreeSpace(0);
  DiskGuard disk(files, "/data", &ballast);
  CHECK_FALSE(files.Exists("/data/ballast"));
  files.SetFreeSpace(2 * kReserve);
  disk.Refresh();
  CHECK(files.Exists("/data/ballast"));
}

TEST_CASE("DiskGuard: while the file system does not answer, what was known stands") {
  MemoryFileSystem memory;
  FaultyFileSystem files(memory);
  DiskGuard disk(files, "/data");
  const auto fail = [](const FileOperation&) { return testing::Fault{absl::InternalError("EIO"), 0}; };
  memory.SetFreeSpace(0);
  files.SetDecide(fail);
  disk.Refresh();
  CHECK(disk.Check().ok());
  files.Heal();
  disk.Refresh();
  CHECK_FALSE(disk.Check().ok());
  memory.SetFreeSpace(2 * kReserve);
  files.SetDecide(fail);
  disk.Refresh();
  CHECK_FALSE(disk.Check().ok());
}

TEST_CASE("DiskGuard: the reserve is 5 % of the disk, and from 64 MiB to 1 GiB") {
  using storage::DataDirectory;
  CHECK(DataDirectory::ReserveOf({0, std::uint64_t{100} << 20}) == std::uint64_t{64} << 20);
  CHECK(DataDirectory::ReserveOf({0, std::uint64_t{10} << 30}) == std::uint64_t{512} << 20);
  CHECK(DataDirectory::ReserveOf({0, std::uint64_t{1} << 40}) == std::uint64_t{1} << 30);
}
