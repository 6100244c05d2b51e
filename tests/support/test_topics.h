// A broker's topics without its sockets: on a file system in memory, with a clock that moves when told to.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/topic/topic_registry.h"
#include "protocol/core/status_macros.h"
#include "storage/data_directory.h"
#include "storage/flusher.h"
#include "tests/support/batches.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/outcome.h"

namespace headrace::testing {

// Owned by a test, on its main thread.
class TestTopics {
 public:
  using Configs = std::vector<std::pair<std::string, std::string>>;
  using Outcome = std::future<absl::StatusOr<topic::AppendOutcome>>;

  explicit TestTopics(std::size_t pool_threads = 2) : pool(pool_threads), flusher(files, pool) {
    const auto ignore = [](const std::string&) {};
    auto opened = storage::DataDirectory::Open(files, clock, "/data", 16, "boot", ignore);
    HEADRACE_CHECK(opened.ok());
    directory = *std::move(opened);
    disk = std::make_unique<topic::DiskGuard>(files, "/data");
    topic::PartitionServices services;
    services.flusher = &flusher;
    services.pool = &pool;
    services.clock = &clock;
    services.disk = disk.get();
    services.budget = &budget;
    services.stopping = &stopping;
    registry = std::make_unique<topic::TopicRegistry>(files, *directory, services, topic::TopicConfig());
  }
  // Jobs that are under way append no more.
  ~TestTopics() {
    stopping.store(true);
    registry->AwaitAppends();
  }
  TestTopics(const TestTopics&) = delete;
  TestTopics& operator=(const TestTopics&) = delete;

  // The one partition of a new topic.
  std::shared_ptr<topic::Partition> Create(const Configs& configs, const std::string& name = "t") {
    topic::CreateTopicOptions options;
    options.name = name;
    options.configs = configs;
    const auto topic = registry->Create(options);
    HEADRACE_CHECK(topic.ok());
    return (*topic)->partitions.front();
  }
  void Alter(const Configs& configs, const std::string& name = "t") {
    topic::AlterTopicOptions options;
    options.configs = configs;
    HEADRACE_CHECK(registry->Alter(registry->Find(name)->id, options).ok());
  }

  // Produces a batch; the outcome comes when it comes.
  static Outcome Send(topic::Partition& partition, std::vector<std::byte> batch) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<topic::AppendOutcome>>>();
    Outcome outcome = promise->get_future();
    auto owner = std::make_shared<std::vector<std::byte>>(std::move(batch));
    topic::AppendRequest request;
    request.bytes = *owner;
    request.owner = std::move(owner);
    request.done = [promise](const absl::StatusOr<topic::AppendOutcome>& result) {
      promise->set_value(OfItsOwn(result));
    };
    partition.Produce(std::move(request));
    return outcome;
  }
  static absl::StatusOr<topic::AppendOutcome> Produce(topic::Partition& partition,
                                                      std::vector<std::byte> batch) {
    return Send(partition, std::move(batch)).get();
  }

  // The bytes readers see, from the start.
  static std::vector<std::byte> Readable(const topic::Partition& partition) {
    std::vector<std::byte> bytes;
    storage::ReadCursor cursor;
    cursor.offset = partition.offsets().start;
    while (true) {
      const auto slice = partition.Read(cursor, std::uint64_t{1} << 30);
      HEADRACE_CHECK(slice.ok());
      if (slice->length == 0) return bytes;
      const std::size_t before = bytes.size();
      bytes.resize(before + slice->length);
      const auto read = slice->file->ReadAt(slice->position, MutableByteSpan(bytes).subspan(before));
      HEADRACE_CHECK(read.ok() && *read == slice->length);
    }
  }

  MemoryFileSystem files;
  FakeClock clock;
  std::atomic<bool> stopping{false};
  std::unique_ptr<storage::DataDirectory> directory;
  std::unique_ptr<topic::DiskGuard> disk;
  topic::AppendBudget budget{std::uint64_t{1} << 30};
  std::unique_ptr<topic::TopicRegistry> registry;
  // Last, so that their threads end first.
  storage::FilePool pool;
  storage::Flusher flusher;
};

}  // namespace headrace::testing
