// Any bytes that a Kafka client calls its subscription or assignment, and any record of __consumer_offsets,
// give a value or nothing; a record that is understood is written again as it was.
#include <algorithm>

#include "broker/group/member_bytes.h"
#include "broker/group/offset_record.h"
#include "protocol/core/status_macros.h"

namespace headrace::group {
namespace {

void FuzzMembers(ByteSpan bytes) {
  DecodeSubscription(AsText(bytes));
  DecodeAssignment(AsText(bytes));
}

void FuzzRecords(ByteSpan bytes) {
  if (const auto key = DecodeKey(bytes)) {
    const auto again = key->partition ? EncodeKey(key->group, *key->partition) : EncodeFormerKey(key->group);
    HEADRACE_CHECK(std::ranges::equal(again, bytes));
  }
  if (const auto value = DecodeValue(bytes)) HEADRACE_CHECK(DecodeValue(EncodeValue(*value)) == value);
  if (const auto former = DecodeFormer(bytes)) HEADRACE_CHECK(DecodeFormer(EncodeFormer(*former)) == former);
}

}  // namespace
}  // namespace headrace::group

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const headrace::ByteSpan bytes{reinterpret_cast<const std::byte*>(data), size};
  headrace::group::FuzzMembers(bytes);
  headrace::group::FuzzRecords(bytes);
  return 0;
}
