// Group commit: one sync for many, acknowledgements in order, and a failure for exactly those it concerns.
#include "storage/flusher.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <optional>

#include "protocol/core/status_macros.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace headrace::storage {
namespace {

using headrace::testing::Fault;
using headrace::testing::FaultyFileSystem;
using headrace::testing::FileOperation;
using headrace::testing::MemoryFileSystem;

constexpr std::chrono::seconds kLong{30};

// A flusher whose groups are chosen: what is submitted while it is held becomes one group.
class Bench {
 public:
  explicit Bench(std::size_t pool_threads = 2) : pool_(pool_threads) {
    memory.CreateDirectory("/d").IgnoreError();
    memory.SyncDirectory("/").IgnoreError();
    files.SetDecide([this](const FileOperation& operation) { return Observe(operation); });
    flusher_.emplace(files, pool_);
  }

  std::shared_ptr<File> Open(const std::string& path) { return *files.Open(path, OpenMode::kCreate); }

  // Keeps the flusher busy until Release.
  void Hold() {
    auto begun = std::make_shared<std::promise<void>>();
    hold_ = std::promise<void>();
    flusher_->Submit({[begun, end = hold_.get_future().share()]() -> absl::StatusOr<SyncPoint> {
                        begun->set_value();
                        end.wait();
                        return SyncPoint();
                      },
                      [](const absl::StatusOr<SyncPoint>&, const absl::Status&) {}});
    begun->get_future().wait();
    const std::lock_guard lock(mutex_);
    syncs_.clear();
  }
  void Release() { hold_.set_value(); }

  void Submit(const std::string& name, std::vector<std::shared_ptr<File>> synced,
              std::vector<std::string> directories = {}, absl::Status written = absl::OkStatus()) {
    flusher_->Submit({[=]() -> absl::StatusOr<SyncPoint> {
                        if (!written.ok()) return written;
                        SyncPoint point;
                        point.files = synced;
                        point.directories = directories;
                        return point;
                      },
                      [this, name](const absl::StatusOr<SyncPoint>& wrote, const absl::Status& sync) {
                        const std::lock_guard lock(mutex_);
                        outcomes_ += name + (wrote.ok() && sync.ok() ? "+" : "-");
                        changed_.notify_all();
                      }});
  }
  // Waits until this much was done.
  bool WaitFor(const std::string& outcomes) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLong, [&] { return outcomes_ == outcomes; });
  }
  // What was done, in order: "a+" well, "a-" failed. Ends the flusher.
  std::string Finish() {
    flusher_.reset();
    const std::lock_guard lock(mutex_);
    return outcomes_;
  }
  // Syncs of this path since Hold.
  int SyncsOf(const std::string& path) {
    const std::lock_guard lock(mutex_);
    return syncs_[path];
  }
  void FailSyncOf(const std::string& path) { failing_ = path; }
  void OnSync(std::function<void()> hook) { hook_ = std::move(hook); }
  Flusher& flusher() { return *flusher_; }
  FilePool& pool() { return pool_; }

  MemoryFileSystem memory;
  FaultyFileSystem files{memory};

 private:
  Fault Observe(const FileOperation& operation) {
    using Kind = FileOperation::Kind;
    if (operation.kind != Kind::kSync && operation.kind != Kind::kSyncDirectory) return {};
    if (hook_) hook_();
    const std::lock_guard lock(mutex_);
    ++syncs_[operation.path];
    if (operation.path == failing_) return {absl::InternalError("input/output error"), 0};
    return {};
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, int> syncs_;
  std::string outcomes_;
  std::string failing_;         // set before Submit
  std::function<void()> hook_;  // likewise
  std::promise<void> hold_;
  FilePool pool_;
  std::optional<Flusher> flusher_;
};

TEST_CASE("Flusher: what is acknowledged survives the loss of power") {
  std::promise<absl::Status> done;  // before the bench, whose thread uses it until it is gone
  Bench bench;
  const auto file = bench.Open("/d/f");
  bench.flusher().Submit({[&]() -> absl::StatusOr<SyncPoint> {
                            const ByteSpan text = AsBytes("kept");
                            RETURN_IF_ERROR(file->WriteAt(0, {&text, 1}));
                            SyncPoint point;
                            point.end = 7;
                            point.files = {file};
                            point.directories = {"/d"};
                            return point;
                          },
                          [&](const absl::StatusOr<SyncPoint>& written, const absl::Status& synced) {
                            done.set_value(written->end == 7 ? synced : absl::InternalError("another point"));
                          }});
  CHECK(done.get_future().get().ok());
  bench.memory.CrashPower(1);
  CHECK(AsText(bench.memory.Read("/d/f")) == "kept");
}

TEST_CASE("Flusher: what arrives meanwhile is one group, which syncs each file and directory once") {
  Bench bench;
  const auto f = bench.Open("/d/f");
  const auto g = bench.Open("/d/g");
  bench.Hold();
  bench.Submit("a", {f}, {"/d"});
  bench.Submit("b", {f, g}, {"/d"});
  bench.Submit("c", {g});
  bench.Submit("d", {f, f});
  bench.Release();
  CHECK(bench.Finish() == "a+b+c+d+");
  CHECK(bench.SyncsOf("/d/f") == 1);
  CHECK(bench.SyncsOf("/d/g") == 1);
  CHECK(bench.SyncsOf("/d") == 1);
}

TEST_CASE("Flusher: the next group syncs again") {
  Bench bench;
  const auto f = bench.Open("/d/f");
  bench.Hold();
  bench.Submit("a", {f});
  bench.Release();
  REQUIRE(bench.WaitFor("a+"));
  bench.Hold();
  CHECK(bench.SyncsOf("/d/f") == 0);
  bench.Submit("b", {f});
  bench.Release();
  CHECK(bench.Finish() == "a+b+");
  CHECK(bench.SyncsOf("/d/f") == 1);
}

TEST_CASE("Flusher: a failed sync fails every job that needs that file, and only those") {
  Bench bench;
  const auto f = bench.Open("/d/f");
  const auto g = bench.Open("/d/g");
  bench.FailSyncOf(GENERATE(as<std::string>{}, "/d/f", "/d"));
  bench.Hold();
  bench.Submit("a", {g});
  bench.Submit("b", {g, f}, {"/d"});
  bench.Submit("c", {f}, {"/d"});
  bench.Submit("d", {g});
  bench.Submit("e", {});
  bench.Release();
  CHECK(bench.Finish() == "a+b-c-d+e+");
}

TEST_CASE("Flusher: after a failed write nothing of that job is synced, and the others are") {
  Bench bench;
  const auto f = bench.Open("/d/f");
  const auto g = bench.Open("/d/g");
  bench.Hold();
  bench.Submit("a", {f}, {"/d"}, absl::InternalError("write failed"));
  bench.Submit("b", {g});
  bench.Release();
  CHECK(bench.Finish() == "a-b+");
  CHECK(bench.SyncsOf("/d/f") == 0);
  CHECK(bench.SyncsOf("/d") == 0);
  CHECK(bench.SyncsOf("/d/g") == 1);
}

TEST_CASE("Flusher: writes of a group all come before its first sync") {
  Bench bench;
  const auto f = bench.Open("/d/f");
  std::atomic<int> written{0};
  std::atomic<int> written_at_sync{-1};
  bench.OnSync([&] {
    int unset = -1;
    written_at_sync.compare_exchange_strong(unset, written.load());
  });
  bench.Hold();
  for (int i = 0; i < 3; ++i) {
    bench.flusher().Submit({[&]() -> absl::StatusOr<SyncPoint> {
                              ++written;
                              SyncPoint point;
                              point.files = {f};
                              return point;
                            },
                            [](const absl::StatusOr<SyncPoint>&, const absl::Status&) {}});
  }
  bench.Release();
  bench.Finish();
  CHECK(written_at_sync == 3);
}

TEST_CASE("Flusher: files of one group are synced beside each other") {
  Bench bench;
  const auto f = bench.Open("/d/f");
  const auto g = bench.Open("/d/g");
  std::mutex mutex;
  std::condition_variable both;
  int inside = 0;
  std::atomic<bool> met{true};
  bench.OnSync([&] {
    std::unique_lock lock(mutex);
    ++inside;
    both.notify_all();
    if (!both.wait_for(lock, kLong, [&] { return inside == 2; })) met = false;
  });
  bench.Hold();
  bench.Submit("a", {f});
  bench.Submit("b", {g});
  bench.Release();
  CHECK(bench.Finish() == "a+b+");
  CHECK(met);
}

TEST_CASE("Flusher: a pool that is busy holds up no group") {
  const auto count = static_cast<std::size_t>(GENERATE(1, 5));
  std::promise<void> busy;  // before the bench, whose threads use them until it is gone
  std::promise<void> end;
  std::promise<absl::Status> done;
  Bench bench(1);
  bench.pool().Post([&] {
    busy.set_value();
    end.get_future().wait();
  });
  busy.get_future().wait();
  std::vector<std::shared_ptr<File>> synced;
  for (std::size_t i = 0; i < count; ++i) synced.push_back(bench.Open("/d/" + std::to_string(i)));
  bench.flusher().Submit(
      {[&]() -> absl::StatusOr<SyncPoint> {
         SyncPoint point;
         point.files = synced;
         return point;
       },
       [&](const absl::StatusOr<SyncPoint>&, const absl::Status& status) { done.set_value(status); }});
  std::future<absl::Status> outcome = done.get_future();
  const bool in_time = outcome.wait_for(kLong) == std::future_status::ready;
  bench.Hold();  // the group is over
  bench.Release();
  for (const auto& file : synced) CHECK(file.use_count() == 1);  // the late helper keeps no file open
  end.set_value();
  CHECK(in_time);
  CHECK(outcome.get().ok());
  CHECK(bench.flusher().sync_count() == count);
}

TEST_CASE("Flusher: what is queued is finished before it is gone") {
  Bench bench;
  const auto f = bench.Open("/d/f");
  for (int i = 0; i < 100; ++i) bench.Submit("a", {f});
  CHECK(bench.Finish().size() == 200);
}

TEST_CASE("Flusher: every job of many threads is done once, in the order of its thread") {
  Bench bench;
  constexpr int kThreads = 4;
  constexpr int kJobs = 300;
  std::vector<int> next(kThreads);  // touched on the flusher's thread only
  std::atomic<int> wrong{0};
  std::vector<std::shared_ptr<File>> opened;
  for (int id = 0; id < kThreads; ++id) opened.push_back(bench.Open("/d/" + std::to_string(id)));
  std::vector<std::thread> threads;
  for (int id = 0; id < kThreads; ++id) {
    threads.emplace_back([&, id] {
      for (int i = 0; i < kJobs; ++i) {
        const auto slot = static_cast<std::size_t>(id);
        bench.flusher().Submit(
            {[&, slot, i]() -> absl::StatusOr<SyncPoint> {
               SyncPoint point;
               point.end = i;
               point.files = {opened[slot], opened[(slot + 1) % kThreads]};
               return point;
             },
             [&, slot, i](const absl::StatusOr<SyncPoint>& written, const absl::Status& synced) {
               if (!synced.ok() || written->end != i || next[slot]++ != i) ++wrong;
             }});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  bench.Finish();
  CHECK(wrong == 0);
  CHECK(next == std::vector<int>(kThreads, kJobs));
}

}  // namespace
}  // namespace headrace::storage
