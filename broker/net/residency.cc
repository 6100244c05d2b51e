#include "broker/net/residency.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <vector>

namespace headrace::net {
namespace {

// glibc 2.36 has no wrapper (man 2 cachestat, "STANDARDS": Linux 6.5).
constexpr long kCachestatCall = 451;
struct CachestatRange {
  std::uint64_t offset;
  std::uint64_t length;
};
struct Cachestat {
  std::uint64_t cached;
  std::uint64_t dirty;
  std::uint64_t writeback;
  std::uint64_t evicted;
  std::uint64_t recently_evicted;
};

constexpr std::uint64_t kPageSize = 4096;
constexpr std::uint64_t kProbeStride = 64
                                       << 10;  // the kernel reads ahead in runs of at least about this size

// nullopt where the kernel cannot tell.
std::optional<bool> ByCachestat(const storage::FileSlice& range) {
  static std::atomic<bool> missing{false};
  if (missing.load(std::memory_order_relaxed)) return std::nullopt;
  CachestatRange asked{range.position, range.length};
  Cachestat answer{};
  if (::syscall(kCachestatCall, range.file->descriptor(), &asked, &answer, 0U) != 0) {
    if (errno == ENOSYS || errno == EPERM) missing.store(true);
    return std::nullopt;
  }
  const std::uint64_t first = range.position / kPageSize;
  const std::uint64_t last = (range.position + range.length - 1) / kPageSize;
  return answer.cached >= last - first + 1;
}

bool ByteIsResident(int descriptor, std::uint64_t position) {
  char byte = 0;
  iovec piece{&byte, 1};
  const ssize_t count = ::preadv2(descriptor, &piece, 1, static_cast<off_t>(position), RWF_NOWAIT);
  // Only EAGAIN says that it would wait; where the call is not supported, it is sent as it is.
  return count >= 0 || errno != EAGAIN;
}

bool ByNowait(const storage::FileSlice& range) {
  const int descriptor = range.file->descriptor();
  const std::uint64_t last = range.position + range.length - 1;
  for (std::uint64_t at = range.position; at < last; at += kProbeStride) {
    if (!ByteIsResident(descriptor, at)) return false;
  }
  return ByteIsResident(descriptor, last);
}

}  // namespace

std::optional<ResidencyProbe> ParseResidency(std::string_view name) {
  if (name == "auto") return ResidencyProbe::kAuto;
  if (name == "cachestat") return ResidencyProbe::kCachestat;
  if (name == "nowait") return ResidencyProbe::kNowait;
  if (name == "off") return ResidencyProbe::kOff;
  return std::nullopt;
}

bool IsResident(const storage::FileSlice& range, ResidencyProbe probe) {
  if (range.length == 0 || probe == ResidencyProbe::kOff) return true;
  if (probe == ResidencyProbe::kNowait) return ByNowait(range);
  const std::optional<bool> known = ByCachestat(range);
  if (probe == ResidencyProbe::kCachestat) return known.value_or(true);
  if (!known) return ByNowait(range);
  // cachestat counts pages that are still on their way from the disk: those are the last ones of a readahead.
  return *known && ByteIsResident(range.file->descriptor(), range.position + range.length - 1);
}

bool ReadIfResident(const storage::FileSlice& range, ResidencyProbe probe, MutableByteSpan out) {
  if (probe == ResidencyProbe::kAuto || probe == ResidencyProbe::kNowait) {
    iovec piece{out.data(), out.size()};
    const ssize_t count =
        ::preadv2(range.file->descriptor(), &piece, 1, static_cast<off_t>(range.position), RWF_NOWAIT);
    if (count >= 0 || errno == EAGAIN) return count == static_cast<ssize_t>(out.size());
    // Not supported here: read as it is, as ByteIsResident has it.
  } else if (!IsResident({range.file, range.position, out.size()}, probe)) {
    return false;
  }
  const auto count = range.file->ReadAt(range.position, out);
  return count.ok() && *count == out.size();
}

void WarmUp(const storage::FileSlice& range) {
  const int descriptor = range.file->descriptor();
  ::readahead(descriptor, static_cast<off64_t>(range.position), range.length);
  // Readahead only begins the work; reading waits for it, and copies a byte of each page at most.
  std::uint64_t at = range.position;
  const std::uint64_t end = range.position + range.length;
  while (at < end) {
    char byte = 0;
    if (::pread(descriptor, &byte, 1, static_cast<off_t>(at)) <= 0) return;  // the send will tell
    at = (at / kPageSize + 1) * kPageSize;
  }
}

}  // namespace headrace::net
