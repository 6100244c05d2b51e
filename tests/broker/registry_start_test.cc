// The registry's start and end: which logs are opened, recovered and closed, and what of that may fail.
#include <catch2/catch.hpp>

#include <atomic>

#include "broker/topic/topic_registry.h"
#include "protocol/core/error_code.h"
#include "tests/support/faulty_topics.h"

using namespace headrace;
using headrace::testing::Fault;
using headrace::testing::FaultyTopics;
using headrace::testing::FileOperation;
using headrace::testing::MakeBatch;
using headrace::topic::TopicPtr;
using Values = std::vector<std::string>;

namespace {

TopicPtr Create(FaultyTopics& topics, std::uint32_t partitions) {
  topic::CreateTopicOptions options;
  options.name = "t";
  options.partitions = partitions;
  return *topics.registry->Create(options);
}

std::string Text(const absl::Status& status) {
  return std::string(MessageOf(status));
}

}  // namespace

TEST_CASE("TopicRegistry: a fenced log alone is recovered after an orderly end, in a new leader epoch") {
  FaultyTopics topics;
  const TopicPtr topic = Create(topics, 3);
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
  const TopicPtr topic = Create(topics, 20);
  for (const auto& partition : topic->partitions) {
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
  CHECK_FALSE(topics.registry->CloseAll(*topics.pool).status.ok());  // no clean marker vouches for it
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
  topics.files.SetDecide(full_with_ballast);
  SECTION("trim") {
    CHECK(partition->Trim(3).ok());
  }
  SECTION("retention") {
    CHECK(*partition->ApplyRetention() == 3);
  }
  SECTION("alter") {
    topic::AlterTopicOptions options;
    options.configs = {{"retention.bytes", "1"}};
    CHECK(topics.registry->Alter(topics.registry->Find("t")->id, options).ok());
  }
  SECTION("delete") {
    CHECK(topics.registry->Delete(topics.registry->Find("other")->id).ok());
  }
  SECTION("stop") {
    const topic::ClosedLogs closed = topics.registry->CloseAll(*topics.pool);
    REQUIRE(closed.status.ok());
    CHECK(topics.directory->MarkClean(closed.summaries).ok());
  }
  CHECK(refused.load() > 0);
  // An unclean start raises the leader epoch; a clean one needs no space.
  REQUIRE(topics.Restart(full_with_ballast).ok());
  CHECK(topics.Find()->offsets().high_watermark == 5);
  CHECK_FALSE(FaultyTopics::Readable(*topics.Find()).empty());
}
