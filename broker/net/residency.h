// Whether a range of a file is in the page cache: a hint, for reclaim can win the race.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "storage/io/file_slice.h"

namespace headrace::net {

enum class ResidencyProbe : std::uint8_t {
  kAuto,       // cachestat where the kernel has it (6.5 and later) and nowait of the last byte, else nowait
  kCachestat,  // cachestat(2): counts the cached pages of the whole range, without touching them
  kNowait,     // preadv2(RWF_NOWAIT) of a byte of every 64 KiB and the last: the older kernels' way
  kOff,        // everything counts as resident
};
std::optional<ResidencyProbe> ParseResidency(std::string_view name);

// Whether sending these bytes will probably not wait for the disk. Costs well under a microsecond. Thread:
// any.
bool IsResident(const storage::FileSlice& range, ResidencyProbe probe);

// Fills `out` from the front of the range if that will not wait for the disk; false if it would, if the probe
// says that it would, or if the file is too short.
bool ReadIfResident(const storage::FileSlice& range, ResidencyProbe probe, MutableByteSpan out);

// Brings the range into the page cache. Blocking: for the file pool.
void WarmUp(const storage::FileSlice& range);

}  // namespace headrace::net
