// Who holds a data directory, what format it has, and how its last shutdown went.
#include "storage/data_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <map>

#include "protocol/core/error_code.h"
#include "storage/io/posix_file_system.h"
#include "storage/io/small_file.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/temp_dir.h"

namespace headrace::storage {
namespace {

using Catch::Contains;
using headrace::testing::FakeClock;
using headrace::testing::Fault;
using headrace::testing::FaultyFileSystem;
using headrace::testing::FileOperation;
using headrace::testing::MemoryFileSystem;
using headrace::testing::TempDir;

TopicId Topic(std::uint8_t number) {
  TopicId id;
  id.bytes.fill(number);
  return id;
}

LogSummary Summary(Offset end, std::size_t segments = 1) {
  LogSummary summary;
  summary.offsets = {end - 10, end - 1, end};
  summary.has_producers = end % 2 == 0;
  for (std::size_t i = 0; i < segments; ++i) {
    const auto base = static_cast<Offset>(i) * 10;
    summary.segments.push_back({base, 1'000 + i, 100 + base, 200 + base, 300 + base});
  }
  return summary;
}

class Bench {
 public:
  absl::Status Open(std::string boot_id = "boot 1") {
    directory_.reset();
    auto opened = DataDirectory::Open(files, clock, "/data", 16, std::move(boot_id),
                                      [this](const std::string& line) { findings += line + "\n"; });
    if (opened.ok()) directory_ = *std::move(opened);
    return opened.status();
  }
  // An orderly stop.
  absl::Status Stop(const std::vector<std::pair<TopicPartition, LogSummary>>& logs = {}) {
    const absl::Status status = directory_->MarkClean(logs);
    directory_.reset();
    return status;
  }
  void Die() {
    files.Heal();
    memory.CrashProcess();
    directory_.reset();
  }
  DataDirectory& directory() { return *directory_; }

  std::map<std::string, std::vector<std::byte>> Everything() const {
    std::map<std::string, std::vector<std::byte>> all;
    for (const std::string& path : memory.Files()) all[path] = memory.Read(path);
    return all;
  }
  void MakeLog(const TopicPartition& partition) {
    const std::string path = directory_->LogPath(partition);
    REQUIRE(files.CreateDirectory(path.substr(0, path.rfind('/'))).ok());
    REQUIRE(files.CreateDirectory(path).ok());
    memory.Write(path + "/00000000000000000000.log", {});
  }

  MemoryFileSystem memory;
  FaultyFileSystem files{memory};
  FakeClock clock;
  std::string findings;

 private:
  std::unique_ptr<DataDirectory> directory_;
};

TEST_CASE("DataDirectory: a fresh one is clean, has an identity, and keeps it") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  CHECK(bench.directory().was_clean());
  CHECK(bench.directory().meta().leader_epoch == 0);
  const std::string id = bench.directory().meta().cluster_id;
  CHECK(TopicId::Parse(id));
  CHECK(bench.directory().environment().boot_id == "boot 1");
  REQUIRE(bench.Stop().ok());
  REQUIRE(bench.Open("boot 2").ok());
  CHECK(bench.directory().meta().cluster_id == id);
  CHECK(bench.directory().environment().boot_id == "boot 2");
  CHECK(bench.findings.empty());
}

TEST_CASE("DataDirectory: a clean stop is remembered once") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  const TopicPartition known{Topic(1), 3};
  REQUIRE(bench.Stop({{known, Summary(40, 2)}}).ok());
  REQUIRE(bench.Open().ok());
  CHECK(bench.directory().was_clean());
  CHECK(bench.directory().meta().leader_epoch == 0);
  const auto summary = bench.directory().SummaryOf(known);
  REQUIRE(summary);
  CHECK(summary->offsets.start == 30);
  CHECK(summary->offsets.high_watermark == 39);
  CHECK(summary->offsets.end == 40);
  CHECK(summary->segments.size() == 2);
  CHECK_FALSE(bench.directory().SummaryOf({Topic(1), 4}));
  CHECK_FALSE(bench.memory.Exists("/data/clean"));
  bench.Die();
  REQUIRE(bench.Open().ok());
  CHECK_FALSE(bench.directory().was_clean());
  CHECK_FALSE(bench.directory().SummaryOf(known));
}

TEST_CASE("DataDirectory: every unclean start raises the leader epoch, and no clean one does") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  for (int i = 1; i <= 3; ++i) {
    bench.Die();
    REQUIRE(bench.Open().ok());
    CHECK(bench.directory().meta().leader_epoch == i);
  }
  REQUIRE(bench.Stop().ok());
  REQUIRE(bench.Open().ok());
  CHECK(bench.directory().meta().leader_epoch == 3);
}

TEST_CASE("DataDirectory: a clean stop without some of the logs raises the leader epoch for them") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  REQUIRE(bench.directory().MarkClean({{{Topic(1), 0}, Summary(40)}}, false).ok());
  REQUIRE(bench.Open().ok());
  CHECK(bench.directory().was_clean());
  CHECK(bench.directory().meta().leader_epoch == 1);
  CHECK(bench.directory().SummaryOf({Topic(1), 0}));
  CHECK_FALSE(bench.directory().SummaryOf({Topic(1), 1}));
}

TEST_CASE("DataDirectory: the clean file goes before anything else is written") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  REQUIRE(bench.Stop().ok());
  bench.files.Heal();
  std::vector<std::string> changes;
  bench.files.SetDecide([&](const FileOperation& operation) {
    using Kind = FileOperation::Kind;
    const bool changes_files = operation.kind == Kind::kCreate || operation.kind == Kind::kWrite ||
                               operation.kind == Kind::kRename || operation.kind == Kind::kRemove;
    if (changes_files) changes.push_back(operation.path);
    return Fault{};
  });
  REQUIRE(bench.Open().ok());
  CHECK(changes == std::vector<std::string>{"/data/clean"});
  // Its going is on disk: a later loss of power does not bring it back.
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    bench.memory.CrashPower(seed);
    CHECK_FALSE(bench.memory.Exists("/data/clean"));
  }
}

TEST_CASE("DataDirectory: stopped at any operation of a start, the next one knows that it was not clean") {
  std::uint64_t operations = 0;
  for (std::uint64_t at = 1; at <= 60; ++at) {
    const auto power = static_cast<std::uint64_t>(GENERATE(range(0, 6)));
    Bench bench;
    REQUIRE(bench.Open().ok());
    REQUIRE(bench.Stop({{TopicPartition{Topic(1), 0}, Summary(40)}}).ok());
    bench.files.Heal();
    bench.files.DieAt(at);
    if (bench.Open().ok()) {
      operations = at;
      break;
    }
    bench.files.Heal();
    power == 0 ? bench.memory.CrashProcess() : bench.memory.CrashPower(power);
    REQUIRE(bench.Open().ok());
    CAPTURE(at, power);
    // Nothing was written before `clean` was gone, so both answers are right; what was known must go with it.
    CHECK(bench.directory().was_clean() ==
          bench.directory().SummaryOf(TopicPartition{Topic(1), 0}).has_value());
    CHECK(bench.directory().was_clean() == (bench.directory().meta().leader_epoch == 0));
  }
  CHECK(operations > 3);
}

TEST_CASE("DataDirectory: a fresh one survives the loss of power at once, its own name too") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(0, 20)));
  Bench bench;
  REQUIRE(bench.Open().ok());
  const std::string id = bench.directory().meta().cluster_id;
  bench.memory.CrashPower(seed);
  REQUIRE(bench.memory.Exists("/data/topics"));
  REQUIRE(bench.Open().ok());
  CHECK(bench.directory().meta().cluster_id == id);
}

TEST_CASE("DataDirectory: a damaged clean file costs a recovery, and is told") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  REQUIRE(bench.Stop({{TopicPartition{Topic(1), 0}, Summary(40)}}).ok());
  std::vector<std::byte> bytes = bench.memory.Read("/data/clean");
  SECTION("a flipped bit") {
    bytes.back() ^= std::byte{1};
  }
  SECTION("cut") {
    bytes.pop_back();
  }
  SECTION("empty") {
    bytes.clear();
  }
  bench.memory.Write("/data/clean", bytes);
  REQUIRE(bench.Open().ok());
  CHECK_FALSE(bench.directory().was_clean());
  CHECK(bench.directory().meta().leader_epoch == 1);
  CHECK_FALSE(bench.directory().SummaryOf({Topic(1), 0}));
  CHECK_THAT(bench.findings, Contains("/data/clean is damaged"));
  CHECK_FALSE(bench.memory.Exists("/data/clean"));
}

TEST_CASE("DataDirectory: a damaged meta refuses to start and changes nothing") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  REQUIRE(bench.Stop().ok());
  std::vector<std::byte> bytes = bench.memory.Read("/data/meta");
  bytes[bytes.size() / 2] ^= std::byte{4};
  bench.memory.Write("/data/meta", bytes);
  const auto before = bench.Everything();
  const absl::Status status = bench.Open();
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(MessageOf(status)), Contains("/data/meta"));
  CHECK(bench.Everything() == before);
}

TEST_CASE("DataDirectory: without meta, logs are not taken for this broker's own") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  bench.MakeLog({Topic(1), 0});
  REQUIRE(bench.Stop().ok());
  REQUIRE(bench.memory.Remove("/data/meta").ok());
  const absl::Status status = bench.Open();
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(MessageOf(status)), Contains("/data/meta is missing") && Contains("backup"));
  CHECK(bench.memory.Exists("/data/clean"));
}

TEST_CASE("DataDirectory: a newer format is refused, and not a byte is changed") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  REQUIRE(bench.Stop().ok());
  REQUIRE(ReplaceSmallFile(bench.memory, "/data/meta", DataDirectoryMeta::kFormat + 1, AsBytes("?")).ok());
  bench.memory.Write("/data/lock", {std::byte{'5'}});  // the newer broker's
  const auto before = bench.Everything();
  bench.files.Heal();
  const absl::Status status = bench.Open();
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(MessageOf(status)), Contains("/data has format 2") && Contains("knows up to 1"));
  CHECK(bench.Everything() == before);
  CHECK(bench.files.operations() == 0);
}

TEST_CASE("DataDirectory: a second broker on the same directory is refused with the first one's id") {
  TempDir parent;
  PosixFileSystem files;
  FakeClock clock;
  const auto open = [&] {
    return DataDirectory::Open(files, clock, parent / "data", 16, "boot", [](const std::string&) {});
  };
  auto first = open();
  REQUIRE(first.ok());
  const auto second = open();
  CHECK(absl::IsFailedPrecondition(second.status()));
  CHECK_THAT(std::string(MessageOf(second.status())),
             Contains(parent / "data") && Contains("process " + std::to_string(::getpid()) + ";"));
  first->reset();
  CHECK(open().ok());
}

TEST_CASE("DataDirectory: one that cannot be written is refused by name") {
  TempDir parent;
  PosixFileSystem files;
  FakeClock clock;
  REQUIRE(::chmod(parent.path().c_str(), 0555) == 0);
  const bool is_root = ::geteuid() == 0;
  if (is_root) REQUIRE(::seteuid(65'534) == 0);  // to whom permissions apply
  const auto opened =
      DataDirectory::Open(files, clock, parent / "data", 16, "boot", [](const std::string&) {});
  if (is_root) REQUIRE(::seteuid(0) == 0);
  REQUIRE(::chmod(parent.path().c_str(), 0755) == 0);
  CHECK(absl::IsPermissionDenied(opened.status()));
  CHECK_THAT(std::string(MessageOf(opened.status())), Contains(parent / "data"));
}

TEST_CASE("DataDirectory: a missing parent is told, not made") {
  TempDir parent;
  PosixFileSystem files;
  FakeClock clock;
  const auto opened =
      DataDirectory::Open(files, clock, parent / "none/data", 16, "boot", [](const std::string&) {});
  CHECK(absl::IsNotFound(opened.status()));
}

TEST_CASE("DataDirectory: topics and partitions nobody knows go to quarantine, with the reason") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  bench.MakeLog({Topic(1), 0});
  bench.MakeLog({Topic(1), 7});
  bench.MakeLog({Topic(2), 0});
  bench.memory.Write("/data/topics/notes.txt", {});
  bench.memory.Write("/data/backup.tar", {});
  REQUIRE(bench.directory().QuarantineUnknown({{Topic(1), 2}}).ok());
  CHECK(bench.memory.Exists(bench.directory().LogPath({Topic(1), 0})));
  CHECK_FALSE(bench.memory.Exists(bench.directory().LogPath({Topic(1), 7})));
  CHECK_FALSE(bench.memory.Exists("/data/topics/" + Topic(2).ToString()));
  const std::string aside = "/data/quarantine/topics_" + Topic(2).ToString();
  CHECK(bench.memory.Exists(aside + "/0/00000000000000000000.log"));
  CHECK(AsText(bench.memory.Read(aside + ".reason")) == "the topic registry does not know this topic\n");
  CHECK(
      bench.memory.Exists("/data/quarantine/topics_" + Topic(1).ToString() + "_7/00000000000000000000.log"));
  CHECK(bench.memory.Exists("/data/topics/notes.txt"));
  CHECK(bench.memory.Exists("/data/backup.tar"));
  CHECK_THAT(bench.findings, Contains("/data/topics/notes.txt is not ours") &&
                                 Contains("/data/backup.tar is not ours") &&
                                 Contains("the topic has no such partition"));
}

TEST_CASE("DataDirectory: quarantine overwrites nothing") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  for (int i = 0; i < 3; ++i) {
    bench.memory.Write("/data/topics/x", {static_cast<std::byte>(i)});
    REQUIRE(bench.directory().Quarantine("/data/topics/x", "reason " + std::to_string(i)).ok());
  }
  CHECK(bench.memory.Read("/data/quarantine/topics_x") == std::vector<std::byte>{std::byte{0}});
  CHECK(bench.memory.Read("/data/quarantine/topics_x.1") == std::vector<std::byte>{std::byte{1}});
  CHECK(bench.memory.Read("/data/quarantine/topics_x.2") == std::vector<std::byte>{std::byte{2}});
  CHECK(AsText(bench.memory.Read("/data/quarantine/topics_x.2.reason")) == "reason 2\n");
}

TEST_CASE("DataDirectory: a reason left in quarantine without its file is not written over") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  const std::string old = "a reason that is longer than the next one";
  bench.memory.Write("/data/quarantine/topics_x.reason",
                     std::vector(AsBytes(old).begin(), AsBytes(old).end()));
  bench.memory.Write("/data/topics/x", {std::byte{7}});
  REQUIRE(bench.directory().Quarantine("/data/topics/x", "short").ok());
  CHECK(AsText(bench.memory.Read("/data/quarantine/topics_x.reason")) == old);
  CHECK(AsText(bench.memory.Read("/data/quarantine/topics_x.1.reason")) == "short\n");
  CHECK(bench.memory.Read("/data/quarantine/topics_x.1") == std::vector{std::byte{7}});
}

TEST_CASE("DataDirectory: what went to quarantine is there after the loss of power, its reason too") {
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    CAPTURE(seed);
    Bench bench;
    REQUIRE(bench.Open().ok());
    bench.memory.Write("/data/topics/x", {std::byte{7}});
    REQUIRE(bench.directory().Quarantine("/data/topics/x", "no reason").ok());
    bench.memory.CrashPower(seed);
    CHECK(bench.memory.Read("/data/quarantine/topics_x") == std::vector{std::byte{7}});
    CHECK(AsText(bench.memory.Read("/data/quarantine/topics_x.reason")) == "no reason\n");
    CHECK_FALSE(bench.memory.Exists("/data/topics/x"));
  }
}

TEST_CASE("DataDirectory: nothing is in quarantine without its reason, wherever the process died") {
  bool finished = false;
  for (std::uint64_t number = 1; !finished; ++number) {
    CAPTURE(number);
    Bench bench;
    REQUIRE(bench.Open().ok());
    bench.memory.Write("/data/topics/x", {std::byte{7}});
    bench.files.Heal();
    bench.files.DieAt(number);
    finished = bench.directory().Quarantine("/data/topics/x", "no reason").ok();
    bench.Die();
    const bool moved = bench.memory.Exists("/data/quarantine/topics_x");
    CHECK(moved != bench.memory.Exists("/data/topics/x"));
    if (moved) CHECK(AsText(bench.memory.Read("/data/quarantine/topics_x.reason")) == "no reason\n");
  }
}

TEST_CASE("DataDirectory: what has no room for its reason stays where it is") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  bench.memory.Write("/data/topics/x", {std::byte{7}});
  bench.files.FillAfter(3);
  CHECK(absl::IsResourceExhausted(bench.directory().Quarantine("/data/topics/x", "no reason")));
  bench.files.Heal();
  CHECK(bench.memory.Exists("/data/topics/x"));
  CHECK(bench.memory.Files() ==
        std::vector<std::string>{"/data/ballast", "/data/lock", "/data/meta", "/data/topics/x"});
}

TEST_CASE("DataDirectory: a name that only looks like a partition's is told and left alone") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  bench.MakeLog({Topic(1), 0});
  const std::string topic = "/data/topics/" + Topic(1).ToString();
  const std::string name = GENERATE("-1", "01", "00", "+1", "1 ", "4294967296", "1");
  bench.memory.Write(topic + "/" + name, {});  // a file: even "1" is none of ours
  REQUIRE(bench.directory().QuarantineUnknown({{Topic(1), 2}}).ok());
  CHECK(bench.memory.Exists(topic + "/" + name));
  CHECK(bench.memory.Exists(bench.directory().LogPath({Topic(1), 0})));
  CHECK_THAT(bench.findings, Contains(topic + "/" + name + " is not ours"));
}

TEST_CASE("DataDirectory: a topic's id in capitals is no topic's directory") {
  Bench bench;
  REQUIRE(bench.Open().ok());
  REQUIRE(bench.files.CreateDirectory("/data/topics/" + std::string(32, 'A')).ok());
  REQUIRE(bench.directory().QuarantineUnknown({{Topic(0xaa), 1}}).ok());
  CHECK_THAT(bench.findings, Contains(std::string(32, 'A') + " is not ours"));
}

TEST_CASE("DataDirectory: the reserve is 5 % of the disk, between 64 MiB and 1 GiB") {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
  CHECK(DataDirectory::ReserveOf({0, kGiB}) == kGiB / 16);
  CHECK(DataDirectory::ReserveOf({0, 10 * kGiB}) == kGiB / 2);
  CHECK(DataDirectory::ReserveOf({0, 4'000 * kGiB}) == kGiB);
}

TEST_CASE("DataDirectory: the running kernel has a boot id, and it does not change") {
  CHECK(ReadBootId().size() == 36);
  CHECK(ReadBootId() == ReadBootId());
}

}  // namespace
}  // namespace headrace::storage
