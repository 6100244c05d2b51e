// What classic members carry past the broker.
#include "broker/group/member_bytes.h"

#include <catch2/catch.hpp>

using namespace headrace::group;

namespace {

std::string Bytes(std::initializer_list<int> bytes) {
  std::string out;
  for (const int byte : bytes) out += static_cast<char>(byte);
  return out;
}

const std::string kSubscription =
    Bytes({0, 1, 0, 0, 0, 2, 0, 1, 'a', 0, 2, 'b', 'c', 0xff, 0xff, 0xff, 0xff});
const std::string kAssignment =
    Bytes({0, 0, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff});

}  // namespace

TEST_CASE("MemberBytes: a subscription names topics, an assignment their partitions") {
  CHECK(DecodeSubscription(kSubscription) == std::vector<std::string>{"a", "bc"});
  CHECK(DecodeAssignment(kAssignment) ==
        std::map<std::string, std::vector<headrace::PartitionId>>{{"a", {0, 7}}});
}

TEST_CASE("MemberBytes: whatever else a member sends gives what could be read of it") {
  for (std::size_t size = 0; size < kSubscription.size(); ++size) {
    CHECK(DecodeSubscription(kSubscription.substr(0, size)).size() <= 2);
  }
  for (std::size_t size = 0; size < kAssignment.size(); ++size) {
    CHECK(DecodeAssignment(kAssignment.substr(0, size)).size() <= 1);
  }
  CHECK(DecodeSubscription(Bytes({0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff})).empty());
  CHECK(DecodeAssignment(Bytes({0, 0, 0x80, 0, 0, 0})).empty());
}
