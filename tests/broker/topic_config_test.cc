#include "broker/topic/topic_config.h"

#include <catch2/catch.hpp>

#include "protocol/core/error_code.h"

using namespace headrace;
using namespace headrace::topic;

TEST_CASE("TopicConfig: durable by default, by Kafka's names") {
  TopicConfig config;
  CHECK(config.durability == Durability::kDurable);
  REQUIRE(config.Set("retention.ms", "1000").ok());
  REQUIRE(config.Set("retention.bytes", "-1").ok());
  REQUIRE(config.Set("segment.bytes", "1048576").ok());
  REQUIRE(config.Set("segment.ms", "60000").ok());
  REQUIRE(config.Set("max.message.bytes", "2000000").ok());
  REQUIRE(config.Set("durability", "written").ok());
  CHECK(config.log.retention_ms == 1000);
  CHECK(config.log.retention_bytes == -1);
  CHECK(config.log.segment_size_max == 1048576);
  CHECK(config.log.segment_age_max_ms == 60000);
  CHECK(config.batch_size_max == 2000000);
  CHECK(config.durability == Durability::kWritten);
}

TEST_CASE("TopicConfig: an unknown key names the nearest one") {
  TopicConfig config;
  const absl::Status status = config.Set("retention.sm", "1");
  CHECK(CodeOf(status) == ErrorCode::kInvalidConfig);
  CHECK_THAT(std::string(MessageOf(status)), Catch::Contains("\"retention.ms\""));
}

TEST_CASE("TopicConfig: values outside their bounds are refused and change nothing") {
  TopicConfig config;
  const TopicConfig before = config;
  for (const char* value : {"", "x", "1e3", "12x", "-2", "99999999999999999999"}) {
    CAPTURE(value);
    CHECK(CodeOf(config.Set("retention.ms", value)) == ErrorCode::kInvalidConfig);
  }
  CHECK(CodeOf(config.Set("segment.bytes", "1024")) == ErrorCode::kInvalidConfig);
  CHECK(config.log == before.log);
  CHECK(config.own().empty());
}

TEST_CASE("TopicConfig: unset returns to the broker's default") {
  TopicConfig defaults;
  REQUIRE(defaults.SetDefault("retention.ms", "42").ok());
  TopicConfig config = defaults;
  REQUIRE(config.Set("retention.ms", "7").ok());
  CHECK(config.own().size() == 1);
  REQUIRE(config.Unset("retention.ms", defaults).ok());
  CHECK(config.log.retention_ms == 42);
  CHECK(config.own().empty());
}

TEST_CASE("TopicConfig: entries tell own values from defaults") {
  TopicConfig config;
  REQUIRE(config.Set("segment.ms", "5").ok());
  for (const ConfigEntry& entry : config.Entries()) {
    CAPTURE(entry.key);
    CHECK(entry.is_default == (entry.key != "segment.ms"));
  }
}

TEST_CASE("NearestName: near is suggested, far is not") {
  CHECK(NearestName("durabilty", {"durability", "retention.ms"}) == "durability");
  CHECK(NearestName("xyzzy", {"durability", "retention.ms"}).empty());
}
