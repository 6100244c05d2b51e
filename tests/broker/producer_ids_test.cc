#include "broker/topic/producer_ids.h"

#include <catch2/catch.hpp>

#include <limits>
#include <set>
#include <thread>
#include <vector>

#include "protocol/core/error_code.h"
#include "storage/io/small_file.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

using namespace headrace;
using headrace::testing::FaultyFileSystem;
using headrace::testing::MemoryFileSystem;
using headrace::topic::ProducerIdentity;
using headrace::topic::ProducerIds;

namespace {

// A file system with the directory that the ids are kept in, on disk.
struct Disk {
  Disk() {
    REQUIRE(memory.CreateDirectory("/data").ok());
    REQUIRE(memory.SyncDirectory("/").ok());
  }
  std::unique_ptr<ProducerIds> Open() {
    auto ids = ProducerIds::Open(files, "/data");
    REQUIRE(ids.ok());
    return *std::move(ids);
  }
  MemoryFileSystem memory;
  FaultyFileSystem files{memory};
};

ProducerId NextId(ProducerIds& ids) {
  const auto next = ids.Next({});
  REQUIRE(next.ok());
  CHECK(next->epoch == 0);
  return next->id;
}

}  // namespace

TEST_CASE("ProducerIds: each is another") {
  Disk disk;
  const auto ids = disk.Open();
  for (ProducerId expected = 0; expected < 2 * ProducerIds::kBlockSize + 5; ++expected) {
    if (NextId(*ids) != expected) FAIL("not id " << expected);
  }
}

TEST_CASE("ProducerIds: many threads are never given one twice") {
  Disk disk;
  const auto ids = disk.Open();
  constexpr int kThreads = 4;
  constexpr int kEach = 1500;
  std::vector<std::vector<ProducerId>> given(kThreads);
  std::vector<std::thread> threads;
  for (std::vector<ProducerId>& mine : given) {
    threads.emplace_back([&ids, &mine] {
      for (int i = 0; i < kEach; ++i) {
        const auto next = ids->Next({});
        if (next.ok()) mine.push_back(next->id);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<ProducerId> all;
  for (const std::vector<ProducerId>& mine : given) all.insert(mine.begin(), mine.end());
  CHECK(all.size() == kThreads * kEach);
}

TEST_CASE("ProducerIds: a restart or a crash skips ids and repeats none") {
  for (const bool power : {false, true}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      CAPTURE(power, seed);
      Disk disk;
      ProducerId last = -1;
      for (int start = 0; start < 4; ++start) {
        const auto ids = disk.Open();
        for (int i = 0; i < 700; ++i) {
          const ProducerId id = NextId(*ids);
          if (id <= last) FAIL("id " << id << " after " << last);
          last = id;
        }
        if (power) {
          disk.memory.CrashPower(seed);
        } else {
          disk.memory.CrashProcess();
        }
      }
    }
  }
}

TEST_CASE("ProducerIds: a crash at any step of taking a block repeats none") {
  for (std::uint64_t step = 1;; ++step) {
    CAPTURE(step);
    Disk disk;
    ProducerId last = -1;
    {
      const auto ids = disk.Open();
      for (ProducerId i = 0; i < ProducerIds::kBlockSize; ++i) last = NextId(*ids);
      disk.files.Heal();  // counts from here
      disk.files.DieAt(step);
      const auto next = ids->Next({});
      if (next.ok()) last = next->id;
      disk.files.Heal();
      if (next.ok()) break;  // all steps done
    }
    disk.memory.CrashPower(step);
    CHECK(NextId(*disk.Open()) > last);
  }
}

TEST_CASE("ProducerIds: when the disk fails nothing is handed out, and the next call tries again") {
  Disk disk;
  const auto ids = disk.Open();
  disk.files.FailAt(1, absl::ResourceExhaustedError("No space left on device"));
  CHECK_FALSE(ids->Next({}).ok());
  disk.files.Heal();
  CHECK(NextId(*ids) == 0);
}

TEST_CASE("ProducerIds: a former identity has its epoch raised") {
  Disk disk;
  const auto ids = disk.Open();
  const auto first = ids->Next({});
  REQUIRE(first.ok());
  const auto second = ids->Next(*first);
  REQUIRE(second.ok());
  CHECK(second->id == first->id);
  CHECK(second->epoch == 1);
  // After a restart too.
  const auto third = disk.Open()->Next(*second);
  REQUIRE(third.ok());
  CHECK(third->id == first->id);
  CHECK(third->epoch == 2);
}

TEST_CASE("ProducerIds: who has used up the epochs is given a new id") {
  Disk disk;
  const auto ids = disk.Open();
  const ProducerId former = NextId(*ids);
  const auto next = ids->Next({former, std::numeric_limits<std::int16_t>::max()});
  REQUIRE(next.ok());
  CHECK(next->id == former + 1);
  CHECK(next->epoch == 0);
}

TEST_CASE("ProducerIds: an id that was never handed out is refused, naming it") {
  Disk disk;
  const auto ids = disk.Open();
  NextId(*ids);
  for (const ProducerId never : {ProducerId{1}, ProducerId{1'000'000}, ProducerId{-2}}) {
    const auto refused = ids->Next({never, 0});
    CHECK(CodeOf(refused.status()) == ErrorCode::kInvalidRequest);
    CHECK_THAT(std::string(MessageOf(refused.status())), Catch::Contains(std::to_string(never)));
  }
}

TEST_CASE("ProducerIds: a damaged file is an error that names it; ids do not begin anew") {
  Disk disk;
  NextId(*disk.Open());
  const std::vector<std::byte> whole = disk.memory.Read("/data/producer_ids");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    CAPTURE(at);
    std::vector<std::byte> damaged = whole;
    damaged[at] ^= std::byte{1};
    disk.memory.Write("/data/producer_ids", damaged);
    const auto opened = ProducerIds::Open(disk.files, "/data");
    REQUIRE_FALSE(opened.ok());
    CHECK_THAT(std::string(MessageOf(opened.status())), Catch::Contains("/data/producer_ids"));
  }
  disk.memory.Write("/data/producer_ids", {whole.begin(), whole.begin() + 5});
  CHECK_FALSE(ProducerIds::Open(disk.files, "/data").ok());
  const std::vector<std::byte> other(8);
  REQUIRE(storage::ReplaceSmallFile(disk.files, "/data/producer_ids", 2, other).ok());
  const auto newer = ProducerIds::Open(disk.files, "/data");
  REQUIRE_FALSE(newer.ok());
  CHECK_THAT(std::string(MessageOf(newer.status())), Catch::Contains("format 2"));
}
