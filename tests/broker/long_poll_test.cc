// A read of several partitions that waits: what ends it, and what it looks at meanwhile.
#include "broker/topic/long_poll.h"

#include <catch2/catch.hpp>

#include <deque>
#include <optional>

#include "tests/support/await_flusher.h"
#include "tests/support/faulty_topics.h"

using namespace headrace;
using headrace::testing::AwaitFlusher;
using headrace::testing::Fault;
using headrace::testing::FaultyTopics;
using headrace::testing::FileOperation;
using headrace::testing::MakeBatch;
using headrace::topic::LongPoll;
using headrace::topic::PartitionRead;

namespace {

// Runs what was posted, and ends the one timer, when told to.
class HandScheduler final : public core::Scheduler {
 public:
  void Post(std::function<void()> function) override HEADRACE_EXCLUDES(mutex_) {
    const core::MutexLock lock(mutex_);
    posted_.push_back(std::move(function));
  }
  core::TimerId StartTimer(std::chrono::steady_clock::time_point, std::function<void()> function) override {
    timer_ = std::move(function);
    return 1;
  }
  void CancelTimer(core::TimerId) override { timer_ = nullptr; }

  // How many functions were run.
  int Run() HEADRACE_EXCLUDES(mutex_) {
    std::deque<std::function<void()>> posted;
    {
      const core::MutexLock lock(mutex_);
      posted.swap(posted_);
    }
    for (const auto& function : posted) function();
    return static_cast<int>(posted.size());
  }
  void EndTimer() { std::exchange(timer_, nullptr)(); }
  bool has_timer() const { return timer_ != nullptr; }

 private:
  core::Mutex mutex_;
  std::deque<std::function<void()>> posted_ HEADRACE_GUARDED_BY(mutex_);
  std::function<void()> timer_;
};

const std::uint64_t kBatch = MakeBatch({"x"}).size();

// A poll of the partitions "a", of which one batch is asked for, and "b", and how often the first one's file
// was read to find the end of that batch.
class Bench {
 public:
  Bench() {
    const std::string of_a = topics.directory->LogPath({topics.registry->Find("a")->id, 0});
    topics.files.SetDecide([this, of_a](const FileOperation& operation) {
      if (operation.kind == FileOperation::Kind::kRead && operation.path.starts_with(of_a)) ++reads_of_a;
      return Fault{};
    });
  }
  // When it returns, those who wait have been told.
  void Append(topic::Partition& partition, const char* value) {
    REQUIRE(FaultyTopics::Append(partition, MakeBatch({value})).get().ok());
    AwaitFlusher(*topics.flusher);
  }
  void Poll(std::uint64_t size_min) {
    const auto poll = std::make_shared<LongPoll>(
        scheduler, std::vector<topic::ReadTarget>{{a, 0, kBatch + 1}, {b, 0, 1 << 20}},
        topic::LongPollLimits{size_min, 1 << 20},
        [this](std::vector<PartitionRead> reads) { answer = std::move(reads); });
    poll->Start({}, true);
  }

  std::atomic<int> reads_of_a{0};
  FaultyTopics topics;
  const std::shared_ptr<topic::Partition> a = topics.Create({}, "a");
  const std::shared_ptr<topic::Partition> b = topics.Create({}, "b");
  const std::shared_ptr<HandScheduler> scheduler = std::make_shared<HandScheduler>();
  std::optional<std::vector<PartitionRead>> answer;
};

}  // namespace

TEST_CASE("LongPoll: what is there is answered at once") {
  Bench bench;
  bench.Append(*bench.b, "x");
  bench.Poll(1);
  REQUIRE(bench.answer.has_value());
  CHECK((*bench.answer)[0].size == 0);
  CHECK((*bench.answer)[1].size == kBatch);
  CHECK((*bench.answer)[1].offsets.high_watermark == 1);
  CHECK_FALSE(bench.scheduler->has_timer());
}

TEST_CASE("LongPoll: it waits for enough, and reads again only the partition that moved") {
  Bench bench;
  bench.Append(*bench.a, "x");
  bench.Append(*bench.a, "x");
  bench.Poll(3 * kBatch);
  CHECK_FALSE(bench.answer.has_value());
  const int reads = bench.reads_of_a.load();
  CHECK(reads > 0);
  bench.Append(*bench.b, "y");
  CHECK(bench.scheduler->Run() == 1);
  CHECK_FALSE(bench.answer.has_value());
  bench.Append(*bench.b, "z");
  CHECK(bench.scheduler->Run() == 1);
  REQUIRE(bench.answer.has_value());
  CHECK((*bench.answer)[0].size == kBatch);
  CHECK((*bench.answer)[1].size == 2 * kBatch);
  CHECK(bench.reads_of_a.load() == reads);
  bench.Append(*bench.a, "w");
  CHECK(bench.scheduler->Run() == 0);  // it has left
}

TEST_CASE("LongPoll: at its deadline it answers what there is") {
  Bench bench;
  bench.Poll(3 * kBatch);
  bench.Append(*bench.a, "x");
  CHECK(bench.scheduler->Run() == 1);
  bench.scheduler->EndTimer();
  REQUIRE(bench.answer.has_value());
  CHECK((*bench.answer)[0].size == kBatch);
}

TEST_CASE("LongPoll: a topic that is deleted ends it with the reason") {
  Bench bench;
  bench.Append(*bench.a, "x");
  bench.Poll(3 * kBatch);
  REQUIRE(bench.topics.registry->Delete(bench.topics.registry->Find("b")->id).ok());
  bench.scheduler->Run();
  REQUIRE(bench.answer.has_value());
  CHECK((*bench.answer)[0].size == kBatch);
  CHECK(CodeOf((*bench.answer)[1].status) == ErrorCode::kUnknownTopicOrPartition);
}
