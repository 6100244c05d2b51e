// Kafka's clients name groups, members and themselves by any bytes: what native clients and the CLI make of
// them.
#include <catch2/catch.hpp>

#include "headrace/admin.h"
#include "protocol/core/utf8.h"
#include "tests/support/broker_process.h"
#include "tests/support/kafka_client.h"

using namespace headrace;
using Catch::Contains;
using headrace::testing::BrokerProcess;
using headrace::testing::KafkaClient;
using headrace::testing::RunProgram;

namespace {

const std::string kBytes = "M\xffller\x1b[2J";
const std::string kBase64 = "Tf9sbGVyG1sySg==";
const std::string kShown = "M\\xffller\\x1b[2J";

struct Cli {
  const BrokerProcess& broker;

  std::string operator()(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {HEADRACE_PROGRAM, "--broker", broker.address()});
    const auto result = RunProgram(arguments);
    CHECK(result.exit_code == 0);
    CHECK(IsUtf8(result.output));
    CHECK_FALSE(result.output.find('\x1b') != std::string::npos);
    return result.output;
  }
};

}  // namespace

TEST_CASE(
    "Bytes that are no UTF-8 in what Kafka's clients choose: shown, and none of them breaks an answer") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  auto admin = Admin::Connect(ClientOptions(broker.address()));
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("t"));
  KafkaClient kafka(broker.port());
  kafka.client_id = kBytes;
  kafka::OffsetCommitRequest commit;
  commit.group_id = kBytes;
  commit.topics = {{"t", {}, {{0, 0, -1, kBytes}}}};
  const auto committed = kafka.Call<kafka::OffsetCommitResponse>(kafka::ApiKey::kOffsetCommit, 7, commit);
  REQUIRE(committed);
  REQUIRE(committed->topics.at(0).partitions.at(0).error == ErrorCode::kNone);
  kafka::JoinGroupRequest join;
  join.group_id = "members";
  join.session_timeout_ms = 30'000;
  join.rebalance_timeout_ms = 30'000;
  join.instance_id = kBytes;
  join.protocol_type = "consumer";
  join.protocols = {{kBytes, {}}};
  const auto joined = kafka.Call<kafka::JoinGroupResponse>(kafka::ApiKey::kJoinGroup, 5, join);
  REQUIRE(joined);
  REQUIRE(joined->error == ErrorCode::kNone);

  const auto groups = admin->ListGroups();
  REQUIRE(groups);
  CHECK(groups->front().name == kBytes);
  const auto described = admin->DescribeGroup(kBytes);
  REQUIRE(described);
  CHECK(described->positions.at(0).metadata == kBytes);
  const auto members = admin->DescribeGroup("members");
  REQUIRE(members);
  CHECK(members->members.at(0).instance_id == kBytes);
  CHECK(members->members.at(0).client_id == kBytes);
  CHECK_FALSE(admin->DescribeGroup("\xfe"));  // an error that quotes them comes whole as well

  const Cli cli{broker};
  CHECK_THAT(cli({"group", "list"}), Contains(kShown));
  CHECK_THAT(cli({"--json", "group", "list"}), Contains("\"group_base64\":\"" + kBase64 + "\""));
  CHECK_THAT(cli({"group", "describe", kBytes}), Contains("group " + kShown));
  CHECK_THAT(cli({"--json", "group", "describe", kBytes}),
             Contains("\"metadata_base64\":\"" + kBase64 + "\""));
  CHECK_THAT(cli({"group", "describe", "members"}), Contains(kShown));
  CHECK_THAT(cli({"--json", "group", "describe", "members"}), Contains("\"client_id_base64\":\"" + kBase64));
  CHECK_THAT(cli({"stats", "--connections"}), Contains(kShown));
  CHECK_THAT(cli({"--json", "stats", "--connections"}), Contains("\"client_id_base64\":\"" + kBase64 + "\""));
  CHECK(admin->DeleteGroup(kBytes));
  CHECK(IsUtf8(broker.errors()));
  CHECK_THAT(broker.errors(), !Contains("libprotobuf"));
}
