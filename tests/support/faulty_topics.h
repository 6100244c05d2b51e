// A broker's topics without its sockets, on a file system that fails, waits and crashes when told to.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/topic/topic_registry.h"
#include "protocol/core/error_code.h"
#include "protocol/core/mutex.h"
#include "protocol/core/status_macros.h"
#include "storage/data_directory.h"
#include "storage/flusher.h"
#include "tests/support/batches.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/outcome.h"
#include "tests/support/sync_gate.h"

namespace headrace::testing {

// One record, the `sequence`-th of producer 7.
inline std::vector<std::byte> Sequenced(std::int32_t sequence, std::string_view value = "s") {
  BatchOptions options;
  options.producer_id = 7;
  options.base_sequence = sequence;
  return MakeBatch({value}, options);
}

// Counts how often a partition wakes those who wait, without ever missing one.
class WakeCounter {
 public:
  explicit WakeCounter(topic::Partition& partition) { Wait(partition, count_); }
  int count() const { return count_->load(); }
  // Returns when there were at least so many: an acknowledgement comes before its wake-up.
  void Await(int count) const {
    for (int seen = count_->load(); seen < count; seen = count_->load()) count_->wait(seen);
  }

 private:
  using Count = std::shared_ptr<std::atomic<int>>;  // a wake-up may outlast the test

  static void Wait(topic::Partition& partition, const Count& count) {
    partition.waiters().Add([&partition, count] {
      Wait(partition, count);
      ++*count;
      count->notify_all();
    });
  }
  const Count count_ = std::make_shared<std::atomic<int>>(0);
};

// Owned by a test, on its main thread. Faults are set while no append is under way.
class FaultyTopics {
 public:
  using Configs = std::vector<std::pair<std::string, std::string>>;
  using Result = absl::StatusOr<topic::AppendOutcome>;
  using Outcome = std::future<Result>;

  FaultyTopics() {
    HEADRACE_CHECK(Start().ok());
    HEADRACE_CHECK(registry->Load(*pool, [](const std::string&, const storage::RecoveryReport&) {}).ok());
  }
  ~FaultyTopics() { Stop(); }
  FaultyTopics(const FaultyTopics&) = delete;
  FaultyTopics& operator=(const FaultyTopics&) = delete;

  // What a broker does at its start, with these faults; everything of the run before is gone.
  absl::Status Restart(FaultyFileSystem::Decide faults = nullptr) {
    Stop();
    files.Heal();
    files.SetDecide(std::move(faults));
    const absl::Status started = Start();
    if (!started.ok()) return started;
    {
      const core::MutexLock lock(recovered_mutex_);
      recovered_.clear();
    }
    return registry->Load(*pool, [this](const std::string& partition, const storage::RecoveryReport& report) {
      const core::MutexLock lock(recovered_mutex_);
      recovered_[partition] = report;
    });
  }
  absl::Status RestartAfterProcessCrash() {
    Stop();
    memory.CrashProcess();
    return Restart();
  }
  absl::Status RestartAfterPowerLoss(std::uint64_t seed) {
    Stop();
    memory.CrashPower(seed);
    boot_id_ += "'";
    return Restart();
  }

  // From now on every sync of a log's files waits for Open, and ends with `outcome`; `others`, if set,
  // decides about what is no such sync.
  SyncGate& HoldSyncs(absl::Status outcome = absl::OkStatus(), FaultyFileSystem::Decide others = nullptr) {
    gate_ = std::make_unique<SyncGate>(std::move(outcome));
    files.SetDecide([gate = gate_.get(), others = std::move(others)](const FileOperation& operation) {
      return SyncGate::Stops(operation) || !others ? gate->Decide(operation) : others(operation);
    });
    return *gate_;
  }

  // The one partition of a new topic.
  std::shared_ptr<topic::Partition> Create(const Configs& configs, const std::string& name = "t") {
    topic::CreateTopicOptions options;
    options.name = name;
    options.configs = configs;
    const auto created = registry->Create(options);
    HEADRACE_CHECK(created.ok());
    return (*created)->partitions.front();
  }
  std::shared_ptr<topic::Partition> Find(const std::string& name = "t") const {
    const topic::TopicPtr found = registry->Find(name);
    return found ? found->partitions.front() : nullptr;
  }

  // Appends a batch; the outcome comes when it comes. `done` is called as well, with it.
  static Outcome Append(topic::Partition& partition, std::vector<std::byte> batch,
                        std::function<void(const Result&)> done = nullptr) {
    auto promise = std::make_shared<std::promise<Result>>();
    Outcome outcome = promise->get_future();
    auto owner = std::make_shared<std::vector<std::byte>>(std::move(batch));
    topic::AppendRequest request;
    request.bytes = *owner;
    request.owner = std::move(owner);
    request.done = [promise, done = std::move(done)](const Result& result) {
      if (done) done(result);
      promise->set_value(OfItsOwn(result));
    };
    partition.Append(std::move(request));
    return outcome;
  }
  static bool IsReady(const Outcome& outcome, std::chrono::seconds within = std::chrono::seconds(0)) {
    return outcome.wait_for(within) == std::future_status::ready;
  }
  static ErrorCode CodeOfOutcome(Outcome& outcome) { return CodeOf(outcome.get().status()); }
  // The values readers see, from the start.
  static std::vector<std::string> Readable(const topic::Partition& partition) {
    std::vector<std::byte> bytes;
    storage::ReadCursor cursor;
    cursor.offset = partition.offsets().start;
    while (true) {
      const auto slice = partition.Read(cursor, std::uint64_t{1} << 30);
      HEADRACE_CHECK(slice.ok());
      if (slice->length == 0) return ValuesOf(bytes);
      const std::size_t before = bytes.size();
      bytes.resize(before + slice->length);
      const auto read = slice->file->ReadAt(slice->position, MutableByteSpan(bytes).subspan(before));
      HEADRACE_CHECK(read.ok() && *read == slice->length);
    }
  }

  // What the broker would have logged, from the beginning.
  std::vector<std::string> lines() const {
    const core::MutexLock lock(lines_mutex_);
    return lines_;
  }
  // The logs that the last restart had to look into.
  std::map<std::string, storage::RecoveryReport> recovered() const {
    const core::MutexLock lock(recovered_mutex_);
    return recovered_;
  }

  MemoryFileSystem memory;
  FaultyFileSystem files{memory};
  FakeClock clock;
  std::atomic<bool> stopping{false};
  std::unique_ptr<storage::DataDirectory> directory;
  std::unique_ptr<topic::DiskGuard> disk;
  topic::AppendBudget budget{1 << 20};
  std::unique_ptr<topic::TopicRegistry> registry;
  std::unique_ptr<storage::FilePool> pool;
  std::unique_ptr<storage::Flusher> flusher;

 private:
  absl::Status Start() {
    auto opened =
        storage::DataDirectory::Open(files, clock, "/data", 16, boot_id_, [this](const std::string& line) {
          const core::MutexLock lock(lines_mutex_);
          lines_.push_back(line);
        });
    if (!opened.ok()) return opened.status();
    directory = *std::move(opened);
    pool = std::make_unique<storage::FilePool>(2);
    flusher = std::make_unique<storage::Flusher>(files, *pool);
    disk = std::make_unique<topic::DiskGuard>(files, "/data", directory->environment().ballast);
    topic::PartitionServices services;
    services.flusher = flusher.get();
    services.pool = pool.get();
    services.clock = &clock;
    services.disk = disk.get();
    services.budget = &budget;
    services.stopping = &stopping;
    services.leader_epoch = directory->meta().leader_epoch;
    registry = std::make_unique<topic::TopicRegistry>(files, *directory, services, topic::TopicConfig());
    return absl::OkStatus();
  }
  // Their threads end before what they use.
  void Stop() {
    if (gate_) gate_->Open();
    flusher.reset();
    pool.reset();
    registry.reset();
    disk.reset();
    directory.reset();
  }

  std::string boot_id_ = "boot";
  mutable core::Mutex lines_mutex_;
  std::vector<std::string> lines_ HEADRACE_GUARDED_BY(lines_mutex_);
  std::unique_ptr<SyncGate> gate_;
  mutable core::Mutex recovered_mutex_;
  std::map<std::string, storage::RecoveryReport> recovered_ HEADRACE_GUARDED_BY(recovered_mutex_);
};

}  // namespace headrace::testing
