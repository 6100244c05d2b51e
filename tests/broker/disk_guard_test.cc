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
  disk.NoteFull();
  CHECK(CodeOf(disk.Check()) == ErrorCode::kDiskFull);
  disk.Refresh();
  CHECK(disk.Check().ok());
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
