#include "broker/topic/config_keys.h"

#include <array>

namespace headrace::topic {
namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kIntMax = std::numeric_limits<std::int32_t>::max();

std::string Text(std::string_view text) {
  return std::string(text);
}

std::string CleanupPolicy(const TopicConfig& config) {
  if (!config.log.compact) return "delete";
  return config.log.delete_by_retention ? "compact,delete" : "compact";
}

std::string CompressionType(const TopicConfig& config) {
  if (!config.compression) return "producer";
  return *config.compression == Compression::kNone ? "uncompressed" : Text(NameOf(*config.compression));
}

void SetCompressionType(TopicConfig& config, std::string_view value) {
  config.compression = value == "uncompressed" ? Compression::kNone : ParseCompression(value);
  config.log.compressed_anew = config.compression.has_value();
}

using enum ConfigType;
using C = TopicConfig;
using I64 = std::int64_t;

constexpr std::size_t kKeyCount = 37;
constexpr std::array<ConfigKey, kKeyCount> kKeys = {{
    {"durability", kString, "durability",
     "what an acknowledgement means: on disk (durable), or in the page cache (written)",
     ChoiceKey{"durable|written", [](const C& c) { return Text(NameOf(c.durability)); },
               [](C& c, std::string_view v) {
                 c.durability = v == "durable" ? Durability::kDurable : Durability::kWritten;
               }}},
    {"cleanup.policy", kList, "log.cleanup.policy",
     "what old records make room by: whole segments deleted, or only the last record of each key kept",
     ChoiceKey{"delete|compact|compact,delete", CleanupPolicy,
               [](C& c, std::string_view v) {
                 c.log.compact = v != "delete";
                 c.log.delete_by_retention = v != "compact";
               }}},
    {"compression.type", kString, "compression.type",
     "what batches are compressed with; producer: as they were sent",
     ChoiceKey{"producer|uncompressed|gzip|snappy|lz4|zstd", CompressionType, SetCompressionType}},
    {"delete.retention.ms", kLong, "log.cleaner.delete.retention.ms",
     "compaction: how long a deletion's record (a null value) stays",
     NumberKey{0, kNoLimit, [](const C& c) -> I64 { return c.log.delete_retention_ms; },
               [](C& c, I64 v) { c.log.delete_retention_ms = v; }}},
    {"max.compaction.lag.ms", kLong, "log.cleaner.max.compaction.lag.ms",
     "compaction: how long a record may wait for it, however little there is to gain",
     NumberKey{1, kNoLimit, [](const C& c) -> I64 { return c.log.max_compaction_lag_ms; },
               [](C& c, I64 v) { c.log.max_compaction_lag_ms = v; }}},
    {"max.message.bytes", kInt, "message.max.bytes", "bytes of one batch",
     NumberKey{1024, 64 << 20, [](const C& c) -> I64 { return c.batch_size_max; },
               [](C& c, I64 v) { c.batch_size_max = static_cast<std::uint32_t>(v); }}},
    {"message.timestamp.after.max.ms", kLong, "log.message.timestamp.after.max.ms",
     "how far a batch's largest timestamp may lie ahead of the broker's clock",
     NumberKey{0, kNoLimit, [](const C& c) -> I64 { return c.timestamp_after_max_ms; },
               [](C& c, I64 v) { c.timestamp_after_max_ms = v; }}},
    {"message.timestamp.before.max.ms", kLong, "log.message.timestamp.before.max.ms",
     "how far a batch's first timestamp may lie behind the broker's clock",
     NumberKey{0, kNoLimit, [](const C& c) -> I64 { return c.timestamp_before_max_ms; },
               [](C& c, I64 v) { c.timestamp_before_max_ms = v; }}},
    {"message.timestamp.type", kString, "log.message.timestamp.type",
     "whose clock a record's timestamp is of: its producer's, or the broker's when it is appended",
     ChoiceKey{"CreateTime|LogAppendTime",
               [](const C& c) { return Text(c.log_append_time ? "LogAppendTime" : "CreateTime"); },
               [](C& c, std::string_view v) { c.log_append_time = v == "LogAppendTime"; }}},
    {"min.cleanable.dirty.ratio", kDouble, "log.cleaner.min.cleanable.ratio",
     "compaction: the share of a log not yet compacted at which it begins",
     RatioKey{[](const C& c) { return c.log.min_cleanable_dirty_ratio; },
              [](C& c, double v) { c.log.min_cleanable_dirty_ratio = v; }}},
    {"min.compaction.lag.ms", kLong, "log.cleaner.min.compaction.lag.ms",
     "compaction: how long every record stays",
     NumberKey{0, kNoLimit, [](const C& c) -> I64 { return c.log.min_compaction_lag_ms; },
               [](C& c, I64 v) { c.log.min_compaction_lag_ms = v; }}},
    {"min.insync.replicas", kInt, "min.insync.replicas",
     "replicas that must have a batch before it is acknowledged",
     NumberKey{1, 1, [](const C&) -> I64 { return 1; }, [](C&, I64) {},
               "a partition has one replica, as there is one broker: with more wanted in sync, every "
               "produce request with acks=all would be refused"}},
    {"retention.bytes", kLong, "log.retention.bytes", "bytes kept of a partition; -1: no limit",
     NumberKey{-1, kNoLimit, [](const C& c) -> I64 { return c.log.retention_bytes; },
               [](C& c, I64 v) { c.log.retention_bytes = v; }}},
    {"retention.ms", kLong, "log.retention.ms", "time kept; -1: for ever",
     NumberKey{-1, kNoLimit, [](const C& c) -> I64 { return c.log.retention_ms; },
               [](C& c, I64 v) { c.log.retention_ms = v; }}},
    {"segment.bytes", kInt, "log.segment.bytes", "bytes of one segment file, and of one batch at most",
     NumberKey{64 << 10, kIntMax, [](const C& c) { return static_cast<I64>(c.log.segment_size_max); },
               [](C& c, I64 v) { c.log.segment_size_max = static_cast<std::uint64_t>(v); }}},
    {"segment.ms", kLong, "log.roll.ms", "age at which a segment is closed",
     NumberKey{1, kNoLimit, [](const C& c) -> I64 { return c.log.segment_age_max_ms; },
               [](C& c, I64 v) { c.log.segment_age_max_ms = v; }}},
    // Kafka's, without effect here; the help says what is in its place.
    {"compression.gzip.level", kInt, "", "no effect: gzip's own default is used", KeptKey{}},
    {"compression.lz4.level", kInt, "", "no effect: lz4's own default is used", KeptKey{}},
    {"compression.zstd.level", kInt, "", "no effect: zstd's own default is used", KeptKey{}},
    {"file.delete.delay.ms", kLong, "", "no effect: a deleted segment's readers keep its bytes", KeptKey{}},
    {"flush.messages", kLong, "", "no effect: durability says when batches reach the disk", KeptKey{}},
    {"flush.ms", kLong, "", "no effect: durability says when batches reach the disk", KeptKey{}},
    {"follower.replication.throttled.replicas", kList, "", "no effect: nothing is replicated", KeptKey{}},
    {"index.interval.bytes", kInt, "", "no effect: indexes have an interval of their own", KeptKey{}},
    {"leader.replication.throttled.replicas", kList, "", "no effect: nothing is replicated", KeptKey{}},
    {"local.retention.bytes", kLong, "", "no effect: all segments are local", KeptKey{}},
    {"local.retention.ms", kLong, "", "no effect: all segments are local", KeptKey{}},
    {"message.downconversion.enable", kBoolean, "", "no effect: there is one message format", KeptKey{}},
    {"message.format.version", kString, "", "no effect: there is one message format", KeptKey{}},
    {"message.timestamp.difference.max.ms", kLong, "",
     "no effect: message.timestamp.before.max.ms and after.max.ms are in its place", KeptKey{}},
    {"preallocate", kBoolean, "", "no effect: segments grow as they are written", KeptKey{}},
    {"remote.log.copy.disable", kBoolean, "", "no effect: all segments are local", KeptKey{}},
    {"remote.log.delete.on.disable", kBoolean, "", "no effect: all segments are local", KeptKey{}},
    {"remote.storage.enable", kBoolean, "", "no effect: all segments are local", KeptKey{}},
    {"segment.index.bytes", kInt, "", "no effect: indexes grow with their segments", KeptKey{}},
    {"segment.jitter.ms", kLong, "", "no effect: segments are closed when they are due", KeptKey{}},
    {"unclean.leader.election.enable", kBoolean, "", "no effect: nothing is replicated", KeptKey{}},
}};

}  // namespace

std::span<const ConfigKey> ConfigKeys() {
  return kKeys;
}

}  // namespace headrace::topic
