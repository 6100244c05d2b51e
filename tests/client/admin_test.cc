#include "headrace/admin.h"

#include <catch2/catch.hpp>

#include "client/socket.h"
#include "tests/support/fake_broker.h"

namespace headrace {
namespace {

using test::FakeBroker;

TEST_CASE("Admin: describes a topic, and says which one is unknown") {
  FakeBroker broker(3);
  Result<Admin> admin = Admin::Connect(broker.address());
  REQUIRE(admin);
  CHECK(admin->broker().software == "fake");
  const Result<TopicInfo> topic = admin->DescribeTopic("orders");
  REQUIRE(topic);
  CHECK(topic->partition_count == 3);
  CHECK(topic->id == "30313233343536373839616263646566");
  const Result<TopicInfo> unknown = admin->DescribeTopic("nothing");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == error_number::kUnknownTopicOrPartition);
}

TEST_CASE("Admin: lists and commits offsets") {
  FakeBroker broker(2);
  broker.Append(1, {"a", "b", "c"});
  broker.TrimTo(1, 1);
  Result<Admin> admin = Admin::Connect(broker.address());
  REQUIRE(admin);
  const auto ends = admin->ListOffsets("orders", OffsetAt::End());
  REQUIRE(ends);
  REQUIRE(ends->size() == 2);
  CHECK((*ends)[1].offset == 3);
  const auto starts = admin->ListOffsets("orders", OffsetAt::Start(), {1});
  REQUIRE(starts);
  REQUIRE(starts->size() == 1);
  CHECK(starts->front().partition == 1);
  CHECK(starts->front().offset == 1);
  REQUIRE(admin->CommitOffsets("billing", {{"orders", 1, 2, "", -1}}));
  CHECK(broker.committed().at({"billing", 1}) == 2);
}

TEST_CASE("Admin: a call after the broker restarted opens the connection again") {
  FakeBroker broker;
  Result<Admin> admin = Admin::Connect(broker.address());
  REQUIRE(admin);
  broker.Stop();
  CHECK_FALSE(admin->DescribeTopic("orders"));
  broker.Start();
  CHECK(admin->DescribeTopic("orders"));
  broker.DropConnections();
  CHECK(admin->DescribeTopic("orders"));
}

TEST_CASE("Admin: nobody there is a retriable error that names the broker") {
  FakeBroker broker;
  broker.Stop();
  const Result<Admin> admin = Admin::Connect(broker.address());
  REQUIRE_FALSE(admin);
  CHECK(admin.error().code == error_number::kNetwork);
  CHECK(admin.error().retriable);
  CHECK_THAT(admin.error().message, Catch::Contains(broker.address()) && Catch::Contains("refused"));
}

TEST_CASE("HostPort: names, ports and addresses") {
  CHECK(ParseHostPort("broker")->port == "9092");
  CHECK(ParseHostPort("broker:80")->host == "broker");
  CHECK(ParseHostPort("broker:80")->port == "80");
  CHECK(ParseHostPort("[::1]:80")->host == "::1");
  CHECK(ParseHostPort("[::1]:80")->port == "80");
  CHECK(ParseHostPort("[::1]")->port == "9092");
  CHECK(ParseHostPort("::1")->host == "::1");
  for (const char* bad : {"", ":80", "broker:", "broker:0", "broker:65536", "broker:x", "[::1]80", "[]:80"}) {
    CHECK_FALSE(ParseHostPort(bad));
  }
}

}  // namespace
}  // namespace headrace
