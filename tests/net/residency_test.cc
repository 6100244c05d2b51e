#include "broker/net/residency.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <cerrno>

#include "tests/support/content_file.h"

using namespace headrace;
using net::IsResident;
using net::ResidencyProbe;
using testing::ContentFile;
using testing::Pattern;
using testing::TempDir;

namespace {

bool KernelHasCachestat() {
  return ::syscall(451, -1, nullptr, nullptr, 0U) != -1 || errno != ENOSYS;
}

std::vector<ResidencyProbe> Probes() {
  std::vector<ResidencyProbe> probes = {ResidencyProbe::kAuto, ResidencyProbe::kNowait};
  if (KernelHasCachestat()) probes.push_back(ResidencyProbe::kCachestat);
  return probes;
}

constexpr std::uint64_t kSize = 4 << 20;

// Whether the probe sees a cold range as cold. Asked a few times: a nowait read of a cold page begins to read
// it, and a quick disk may have brought it before the kernel looks again, which is then a true answer.
bool SeenCold(ContentFile& file, const storage::FileSlice& range, ResidencyProbe probe) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    file.MakeCold();
    if (!IsResident(range, probe)) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("Residency: what was just written is resident, what was dropped is not, what was warmed is") {
  const TempDir directory;
  ContentFile file(directory / "log", Pattern(kSize, 1));
  for (const ResidencyProbe probe : Probes()) {
    CAPTURE(static_cast<int>(probe));
    // Ranges at pages' edges and across them, and the last byte.
    const storage::FileSlice ranges[] = {file.Slice(0, kSize), file.Slice(4095, 2), file.Slice(4096, 4096),
                                         file.Slice(1'000'001, 500'000), file.Slice(kSize - 1, 1)};
    for (const storage::FileSlice& range : ranges) {
      CAPTURE(range.position, range.length);
      CHECK(SeenCold(file, range, probe));
      net::WarmUp(range);
      CHECK(IsResident(range, probe));
    }
  }
}

TEST_CASE("Residency: cachestat sees a hole in the middle") {
  if (!KernelHasCachestat()) return;
  const TempDir directory;
  ContentFile file(directory / "log", Pattern(4 * kSize, 1));
  file.MakeCold();
  net::WarmUp(file.Slice(0, 1 << 20));
  net::WarmUp(file.Slice(3 * kSize, kSize));
  CHECK_FALSE(IsResident(file.Slice(0, 4 * kSize), ResidencyProbe::kCachestat));
  CHECK(IsResident(file.Slice(0, 1 << 20), ResidencyProbe::kCachestat));
  CHECK(IsResident(file.Slice(3 * kSize, kSize), ResidencyProbe::kCachestat));
}

TEST_CASE("Residency: cachestat does not touch the pages") {
  if (!KernelHasCachestat()) return;
  const TempDir directory;
  ContentFile file(directory / "log", Pattern(kSize, 1));
  file.MakeCold();
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(IsResident(file.Slice(8192, 65536), ResidencyProbe::kCachestat));
    CHECK_FALSE(IsResident(file.Slice(8192, 65536), ResidencyProbe::kAuto));
  }
}

TEST_CASE("Residency: a range behind the end is warmed and probed without harm") {
  const TempDir directory;
  ContentFile file(directory / "log", Pattern(5000, 1));
  net::WarmUp(file.Slice(4000, 1 << 20));
  net::WarmUp(file.Slice(1 << 20, 100));
  CHECK(IsResident(file.Slice(1 << 20, 0), ResidencyProbe::kAuto));
  CHECK(IsResident(file.Slice(0, 5000), ResidencyProbe::kAuto));
}

TEST_CASE("Residency: off means that everything counts as resident") {
  const TempDir directory;
  ContentFile file(directory / "log", Pattern(kSize, 1));
  file.MakeCold();
  CHECK(IsResident(file.Slice(0, kSize), ResidencyProbe::kOff));
}

TEST_CASE("Residency: probes are known by name") {
  CHECK(net::ParseResidency("auto") == ResidencyProbe::kAuto);
  CHECK(net::ParseResidency("cachestat") == ResidencyProbe::kCachestat);
  CHECK(net::ParseResidency("nowait") == ResidencyProbe::kNowait);
  CHECK(net::ParseResidency("off") == ResidencyProbe::kOff);
  CHECK_FALSE(net::ParseResidency("maybe"));
}
