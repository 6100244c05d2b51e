// CRC-32C (Castagnoli polynomial, reflected 0x82F63B78, initial value and final xor all ones; RFC 3720
// appendix B.4), the checksum of record batches and of every small file on disk.
#pragma once

#include <cstdint>

#include "protocol/core/bytes.h"

namespace headrace {

// CRC-32C of `bytes`; pass an earlier result as `seed` to continue over a second range. Thread: any.
std::uint32_t Crc32c(ByteSpan bytes, std::uint32_t seed = 0);

// The same by a table, without ISA-L or special instructions: the fallback, and the tests' second opinion.
std::uint32_t Crc32cPortable(ByteSpan bytes, std::uint32_t seed = 0);

}  // namespace headrace
