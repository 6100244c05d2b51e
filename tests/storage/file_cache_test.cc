// The LRU of open files.
#include "storage/io/file_cache.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <thread>
#include <utility>

#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace headrace::storage {
namespace {

using headrace::testing::Fault;
using headrace::testing::FaultyFileSystem;
using headrace::testing::FileOperation;
using headrace::testing::MemoryFileSystem;

constexpr std::chrono::seconds kLong{30};

struct Fixture {
  explicit Fixture(std::size_t open_max) : cache(files, open_max) {
    for (const char* name : {"/a", "/b", "/c", "/d"}) memory.Write(name, {});
  }
  std::shared_ptr<File> Get(const std::string& path) {
    auto file = cache.Get(path, OpenMode::kWrite);
    REQUIRE(file.ok());
    return *file;
  }

  MemoryFileSystem memory;
  FaultyFileSystem files{memory};
  FileCache cache;
};

// Holds whoever creates one path until it is let go.
class Gate {
 public:
  Gate(FaultyFileSystem& files, std::string path) {
    files.SetDecide([this, path = std::move(path)](const FileOperation& operation) {
      if (operation.kind == FileOperation::Kind::kCreate && operation.path == path) {
        reached_.set_value();
        open_.get_future().wait();
      }
      return Fault{};
    });
  }
  bool WaitUntilReached() { return reached_.get_future().wait_for(kLong) == std::future_status::ready; }
  void Open() { open_.set_value(); }

 private:
  std::promise<void> reached_;
  std::promise<void> open_;
};

TEST_CASE("FileCache: a path is opened once") {
  Fixture fixture(4);
  const auto file = fixture.Get("/a");
  CHECK(fixture.Get("/a") == file);
  CHECK(fixture.Get("/b") != file);
  CHECK(fixture.cache.open_count() == 2);
}

TEST_CASE("FileCache: the file that was not used for longest is let go") {
  Fixture fixture(2);
  const std::weak_ptr<File> a = fixture.Get("/a");
  const std::weak_ptr<File> b = fixture.Get("/b");
  fixture.Get("/a");
  fixture.Get("/c");
  CHECK(fixture.cache.open_count() == 2);
  CHECK_FALSE(a.expired());
  CHECK(b.expired());
}

TEST_CASE("FileCache: a file in use stays open when it is evicted") {
  Fixture fixture(1);
  const auto a = fixture.Get("/a");
  fixture.Get("/b");
  const ByteSpan text = AsBytes("still open");
  CHECK(a->WriteAt(0, {&text, 1}).ok());
  CHECK(a.use_count() == 1);
  CHECK(fixture.Get("/a") != a);
}

TEST_CASE("FileCache: a dropped path is forgotten, and closed if nobody uses it") {
  Fixture fixture(4);
  const std::weak_ptr<File> a = fixture.Get("/a");
  fixture.cache.Drop("/a");
  fixture.cache.Drop("/never opened");
  CHECK(a.expired());
  CHECK(fixture.cache.open_count() == 0);
}

TEST_CASE("FileCache: an open that fails is told and not remembered") {
  Fixture fixture(4);
  CHECK(absl::IsNotFound(fixture.cache.Get("/e", OpenMode::kWrite).status()));
  CHECK(fixture.cache.open_count() == 0);
  fixture.memory.Write("/e", {});
  CHECK(fixture.cache.Get("/e", OpenMode::kWrite).ok());
}

TEST_CASE("FileCache: without room it still opens") {
  Fixture fixture(0);
  CHECK(fixture.Get("/a") != nullptr);
  CHECK(fixture.cache.open_count() == 0);
}

TEST_CASE("FileCache: a slow open keeps nobody else waiting") {
  Fixture fixture(4);
  const auto b = fixture.Get("/b");
  Gate gate(fixture.files, "/slow");
  auto slow = std::async(std::launch::async, [&] { return fixture.cache.Get("/slow", OpenMode::kCreate); });
  REQUIRE(gate.WaitUntilReached());
  auto others = std::async(std::launch::async, [&] {
    const bool cached = *fixture.cache.Get("/b", OpenMode::kWrite) == b;
    const bool opened = fixture.cache.Get("/c", OpenMode::kWrite).ok();
    return cached && opened;
  });
  const bool in_time = others.wait_for(kLong) == std::future_status::ready;
  gate.Open();
  CHECK(in_time);
  CHECK(others.get());
  CHECK(slow.get().ok());
  CHECK(fixture.cache.open_count() == 3);
}

TEST_CASE("FileCache: of two who open one path at once, both get the same file") {
  Fixture fixture(4);
  std::shared_ptr<File> other;
  bool entered = false;
  // The other one comes and goes while the first is between looking and opening.
  fixture.files.SetDecide([&](const FileOperation&) {
    if (!std::exchange(entered, true)) other = *fixture.cache.Get("/a", OpenMode::kCreate);
    return Fault{};
  });
  const auto file = fixture.cache.Get("/a", OpenMode::kCreate);
  REQUIRE(file.ok());
  CHECK(other != nullptr);
  CHECK(*file == other);
  CHECK(fixture.cache.open_count() == 1);
}

TEST_CASE("FileCache: a path dropped while it is being opened is not kept") {
  Fixture fixture(4);
  Gate gate(fixture.files, "/going");
  auto opening =
      std::async(std::launch::async, [&] { return fixture.cache.Get("/going", OpenMode::kCreate); });
  REQUIRE(gate.WaitUntilReached());
  fixture.cache.Drop("/going");
  gate.Open();
  const auto file = opening.get();
  REQUIRE(file.ok());
  CHECK(fixture.cache.open_count() == 0);
  CHECK(file->use_count() == 1);  // nothing else keeps the deleted bytes
}

TEST_CASE("FileCache: threads get whole files of the paths they asked for") {
  Fixture fixture(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int id = 0; id < 4; ++id) {
    threads.emplace_back([&, id] {
      const std::string paths[] = {"/a", "/b", "/c", "/d"};
      for (int i = 0; i < 2'000; ++i) {
        const std::string& path = paths[(i * (id + 1)) % 4];
        const auto file = fixture.cache.Get(path, OpenMode::kWrite);
        if (!file.ok() || (*file)->path() != path) ++wrong;
        if (i % 17 == 0) fixture.cache.Drop(path);
        if (fixture.cache.open_count() > 3) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("FileCache: without a descriptor left it lets go of what nobody uses, oldest first") {
  Fixture fixture(4);
  const auto in_use = fixture.Get("/a");
  std::weak_ptr<File> idle = fixture.Get("/b");
  fixture.Get("/c");
  int refused = 0;
  fixture.files.SetDecide([&](const FileOperation& operation) {
    const bool none_left = operation.path == "/d" && !idle.expired();
    refused += none_left ? 1 : 0;
    return Fault{none_left ? absl::UnavailableError("open: too many open files") : absl::OkStatus(), 0};
  });
  CHECK(fixture.Get("/d") != nullptr);
  CHECK(refused > 0);
  CHECK(fixture.Get("/d") == fixture.Get("/d"));
  CHECK(in_use.use_count() == 1);  // the cache has forgotten it too, and its user keeps it
}

TEST_CASE("FileCache: when nothing more can be let go, the error is told") {
  Fixture fixture(4);
  fixture.Get("/a");
  fixture.files.SetDecide([&](const FileOperation& operation) {
    const bool none_left = operation.path == "/d";
    return Fault{none_left ? absl::UnavailableError("too many open files") : absl::OkStatus(), 0};
  });
  CHECK(absl::IsUnavailable(fixture.cache.Get("/d", OpenMode::kWrite).status()));
  CHECK(fixture.cache.open_count() == 0);
  fixture.files.Heal();
  CHECK(fixture.Get("/d") != nullptr);
}

}  // namespace
}  // namespace headrace::storage
