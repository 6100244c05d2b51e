// The long polls of a connection, and that none outlives it.
#include "broker/topic/long_poll.h"

#include <catch2/catch.hpp>

#include <map>

#include "tests/support/await_flusher.h"
#include "tests/support/faulty_topics.h"

using namespace headrace;
using headrace::testing::AwaitFlusher;
using headrace::testing::FaultyTopics;
using headrace::testing::MakeBatch;
using headrace::topic::LongPoll;
using headrace::topic::LongPollLimits;
using headrace::topic::LongPolls;
using headrace::topic::PartitionRead;

namespace {

// Runs on the test's thread, when the test says so; no time passes.
class ManualScheduler final : public core::Scheduler {
 public:
  void Post(std::function<void()> function) override {
    const core::MutexLock lock(mutex_);
    posted_.push_back(std::move(function));
  }
  core::TimerId StartTimer(std::chrono::steady_clock::time_point, std::function<void()> function) override {
    timers_.emplace(++last_timer_, std::move(function));
    return last_timer_;
  }
  void CancelTimer(core::TimerId timer) override { timers_.erase(timer); }

  void RunPosted() {
    std::vector<std::function<void()>> posted;
    {
      const core::MutexLock lock(mutex_);
      posted.swap(posted_);
    }
    for (const auto& function : posted) function();
  }
  std::size_t timers() const { return timers_.size(); }

 private:
  core::Mutex mutex_;
  std::vector<std::function<void()>> posted_ HEADRACE_GUARDED_BY(mutex_);
  std::map<core::TimerId, std::function<void()>> timers_;
  core::TimerId last_timer_ = 0;
};

// Polls of one partition, and what they were answered.
struct Bench {
  void Poll(std::uint64_t size_min = 1, Offset offset = 0) {
    std::vector<topic::ReadTarget> targets;
    targets.push_back({partition, offset, 1 << 20});
    LongPollLimits limits;
    limits.size_min = size_min;
    limits.size_max = 1 << 20;
    const auto poll = std::make_shared<LongPoll>(
        scheduler, std::move(targets), limits,
        [this, kept = held](std::vector<PartitionRead> reads) { answers.push_back(reads.front().size); });
    polls.Start(poll, std::chrono::steady_clock::now(), true);
  }
  // When it returns, those who wait have been told.
  void Append() {
    REQUIRE(FaultyTopics::Append(*partition, MakeBatch({"a"})).get().ok());
    AwaitFlusher(*topics.flusher);
  }
  // Polls that something still keeps alive.
  long alive() const { return held.use_count() - 1; }

  FaultyTopics topics;
  std::shared_ptr<topic::Partition> partition = topics.Create({});
  std::shared_ptr<ManualScheduler> scheduler = std::make_shared<ManualScheduler>();
  std::shared_ptr<int> held = std::make_shared<int>(0);  // by what each poll would answer with
  std::vector<std::uint64_t> answers;
  LongPolls polls;
};

}  // namespace

TEST_CASE("LongPoll: waits for enough, is answered once, and lets go of everything") {
  Bench bench;
  bench.Poll();
  CHECK(bench.answers.empty());
  CHECK(bench.alive() > 0);
  bench.Append();
  bench.scheduler->RunPosted();
  REQUIRE(bench.answers.size() == 1);
  CHECK(bench.answers.front() > 0);
  CHECK(bench.scheduler->timers() == 0);
  CHECK(bench.alive() == 0);
}

TEST_CASE("LongPolls: cancelled, they answer nothing and keep nothing, as soon as that") {
  Bench bench;
  bench.Append();
  for (int i = 0; i < 100; ++i) bench.Poll(1 << 20);
  CHECK(bench.alive() == 100);
  bench.polls.CancelAll();
  CHECK(bench.alive() == 0);
  CHECK(bench.scheduler->timers() == 0);
  bench.Append();
  bench.scheduler->RunPosted();
  CHECK(bench.answers.empty());
}

TEST_CASE("LongPolls: a wake-up that is on its way finds a cancelled one gone") {
  Bench bench;
  bench.Poll();
  bench.Append();
  bench.polls.CancelAll();
  bench.scheduler->RunPosted();
  CHECK(bench.answers.empty());
  CHECK(bench.alive() == 0);
}

TEST_CASE("LongPolls: finished early, they answer with what there is") {
  Bench bench;
  bench.Append();
  bench.Poll(1 << 20);
  bench.Poll(1 << 20);
  bench.polls.FinishAll();
  REQUIRE(bench.answers.size() == 2);
  CHECK(bench.answers.front() > 0);
  CHECK(bench.alive() == 0);
  bench.polls.CancelAll();
  CHECK(bench.answers.size() == 2);
}

TEST_CASE("LongPolls: those that have answered are forgotten") {
  Bench bench;
  for (int i = 0; i < 1000; ++i) {
    bench.Poll(1, bench.partition->offsets().end);
    bench.Append();
    bench.scheduler->RunPosted();
  }
  CHECK(bench.answers.size() == 1000);
  CHECK(bench.alive() == 0);
}
