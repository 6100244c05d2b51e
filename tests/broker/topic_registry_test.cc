#include "broker/topic/topic_registry.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "protocol/core/error_code.h"
#include "storage/io/small_file.h"
#include "tests/support/faulty_topics.h"

using namespace headrace;
using headrace::testing::Fault;
using headrace::testing::FaultyTopics;
using headrace::testing::FileOperation;
using headrace::testing::MakeBatch;
using headrace::topic::AlterTopicOptions;
using headrace::topic::CheckTopicName;
using headrace::topic::CreateTopicOptions;
using headrace::topic::TopicPtr;
using headrace::topic::TopicRegistry;
using Values = std::vector<std::string>;

namespace {

constexpr const char* kFile = "/data/registry";

absl::StatusOr<TopicPtr> Create(FaultyTopics& topics, const std::string& name, std::uint32_t partitions = 1,
                                FaultyTopics::Configs configs = {}) {
  CreateTopicOptions options;
  options.name = name;
  options.partitions = partitions;
  options.configs = std::move(configs);
  return topics.registry->Create(options);
}

absl::StatusOr<TopicPtr> Alter(FaultyTopics& topics, const TopicId& id, FaultyTopics::Configs configs,
                               std::uint32_t partitions = 0) {
  AlterTopicOptions options;
  options.configs = std::move(configs);
  options.partitions = partitions;
  return topics.registry->Alter(id, options);
}

Values Names(const FaultyTopics& topics) {
  Values names;
  for (const TopicPtr& topic : topics.registry->All()) names.push_back(topic->name);
  return names;
}

std::string ValueOf(const topic::TopicConfig& config, std::string_view key) {
  for (const topic::ConfigEntry& entry : config.Entries()) {
    if (entry.key == key) return entry.value;
  }
  return "";
}

bool AnyFileUnder(const FaultyTopics& topics, const std::string& path) {
  const Values files = topics.memory.Files();
  return std::any_of(files.begin(), files.end(),
                     [&path](const std::string& file) { return file.starts_with(path); });
}

std::string Text(const absl::Status& status) {
  return std::string(MessageOf(status));
}

// Everything a client can see of a topic's registration, in one line.
std::string Picture(const FaultyTopics& topics) {
  std::string picture;
  for (const TopicPtr& topic : topics.registry->All()) {
    picture += topic->name + " " + topic->id.ToString() + " " + std::to_string(topic->partitions.size()) +
               " " + ValueOf(topic->config, "retention.ms") + "\n";
  }
  return picture;
}

}  // namespace

TEST_CASE("CheckTopicName: Kafka's rules") {
  for (const char* good : {"a", "A.b_c-9", "...", ".a", "-", "_one"}) {
    CAPTURE(good);
    CHECK(CheckTopicName(good, false).ok());
  }
  CHECK(CheckTopicName(std::string(249, 'x'), false).ok());
  for (const char* bad :
       {"", ".", "..", "a b", "a/b", "../../etc/passwd", "a\nb", "\xc3\xa4", "a:b", "a\\b"}) {
    CAPTURE(bad);
    CHECK(CodeOf(CheckTopicName(bad, false)) == ErrorCode::kInvalidTopic);
    CHECK(CodeOf(CheckTopicName(bad, true)) == ErrorCode::kInvalidTopic);
  }
  CHECK(CodeOf(CheckTopicName(std::string_view("a\0b", 3), false)) == ErrorCode::kInvalidTopic);
  CHECK_THAT(Text(CheckTopicName(std::string(250, 'x'), false)),
             Catch::Contains("250") && Catch::Contains("249"));
}

TEST_CASE("CheckTopicName: two underscores begin the broker's own topics") {
  CHECK(CodeOf(CheckTopicName("__offsets", false)) == ErrorCode::kInvalidTopic);
  CHECK(CheckTopicName("__offsets", true).ok());
}

TEST_CASE("TopicRegistry: a topic is found by name and by id, and listed in order of names") {
  FaultyTopics topics;
  REQUIRE(Create(topics, "orders", 3).ok());
  REQUIRE(Create(topics, "clicks").ok());
  const TopicPtr orders = topics.registry->Find("orders");
  REQUIRE(orders);
  CHECK(topics.registry->Find(orders->id) == orders);
  CHECK(orders->partitions.size() == 3);
  CHECK(orders->partitions[2]->name() == "orders-2");
  CHECK(Names(topics) == Values{"clicks", "orders"});
  CHECK(topics.registry->partition_count() == 4);
  CHECK(topics.registry->Find("order") == nullptr);
  CHECK(topics.registry->Find(TopicId::Random()) == nullptr);
}

TEST_CASE("TopicRegistry: what cannot be created says why, and leaves nothing") {
  FaultyTopics topics;
  CHECK(CodeOf(Create(topics, "no spaces").status()) == ErrorCode::kInvalidTopic);
  CHECK(CodeOf(Create(topics, "__own").status()) == ErrorCode::kInvalidTopic);
  CHECK(CodeOf(Create(topics, "t", 0).status()) == ErrorCode::kInvalidPartitions);
  const auto many = Create(topics, "t", TopicRegistry::kPartitionsMax + 1);
  CHECK(CodeOf(many.status()) == ErrorCode::kInvalidPartitions);
  CHECK_THAT(Text(many.status()), Catch::Contains("100001") && Catch::Contains("100000"));
  CHECK(CodeOf(Create(topics, "t", 1, {{"retention.sm", "1"}}).status()) == ErrorCode::kInvalidConfig);
  CHECK(CodeOf(Create(topics, "t", 1, {{"durability", "maybe"}}).status()) == ErrorCode::kInvalidConfig);
  CHECK(Names(topics).empty());
  CHECK_FALSE(topics.memory.Exists(kFile));
}

TEST_CASE("TopicRegistry: a name that is taken is refused, or given back if asked so") {
  FaultyTopics topics;
  const auto first = Create(topics, "t", 2);
  REQUIRE(first.ok());
  CHECK(CodeOf(Create(topics, "t").status()) == ErrorCode::kTopicAlreadyExists);
  CreateTopicOptions options;
  options.name = "t";
  options.if_not_exists = true;
  const auto again = topics.registry->Create(options);
  REQUIRE(again.ok());
  CHECK(*again == *first);
}

TEST_CASE("TopicRegistry: Alter changes what is given, an empty value returns to the default") {
  FaultyTopics topics;
  const auto created = Create(topics, "t", 1, {{"retention.ms", "1000"}, {"segment.bytes", "1048576"}});
  REQUIRE(created.ok());
  const TopicId id = (*created)->id;
  REQUIRE(Alter(topics, id, {{"retention.ms", "2000"}}).ok());
  CHECK(ValueOf(topics.registry->Find("t")->config, "retention.ms") == "2000");
  CHECK(ValueOf(topics.registry->Find("t")->config, "segment.bytes") == "1048576");
  REQUIRE(Alter(topics, id, {{"retention.ms", ""}}).ok());
  CHECK(ValueOf(topics.registry->Find("t")->config, "retention.ms") ==
        ValueOf(topics.registry->defaults(), "retention.ms"));
  CHECK(topics.registry->Find("t")->config.own().size() == 1);
  // All or nothing.
  CHECK(CodeOf(Alter(topics, id, {{"retention.ms", "5"}, {"no.such", "1"}}).status()) ==
        ErrorCode::kInvalidConfig);
  CHECK(topics.registry->Find("t")->config.own().size() == 1);
  CHECK(CodeOf(Alter(topics, TopicId::Random(), {}).status()) == ErrorCode::kUnknownTopicId);
}

TEST_CASE("TopicRegistry: partitions are added, never removed, and those there were keep their records") {
  FaultyTopics topics;
  const auto created = Create(topics, "t", 2);
  REQUIRE(created.ok());
  REQUIRE(FaultyTopics::Append(*topics.Find(), MakeBatch({"kept"})).get().ok());
  const auto altered = Alter(topics, (*created)->id, {}, 5);
  REQUIRE(altered.ok());
  CHECK((*altered)->partitions.size() == 5);
  CHECK((*altered)->partitions[0] == (*created)->partitions[0]);
  REQUIRE(FaultyTopics::Append(*(*altered)->partitions[4], MakeBatch({"new"})).get().ok());
  const auto fewer = Alter(topics, (*created)->id, {}, 3);
  CHECK(CodeOf(fewer.status()) == ErrorCode::kInvalidPartitions);
  CHECK_THAT(Text(fewer.status()), Catch::Contains("5") && Catch::Contains("3"));
  REQUIRE(topics.RestartAfterPowerLoss(3).ok());
  REQUIRE(topics.registry->Find("t")->partitions.size() == 5);
  CHECK(FaultyTopics::Readable(*topics.Find()) == Values{"kept"});
  CHECK(FaultyTopics::Readable(*topics.registry->Find("t")->partitions[4]) == Values{"new"});
}

TEST_CASE("TopicRegistry: a deleted topic is gone with its files; its name may be used anew") {
  FaultyTopics topics;
  const auto first = Create(topics, "t", 2);
  REQUIRE(first.ok());
  REQUIRE(FaultyTopics::Append(*topics.Find(), MakeBatch({"old"})).get().ok());
  const std::string path = "/data/topics/" + (*first)->id.ToString();
  REQUIRE(AnyFileUnder(topics, path));
  REQUIRE(topics.registry->Delete((*first)->id).ok());
  CHECK(topics.registry->Find("t") == nullptr);
  CHECK_FALSE(AnyFileUnder(topics, path));
  CHECK(CodeOf(topics.registry->Delete((*first)->id)) == ErrorCode::kUnknownTopicId);
  const auto second = Create(topics, "t");
  REQUIRE(second.ok());
  CHECK((*second)->id != (*first)->id);
  CHECK(FaultyTopics::Readable(*topics.Find()).empty());
  CHECK(CodeOf((*first)->partitions[0]->status()) == ErrorCode::kUnknownTopicOrPartition);
}

TEST_CASE("TopicRegistry: topics, ids, configurations and records are there after a crash") {
  for (const bool power : {false, true}) {
    CAPTURE(power);
    FaultyTopics topics;
    REQUIRE(Create(topics, "b", 2, {{"retention.ms", "12345"}, {"durability", "durable"}}).ok());
    REQUIRE(Create(topics, "a", 1, {{"compression.type", "zstd"}}).ok());
    const auto gone = Create(topics, "gone");
    REQUIRE(gone.ok());
    REQUIRE(topics.registry->Delete((*gone)->id).ok());
    REQUIRE(FaultyTopics::Append(*topics.Find("b"), MakeBatch({"x", "y"})).get().ok());
    const std::string before = Picture(topics);
    REQUIRE((power ? topics.RestartAfterPowerLoss(1) : topics.RestartAfterProcessCrash()).ok());
    CHECK(Picture(topics) == before);
    CHECK(topics.registry->Find("a")->config.own().at("compression.type") == "zstd");
    CHECK(FaultyTopics::Readable(*topics.Find("b")) == Values{"x", "y"});
  }
}

TEST_CASE("TopicRegistry: a crash at any step of a change leaves the state before it or after it") {
  // What is changed, on a registry with the topic "t" of one record.
  const auto create = [](FaultyTopics& topics) { return Create(topics, "new", 2).status(); };
  const auto alter = [](FaultyTopics& topics) {
    return Alter(topics, topics.registry->Find("t")->id, {{"retention.ms", "777"}}, 4).status();
  };
  const auto remove = [](FaultyTopics& topics) {
    return topics.registry->Delete(topics.registry->Find("t")->id);
  };
  const std::vector<std::function<absl::Status(FaultyTopics&)>> changes = {create, alter, remove};
  for (std::size_t change = 0; change < changes.size(); ++change) {
    for (const bool power : {false, true}) {
      bool all_done = false;
      for (std::uint64_t step = 1; !all_done; ++step) {
        CAPTURE(change, power, step);
        FaultyTopics topics;
        const auto partition = topics.Create({});
        REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"kept"})).get().ok());
        const std::string before = Picture(topics);
        topics.files.Heal();  // counts from here
        topics.files.DieAt(step);
        const absl::Status changed = changes[change](topics);
        all_done = topics.files.operations() < step;
        const std::string after = Picture(topics);
        REQUIRE((power ? topics.RestartAfterPowerLoss(step) : topics.RestartAfterProcessCrash()).ok());
        const std::string found = Picture(topics);
        if (changed.ok()) CHECK(found == after);
        if (found == before) {
          CHECK(FaultyTopics::Readable(*topics.Find()) == Values{"kept"});
        } else if (!changed.ok() && change != 2) {
          // The file was replaced, and the process died before it knew.
          CHECK(Names(topics) == (change == 0 ? Values{"new", "t"} : Values{"t"}));
        }
        // It works on: nothing half-made is in the way.
        REQUIRE(Create(topics, "next").ok());
        CHECK(FaultyTopics::Append(*topics.Find("next"), MakeBatch({"x"})).get().ok());
      }
    }
  }
}

TEST_CASE("TopicRegistry: a change that cannot be written to disk is refused and does not show") {
  FaultyTopics topics;
  const auto partition = topics.Create({});
  const TopicId id = topics.registry->Find("t")->id;
  topics.files.SetDecide([](const FileOperation& operation) {
    const bool hit = operation.path.find("registry") != std::string::npos;
    return hit ? Fault{absl::ResourceExhaustedError("No space left on device"), 0} : Fault{};
  });
  CHECK_FALSE(Create(topics, "new").ok());
  CHECK_FALSE(Alter(topics, id, {{"retention.ms", "1"}}, 3).ok());
  CHECK_FALSE(topics.registry->Delete(id).ok());
  CHECK(Names(topics) == Values{"t"});
  CHECK(topics.registry->Find("t")->partitions.size() == 1);
  CHECK(topics.registry->Find("t")->config.own().empty());
  topics.files.Heal();
  CHECK(FaultyTopics::Append(*partition, MakeBatch({"goes on"})).get().ok());
  CHECK(Create(topics, "new").ok());
}

TEST_CASE("TopicRegistry: a damaged file stops the start, names the file, and touches no topic") {
  FaultyTopics topics;
  REQUIRE(FaultyTopics::Append(*topics.Create({}), MakeBatch({"kept"})).get().ok());
  const std::vector<std::byte> whole = topics.memory.Read(kFile);
  for (const std::size_t at : {std::size_t{0}, std::size_t{5}, std::size_t{9}, std::size_t{13},
                               std::size_t{16}, std::size_t{20}, whole.size() - 1}) {
    CAPTURE(at);
    std::vector<std::byte> damaged = whole;
    damaged[at] ^= std::byte{4};
    topics.memory.Write(kFile, damaged);
    const absl::Status started = topics.RestartAfterProcessCrash();
    REQUIRE_FALSE(started.ok());
    CHECK_THAT(Text(started), Catch::Contains(kFile));
    CHECK_FALSE(AnyFileUnder(topics, "/data/quarantine"));
  }
  topics.memory.Write(kFile, whole);  // the operator's backup
  REQUIRE(topics.RestartAfterProcessCrash().ok());
  CHECK(FaultyTopics::Readable(*topics.Find()) == Values{"kept"});
}

TEST_CASE("TopicRegistry: a line that is no topic, or a newer format, stops the start as well") {
  FaultyTopics topics;
  topics.Create({});
  const std::string id = topics.registry->Find("t")->id.ToString();
  for (const std::string& line :
       Values{"t", "t " + id, "t " + id + " 0", "t " + id + " x", "t nothex 1", "t " + id + " 100001",
              "t " + id + " 1 word", "t " + id + " 1 no.such=1", "t " + id + " 1 retention.ms=soon"}) {
    CAPTURE(line);
    REQUIRE(storage::ReplaceSmallFile(topics.memory, kFile, 1, AsBytes(line)).ok());
    CHECK_FALSE(topics.RestartAfterProcessCrash().ok());
    CHECK_FALSE(AnyFileUnder(topics, "/data/quarantine"));
  }
  REQUIRE(storage::ReplaceSmallFile(topics.memory, kFile, 2, AsBytes("anything")).ok());
  const absl::Status newer = topics.RestartAfterProcessCrash();
  CHECK_THAT(Text(newer), Catch::Contains(kFile) && Catch::Contains("format 2"));
}

TEST_CASE("TopicRegistry: what it does not know goes to quarantine, whole") {
  FaultyTopics topics;
  REQUIRE(FaultyTopics::Append(*topics.Create({}), MakeBatch({"kept"})).get().ok());
  REQUIRE(FaultyTopics::Append(*topics.Create({}, "other"), MakeBatch({"unknown"})).get().ok());
  const std::string other = topics.registry->Find("other")->id.ToString();
  const std::string name = topics.registry->Find("t")->id.ToString();
  // As if the registry came from a backup that is older than the second topic.
  REQUIRE(storage::ReplaceSmallFile(topics.memory, kFile, 1, AsBytes("t " + name + " 1\n")).ok());
  const std::vector<std::byte> log =
      topics.memory.Read("/data/topics/" + other + "/0/00000000000000000000.log");
  REQUIRE_FALSE(log.empty());
  REQUIRE(topics.RestartAfterProcessCrash().ok());
  CHECK(Names(topics) == Values{"t"});
  CHECK(FaultyTopics::Readable(*topics.Find()) == Values{"kept"});
  CHECK_FALSE(AnyFileUnder(topics, "/data/topics/" + other));
  bool found = false;
  for (const std::string& file : topics.memory.Files()) {
    if (file.starts_with("/data/quarantine/") && topics.memory.Read(file) == log) found = true;
  }
  CHECK(found);
}

TEST_CASE("TopicRegistry: an unknown topic is told with the nearest name, if one is near") {
  FaultyTopics topics;
  topics.Create({}, "orders");
  topics.Create({}, "clicks");
  const absl::Status near = topics.registry->UnknownTopic("oders");
  CHECK(CodeOf(near) == ErrorCode::kUnknownTopicOrPartition);
  CHECK_THAT(Text(near), Catch::Contains("\"oders\"") && Catch::Contains("did you mean \"orders\""));
  CHECK_THAT(Text(topics.registry->UnknownTopic("payments")), !Catch::Contains("did you mean"));
}

TEST_CASE("TopicRegistry: a fenced log alone is recovered after an orderly end, in a new leader epoch") {
  FaultyTopics topics;
  REQUIRE(Create(topics, "t", 3).ok());
  const TopicPtr topic = topics.registry->Find("t");
  for (const auto& partition : topic->partitions) {
    REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a"})).get().ok());
  }
  topics.files.SetDecide([&topic](const FileOperation& operation) {
    const bool fails = operation.kind == FileOperation::Kind::kSync &&
                       operation.path.find(topic->id.ToString() + "/1/") != std::string::npos;
    return Fault{fails ? absl::InternalError("broken disk") : absl::OkStatus(), 0};
  });
  REQUIRE_FALSE(FaultyTopics::Append(*topic->partitions[1], MakeBatch({"b"})).get().ok());
  const LeaderEpoch epoch = topics.directory->meta().leader_epoch;
  topics.stopping.store(true);
  const topic::ClosedLogs closed = topics.registry->CloseAll(*topics.pool);
  CHECK_THAT(Text(closed.status), Catch::Contains("broken disk"));
  CHECK(closed.summaries.size() == 2);
  REQUIRE(topics.directory->MarkClean(closed.summaries, closed.status.ok()).ok());
  topics.stopping.store(false);
  REQUIRE(topics.Restart().ok());
  CHECK(topics.recovered().size() == 1);
  CHECK(topics.recovered().contains("t-1"));
  CHECK(topics.directory->was_clean());
  CHECK(topics.directory->meta().leader_epoch == epoch + 1);
  for (const auto& partition : topics.registry->Find("t")->partitions) {
    CHECK(FaultyTopics::Readable(*partition).front() == "a");
    CHECK(FaultyTopics::Append(*partition, MakeBatch({"c"})).get().ok());
  }
}

TEST_CASE("TopicRegistry: a stop that is asked for while logs are opened ends it between two of them") {
  FaultyTopics topics;
  REQUIRE(Create(topics, "t", 20).ok());
  for (const auto& partition : topics.registry->Find("t")->partitions) {
    REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a"})).get().ok());
  }
  REQUIRE(topics.RestartAfterProcessCrash().ok());
  std::atomic<int> asked{0};
  std::atomic<int> looks{0};  // at a log, all together
  const auto count_looks = [&looks](const FileOperation& operation) {
    looks += operation.path.find("/topics/") != std::string::npos ? 1 : 0;
    return Fault{};
  };
  topics.files.SetDecide(count_looks);
  const auto stop = [&](int after) {
    asked = looks = 0;
    return topics.registry->Load(
        *topics.pool, [](const std::string&, const storage::RecoveryReport&) {},
        [&asked, after] { return ++asked > after; });
  };
  CHECK(absl::IsCancelled(stop(0)));
  const int looks_at_none = looks.load();
  CHECK(absl::IsCancelled(stop(1)));
  CHECK(looks.load() > looks_at_none);
  const int looks_at_one = looks.load() - looks_at_none;
  CHECK(stop(20).ok());
  CHECK(looks.load() > looks_at_none + 10 * looks_at_one);
  CHECK(asked.load() == 20);
  topics.files.Heal();
}

TEST_CASE("TopicRegistry: after a crash what was not synced is looked into, after an orderly end nothing") {
  FaultyTopics topics;
  const auto partition = topics.Create({{"durability", "written"}});
  REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a"})).get().ok());
  REQUIRE(topics.RestartAfterProcessCrash().ok());
  CHECK(topics.recovered().contains("t-0"));
  REQUIRE(FaultyTopics::Append(*topics.Find(), MakeBatch({"b"})).get().ok());
  topics.stopping.store(true);
  const topic::ClosedLogs closed = topics.registry->CloseAll(*topics.pool);
  REQUIRE(closed.status.ok());
  REQUIRE(topics.directory->MarkClean(closed.summaries).ok());
  topics.stopping.store(false);
  REQUIRE(topics.Restart().ok());
  CHECK(topics.recovered().empty());
  CHECK(FaultyTopics::Readable(*topics.Find()) == Values{"a", "b"});
  CHECK(FaultyTopics::Append(*topics.Find(), MakeBatch({"c"})).get()->base_offset == 2);
}

TEST_CASE("TopicRegistry: a log that cannot be opened refuses everything, and the others go on") {
  FaultyTopics topics;
  for (const std::string name : {"broken", "whole"}) {
    REQUIRE(FaultyTopics::Append(*topics.Create({}, name), MakeBatch({"a"})).get().ok());
  }
  const std::string directory = topics.directory->LogPath({topics.registry->Find("broken")->id, 0});
  REQUIRE(topics
              .Restart([directory](const FileOperation& operation) {
                const bool hit = operation.kind == FileOperation::Kind::kLook && operation.path == directory;
                return hit ? Fault{absl::InternalError("list: Input/output error")} : Fault{};
              })
              .ok());
  CHECK(FaultyTopics::Readable(*topics.Find("whole")) == Values{"a"});
  CHECK(FaultyTopics::Append(*topics.Find("whole"), MakeBatch({"b"})).get().ok());
  const auto broken = topics.Find("broken");
  CHECK_THAT(topics.lines().back(), Catch::Contains(directory) && Catch::Contains("Input/output error"));
  storage::ReadCursor cursor;
  cursor.offset = 1;  // not out of range: nobody knows the range
  const auto read = broken->Read(cursor, 1);
  CHECK(CodeOf(read.status()) == ErrorCode::kStorageError);
  CHECK_THAT(Text(read.status()), Catch::Contains("broken-0") && Catch::Contains("Input/output error"));
  CHECK(CodeOf(broken->readable_status()) == ErrorCode::kStorageError);
  CHECK_FALSE(FaultyTopics::Append(*broken, MakeBatch({"b"})).get().ok());
  CHECK_FALSE(broken->Trim(0).ok());
  CHECK_FALSE(topics.registry->CloseAll().ok());  // no clean marker vouches for it
  REQUIRE(topics.Restart().ok());
  CHECK(FaultyTopics::Readable(*topics.Find("broken")) == Values{"a"});
}

TEST_CASE("TopicRegistry: a checkpoint that cannot be read is as good as none") {
  FaultyTopics topics;
  REQUIRE(FaultyTopics::Append(*topics.Create({}), MakeBatch({"a"})).get().ok());
  REQUIRE(topics
              .Restart([](const FileOperation& operation) {
                const bool hit =
                    operation.kind == FileOperation::Kind::kRead && operation.path.ends_with("/checkpoint");
                return hit ? Fault{absl::InternalError("read: Input/output error")} : Fault{};
              })
              .ok());
  CHECK(FaultyTopics::Readable(*topics.Find()) == Values{"a"});
  CHECK(FaultyTopics::Append(*topics.Find(), MakeBatch({"b"})).get()->base_offset == 1);
}

TEST_CASE(
    "TopicRegistry: on a disk without a byte left, space can be freed, and the broker stops and starts") {
  std::atomic<int> refused{0};
  FaultyTopics topics;
  const auto full_with_ballast = [&](const FileOperation& operation) {
    const bool hit = operation.kind == FileOperation::Kind::kWrite &&
                     topics.memory.Read("/data/ballast").size() == storage::Ballast::kSize;
    if (hit) ++refused;
    return hit ? Fault{absl::ResourceExhaustedError("No space left on device")} : Fault{};
  };
  const auto partition = topics.Create({{"segment.bytes", "65536"}, {"retention.bytes", "65536"}});
  for (int i = 0; i < 5; ++i) {
    REQUIRE(FaultyTopics::Append(*partition, MakeBatch({std::string(60'000, 'x')})).get().ok());
  }
  topics.Create({}, "other");
  const TopicId id = topics.registry->Find("t")->id;
  topics.files.SetDecide(full_with_ballast);
  SECTION("trim") {
    CHECK(partition->Trim(3).ok());
  }
  SECTION("retention") {
    CHECK(*partition->ApplyRetention() == 3);
  }
  SECTION("alter") {
    CHECK(Alter(topics, id, {{"retention.bytes", "1"}}, 0).ok());
  }
  SECTION("delete") {
    CHECK(topics.registry->Delete(topics.registry->Find("other")->id).ok());
  }
  SECTION("stop") {
    const auto summaries = topics.registry->CloseAll();
    REQUIRE(summaries.ok());
    CHECK(topics.directory->MarkClean(*summaries).ok());
  }
  CHECK(refused.load() > 0);
  // An unclean start raises the leader epoch; a clean one needs no space.
  REQUIRE(topics.Restart(full_with_ballast).ok());
  CHECK(topics.Find()->offsets().high_watermark == 5);
  CHECK_FALSE(FaultyTopics::Readable(*topics.Find()).empty());
}
