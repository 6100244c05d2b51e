#include "broker/topic/topic_config.h"

#include <catch2/catch.hpp>

#include "broker/topic/config_keys.h"
#include "protocol/core/error_code.h"

using namespace headrace;
using namespace headrace::topic;
using Catch::Contains;

namespace {

ConfigEntry EntryOf(const TopicConfig& config, std::string_view key) {
  for (const ConfigEntry& entry : config.Entries()) {
    if (entry.key == key) return entry;
  }
  return {};
}

// A value of this key that is not its default, and one that it cannot have.
struct Sample {
  std::string_view key;
  std::string_view value;
  std::string_view wrong;
};

constexpr Sample kSamples[] = {
    {"durability", "written", "maybe"},
    {"cleanup.policy", "compact", "forget"},
    {"compression.type", "zstd", "none"},
    {"delete.retention.ms", "5", "-1"},
    {"max.compaction.lag.ms", "5", "0"},
    {"max.message.bytes", "2000000", "67108865"},
    {"message.timestamp.after.max.ms", "5", "-1"},
    {"message.timestamp.before.max.ms", "5", "-1"},
    {"message.timestamp.type", "LogAppendTime", "logappendtime"},
    {"min.cleanable.dirty.ratio", "0.25", "1.01"},
    {"min.compaction.lag.ms", "5", "-1"},
    {"min.insync.replicas", "1", "2"},
    {"retention.bytes", "5", "-2"},
    {"retention.ms", "5", "-2"},
    {"segment.bytes", "1048576", "2147483648"},
    {"segment.ms", "5", "0"},
};

}  // namespace

TEST_CASE("TopicConfig: every key with an effect takes its values, and tells them") {
  std::size_t keys = 0;
  for (const ConfigKey& key : ConfigKeys()) keys += key.has_effect() ? 1U : 0U;
  CHECK(keys == std::size(kSamples));
  for (const Sample& sample : kSamples) {
    CAPTURE(sample.key);
    TopicConfig config;
    const ConfigEntry before = EntryOf(config, sample.key);
    CHECK(before.is_default);
    CHECK(before.has_effect);
    CHECK_FALSE(before.value.empty());
    CHECK_FALSE(before.help.empty());
    // What a default is spelled as can be set.
    CHECK(TopicConfig().Set(sample.key, before.value).ok());

    REQUIRE(config.Set(sample.key, sample.value).ok());
    CHECK(EntryOf(config, sample.key).value == sample.value);
    CHECK_FALSE(EntryOf(config, sample.key).is_default);
    CHECK(config.own().at(std::string(sample.key)) == sample.value);

    const TopicConfig set = config;
    const absl::Status refused = config.Set(sample.key, sample.wrong);
    CHECK(CodeOf(refused) == ErrorCode::kInvalidConfig);
    CHECK_THAT(std::string(MessageOf(refused)), Contains(std::string(sample.key)));
    CHECK(config.Entries().size() == set.Entries().size());
    CHECK(EntryOf(config, sample.key).value == sample.value);

    REQUIRE(config.Unset(sample.key, TopicConfig()).ok());
    CHECK(EntryOf(config, sample.key).value == before.value);
    CHECK(config.own().empty());
  }
}

TEST_CASE("TopicConfig: durable by default, by Kafka's names") {
  TopicConfig config;
  CHECK(config.durability == Durability::kDurable);
  for (const Sample& sample : kSamples) REQUIRE(config.Set(sample.key, sample.value).ok());
  CHECK(config.durability == Durability::kWritten);
  CHECK(config.log.compact);
  CHECK_FALSE(config.log.delete_by_retention);
  CHECK(config.compression == Compression::kZstd);
  CHECK(config.log.compressed_anew);
  CHECK(config.log.delete_retention_ms == 5);
  CHECK(config.log.max_compaction_lag_ms == 5);
  CHECK(config.batch_size_max == 2000000);
  CHECK(config.timestamp_after_max_ms == 5);
  CHECK(config.timestamp_before_max_ms == 5);
  CHECK(config.log_append_time);
  CHECK(config.log.min_cleanable_dirty_ratio == 0.25);
  CHECK(config.log.min_compaction_lag_ms == 5);
  CHECK(config.log.retention_bytes == 5);
  CHECK(config.log.retention_ms == 5);
  CHECK(config.log.segment_size_max == 1048576);
  CHECK(config.log.segment_age_max_ms == 5);
}

TEST_CASE("TopicConfig: cleanup policies in any order") {
  TopicConfig config;
  for (const char* value :
       {"compact,delete", "delete,compact", " delete , compact ", "delete,compact,delete"}) {
    CAPTURE(value);
    REQUIRE(config.Set("cleanup.policy", value).ok());
    CHECK(config.log.compact);
    CHECK(config.log.delete_by_retention);
    CHECK(EntryOf(config, "cleanup.policy").value == "compact,delete");
  }
  CHECK_FALSE(config.Set("cleanup.policy", "").ok());
  CHECK_FALSE(config.Set("cleanup.policy", "compact,").ok());
}

TEST_CASE("TopicConfig: compression of batches: as sent, not at all, or by a codec") {
  TopicConfig config;
  CHECK_FALSE(config.compression.has_value());
  for (const char* codec : {"gzip", "snappy", "lz4", "zstd"}) {
    REQUIRE(config.Set("compression.type", codec).ok());
    CHECK(config.compression == ParseCompression(codec));
  }
  REQUIRE(config.Set("compression.type", "uncompressed").ok());
  CHECK(config.compression == Compression::kNone);
  REQUIRE(config.Set("compression.type", "producer").ok());
  CHECK_FALSE(config.compression.has_value());
}

TEST_CASE("TopicConfig: more replicas in sync than there are is refused, and says why") {
  const absl::Status status = TopicConfig().Set("min.insync.replicas", "2");
  CHECK(CodeOf(status) == ErrorCode::kInvalidConfig);
  CHECK_THAT(std::string(MessageOf(status)), Contains("there is one broker"));
}

TEST_CASE("TopicConfig: compaction lags must leave room between them") {
  TopicConfig config;
  CHECK(config.CheckTogether().ok());
  REQUIRE(config.Set("min.compaction.lag.ms", "10").ok());
  REQUIRE(config.Set("max.compaction.lag.ms", "10").ok());
  CHECK(config.CheckTogether().ok());
  REQUIRE(config.Set("max.compaction.lag.ms", "9").ok());
  CHECK(CodeOf(config.CheckTogether()) == ErrorCode::kInvalidConfig);
}

TEST_CASE("TopicConfig: an unknown key names the nearest one") {
  TopicConfig config;
  const absl::Status status = config.Set("retention.sm", "1");
  CHECK(CodeOf(status) == ErrorCode::kInvalidConfig);
  CHECK_THAT(std::string(MessageOf(status)), Contains("\"retention.ms\""));
  CHECK_THAT(std::string(MessageOf(config.Set("preallocat", "1"))), Contains("\"preallocate\""));
  CHECK_FALSE(config.Unset("retention.sm", TopicConfig()).ok());
}

TEST_CASE("TopicConfig: values outside their bounds are refused and change nothing") {
  TopicConfig config;
  const TopicConfig before = config;
  for (const char* value : {"", "x", "1e3", "12x", "-2", "99999999999999999999"}) {
    CAPTURE(value);
    CHECK(CodeOf(config.Set("retention.ms", value)) == ErrorCode::kInvalidConfig);
  }
  for (const char* value : {"", "nan", "-0.1", "1.5", "0.5x", "inf"}) {
    CAPTURE(value);
    CHECK(CodeOf(config.Set("min.cleanable.dirty.ratio", value)) == ErrorCode::kInvalidConfig);
  }
  CHECK(CodeOf(config.Set("segment.bytes", "1024")) == ErrorCode::kInvalidConfig);
  CHECK(config.log == before.log);
  CHECK(config.own().empty());
}

TEST_CASE("TopicConfig: Kafka's keys without effect are kept, and told apart") {
  TopicConfig config;
  REQUIRE(config.Set("segment.jitter.ms", "100").ok());
  REQUIRE(config.Set("preallocate", "TRUE").ok());
  REQUIRE(config.Set("leader.replication.throttled.replicas", "0:1, 1:2").ok());
  REQUIRE(config.Set("follower.replication.throttled.replicas", "").ok());
  CHECK(config.own().size() == 4);
  const ConfigEntry entry = EntryOf(config, "segment.jitter.ms");
  CHECK(entry.value == "100");
  CHECK_FALSE(entry.has_effect);
  CHECK_FALSE(entry.is_default);
  CHECK(entry.type == ConfigType::kLong);
  CHECK_THAT(std::string(entry.help), Catch::StartsWith("no effect: "));
  CHECK(EntryOf(config, "preallocate").value == "true");
  CHECK(EntryOf(config, "leader.replication.throttled.replicas").value == "0:1,1:2");
  // Those that nobody set are not listed.
  CHECK(EntryOf(config, "flush.ms").key.empty());
  REQUIRE(config.Unset("segment.jitter.ms", TopicConfig()).ok());
  CHECK(EntryOf(config, "segment.jitter.ms").key.empty());

  CHECK_FALSE(config.Set("segment.jitter.ms", "soon").ok());
  CHECK_FALSE(config.Set("preallocate", "yes").ok());
  // White space would split the registry's line.
  CHECK_FALSE(config.Set("message.format.version", "3.0 IV1").ok());
  CHECK_FALSE(config.Set("message.format.version", "3.0\nx").ok());
  CHECK_FALSE(config.Set("message.format.version", std::string(2000, '3')).ok());
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

TEST_CASE("TopicConfig: synonyms say what would hold without the topic's own value, and the broker's") {
  TopicConfig defaults;
  REQUIRE(defaults.SetDefault("retention.ms", "42").ok());
  TopicConfig config = defaults;
  REQUIRE(config.Set("retention.ms", "7").ok());
  const auto synonyms = config.Synonyms("retention.ms", defaults);
  REQUIRE(synonyms.size() == 3);
  CHECK(synonyms[0].name == "retention.ms");
  CHECK(synonyms[0].value == "7");
  CHECK(synonyms[0].source == ConfigSource::kTopic);
  CHECK(synonyms[1].name == "log.retention.ms");
  CHECK(synonyms[1].value == "42");
  CHECK(synonyms[1].source == ConfigSource::kBroker);
  CHECK(synonyms[2].value == "604800000");
  CHECK(synonyms[2].source == ConfigSource::kBuiltIn);
  CHECK(config.Synonyms("segment.ms", defaults).size() == 1);
  CHECK(config.Synonyms("segment.ms", defaults)[0].name == "log.roll.ms");
  CHECK(config.Synonyms("flush.ms", defaults).empty());
  CHECK(config.Synonyms("no.such", defaults).empty());
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
