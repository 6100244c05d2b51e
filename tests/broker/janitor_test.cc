#include "broker/topic/janitor.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <set>
#include <thread>

#include "protocol/core/record_iterator.h"
#include "tests/support/test_topics.h"

using namespace headrace;
using headrace::testing::TestTopics;

namespace {

using Milliseconds = std::chrono::milliseconds;

// Five values for each of twenty keys, the last one being "4", over several segments.
void ProduceKeys(topic::Partition& partition) {
  const std::string filler(4000, 'x');
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 20; ++i) {
      RecordBatchBuilder builder;
      const std::string key = "key-" + std::to_string(i);
      const std::string value = std::to_string(round) + filler;
      RecordView record;
      record.timestamp = 1000;
      record.key = AsBytes(key);
      record.value = AsBytes(value);
      builder.Add(record);
      auto batch = builder.Build();
      REQUIRE(batch.ok());
      REQUIRE(TestTopics::Produce(partition, *std::move(batch)).ok());
    }
  }
}

std::map<std::string, std::string> LastValues(const topic::Partition& partition) {
  std::map<std::string, std::string> values;
  const std::vector<std::byte> bytes = TestTopics::Readable(partition);
  for (ByteSpan rest = bytes; !rest.empty();) {
    const auto batch = RecordBatchView::Parse(rest);
    REQUIRE(batch.ok());
    auto records = RecordIterator::Open(*batch, 1 << 20);
    REQUIRE(records.ok());
    while (records->Next()) {
      values[std::string(AsText(*records->record().key))] = AsText(*records->record().value).substr(0, 1);
    }
    rest = rest.subspan(batch->size());
  }
  return values;
}

// Reads the log once from its start, some batches at a time; what is wrong with it, or nothing. Any thread.
std::string Walk(const topic::Partition& partition, std::set<std::string>& keys) {
  keys.clear();
  storage::ReadCursor cursor;
  cursor.offset = partition.offsets().start;
  Offset next = 0;
  std::vector<std::byte> bytes;
  while (true) {
    const auto slice = partition.Read(cursor, 20'000);
    if (!slice.ok()) return std::string(slice.status().message());
    if (slice->length == 0) return "";
    bytes.resize(slice->length);
    const auto read = slice->file->ReadAt(slice->position, bytes);
    if (!read.ok() || *read != bytes.size()) return "a slice that cannot be read";
    for (ByteSpan rest = bytes; !rest.empty();) {
      const auto batch = RecordBatchView::Parse(rest);
      if (!batch.ok()) return std::string(batch.status().message());
      if (batch->last_offset() < next) return "a batch below what was asked for";
      auto records = RecordIterator::Open(*batch, 1 << 20);
      if (!records.ok()) return std::string(records.status().message());
      while (records->Next()) {
        if (records->record().offset < next) return "a record that was met before";
        keys.emplace(AsText(*records->record().key));
      }
      next = batch->last_offset() + 1;  // one that stands for a gap may begin below
      rest = rest.subspan(batch->size());
    }
  }
}

template <typename Condition>
bool Eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// Counts the janitor's lines.
struct Lines {
  std::atomic<int> errors{0};
  std::atomic<int> infos{0};

  topic::JanitorLog Log() {
    return {[this](const std::string&) { ++errors; }, [this](const std::string&) { ++infos; }};
  }
};

topic::JanitorOptions Eager() {
  topic::JanitorOptions options;
  options.compaction_interval = Milliseconds(1);
  return options;
}

const TestTopics::Configs kCompacted = {{"cleanup.policy", "compact"}, {"segment.bytes", "65536"}};

}  // namespace

TEST_CASE("Janitor: a compacted topic shrinks to its last values, and says so once") {
  TestTopics topics;
  const auto partition = topics.Create(kCompacted);
  ProduceKeys(*partition);
  const std::uint64_t before = partition->log().size();
  const auto values = LastValues(*partition);
  Lines lines;
  topic::Janitor janitor(*topics.registry, *topics.disk, Eager(), lines.Log());
  CHECK(Eventually([&] { return lines.infos.load() > 0; }));
  janitor.Stop();
  CHECK(partition->log().size() < before);
  CHECK(LastValues(*partition) == values);
  CHECK(values.size() == 20);
  CHECK(lines.errors.load() == 0);
}

TEST_CASE("Janitor: those who read while it compacts meet whole batches, in order, and every key") {
  TestTopics topics;
  const auto partition = topics.Create(kCompacted);
  ProduceKeys(*partition);
  Lines lines;
  topic::Janitor janitor(*topics.registry, *topics.disk, Eager(), lines.Log());
  std::atomic<bool> enough{false};
  auto reader = std::async(std::launch::async, [&] {
    std::string wrong;
    std::set<std::string> keys;
    while (wrong.empty() && !enough.load()) {
      wrong = Walk(*partition, keys);
      if (wrong.empty() && keys.size() != 20) wrong = std::to_string(keys.size()) + " keys of 20";
    }
    return wrong;
  });
  for (int compactions = 0; compactions < 10; ++compactions) {
    const int before = lines.infos.load();
    ProduceKeys(*partition);
    CHECK(Eventually([&] { return lines.infos.load() > before; }));
  }
  enough.store(true);
  CHECK(reader.get() == "");
  janitor.Stop();
  CHECK(lines.errors.load() == 0);
}

TEST_CASE("Janitor: topics are produced to and deleted while it compacts them") {
  TestTopics topics;
  Lines lines;
  topic::Janitor janitor(*topics.registry, *topics.disk, Eager(), lines.Log());
  for (int i = 0; i < 10; ++i) {
    const std::string name = "t" + std::to_string(i);
    const auto partition = topics.Create(kCompacted, name);
    ProduceKeys(*partition);
    CHECK(topics.registry->Delete(topics.registry->Find(name)->id).ok());
  }
  janitor.Stop();
  CHECK(lines.errors.load() == 0);
}

TEST_CASE("Janitor: the deletion of a topic waits for its compaction to end, and ends it") {
  TestTopics topics;
  const auto partition = topics.Create(kCompacted);
  ProduceKeys(*partition);
  const TopicId id = topics.registry->Find("t")->id;
  std::future<absl::Status> deleted;
  storage::CompactionLimits limits;
  limits.proceed = [&](std::uint64_t) {
    CHECK_FALSE(deleted.valid());  // asked no more once the topic is deleted
    deleted = std::async(std::launch::async, [&] { return topics.registry->Delete(id); });
    CHECK(Eventually([&] { return !partition->readable_status().ok(); }));
    CHECK(deleted.wait_for(Milliseconds(50)) == std::future_status::timeout);
    return true;
  };
  CHECK(partition->Compact(std::move(limits)).ok());
  REQUIRE(deleted.valid());
  CHECK(deleted.get().ok());
  CHECK(absl::IsNotFound(topics.files.List(topics.directory->LogPath({id, 0})).status()));
}

TEST_CASE("Janitor: producers that were idle for long are forgotten") {
  TestTopics topics;
  const auto partition = topics.Create({});
  const auto send = [&](std::int32_t sequence) {
    testing::BatchOptions options;
    options.producer_id = 7;
    options.base_sequence = sequence;
    return TestTopics::Produce(*partition, testing::MakeBatch({"a"}, options)).ok();
  };
  REQUIRE(send(0));
  topic::JanitorOptions options;
  options.sync_interval = options.retention_interval = Milliseconds(1);
  Lines lines;
  topic::Janitor janitor(*topics.registry, *topics.disk, options, lines.Log());
  CHECK(Eventually([&] {
    topics.clock.Advance(std::chrono::hours(1));
    return send(7);
  }));
}

TEST_CASE("Janitor: it stops at once, however slowly it was told to compact") {
  TestTopics topics;
  ProduceKeys(*topics.Create(kCompacted));
  topic::JanitorOptions options = Eager();
  options.compaction_rate_max = 1000;  // bytes a second: minutes for all
  Lines lines;
  topic::Janitor janitor(*topics.registry, *topics.disk, options, lines.Log());
  std::this_thread::yield();
  const auto began = std::chrono::steady_clock::now();
  janitor.Stop();
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
  CHECK(lines.infos.load() == 0);
}
