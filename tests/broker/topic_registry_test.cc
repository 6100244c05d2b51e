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
