#include "client/cli/offline/fsck.h"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include "storage/checkpoint.h"
#include "storage/clean_manifest.h"
#include "storage/disposable_file.h"
#include "storage/io/posix_file_system.h"
#include "storage/io/small_file.h"
#include "storage/offset_index.h"
#include "storage/segment_swap.h"
#include "tests/cli/segment_bytes.h"

namespace headrace::cli::offline {
namespace {

const std::string kTopic = "0123456789abcdef0123456789abcdef";

// A data directory under the system's temporary one, with one partition; removed at the end.
class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "headrace-fsck-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    std::filesystem::create_directories(partition());
    REQUIRE(storage::ReplaceSmallFile(files_, path_ + "/meta", 1, AsBytes("content")).ok());
  }
  ~Directory() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string partition() const { return path_ + "/topics/" + kTopic + "/0"; }
  std::string SegmentPath(Offset base) const {
    const std::string digits = std::to_string(base);
    return partition() + "/" + std::string(20 - digits.size(), '0') + digits + ".log";
  }
  void Write(const std::string& file, const std::vector<std::byte>& bytes) {
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  // What a clean shutdown leaves.
  void WriteClean() {
    REQUIRE(storage::ReplaceSmallFile(files_, path_ + "/clean", 1, AsBytes("content")).ok());
  }
  std::string Read(const std::string& file) const {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  absl::StatusOr<FsckReport> Check(bool repair = false) {
    findings.clear();
    return Fsck(files_, path_, repair, [this](const Finding& finding) { findings.push_back(finding); }).Run();
  }

  std::vector<Finding> findings;

 private:
  storage::PosixFileSystem files_;
  std::string path_;
};

TEST_CASE("Fsck: a sound directory has no findings") {
  Directory directory;
  directory.Write(directory.SegmentPath(0), Join({Batch(0, {"a", "b"}), Batch(2, {"c"})}));
  directory.Write(directory.SegmentPath(3), Batch(3, {"d"}));
  const auto report = directory.Check();
  REQUIRE(report.ok());
  CHECK(report->findings == 0);
  CHECK(report->partitions == 1);
  CHECK(report->segments == 2);
  CHECK(report->batches == 3);
  CHECK(report->records == 4);
}

TEST_CASE("Fsck: offsets that do not continue are found, inside a segment and between two") {
  Directory directory;
  directory.Write(directory.SegmentPath(0), Join({Batch(0, {"a"}), Batch(5, {"b"})}));
  directory.Write(directory.SegmentPath(9), Batch(9, {"c"}));
  directory.Write(directory.SegmentPath(11), Batch(11, {"d"}));
  REQUIRE(directory.Check().ok());
  REQUIRE(directory.findings.size() == 2);
  CHECK_THAT(directory.findings[0].problem, Catch::Contains("begins at offset 5, expected 1"));
  CHECK(directory.findings[0].position == Batch(0, {"a"}).size());
  CHECK_THAT(directory.findings[1].problem,
             Catch::Contains("begins at offset 11, and the one before ends at 10"));
}

TEST_CASE("Fsck: a segment whose first batch is not the one its name says") {
  Directory directory;
  directory.Write(directory.SegmentPath(4), Batch(0, {"a"}));
  REQUIRE(directory.Check().ok());
  REQUIRE(directory.findings.size() == 1);
  CHECK_THAT(directory.findings[0].problem, Catch::Contains("begins at offset 0, expected 4"));
}

TEST_CASE("Fsck: a torn tail is reported, and with repair is moved to quarantine byte for byte") {
  Directory directory;
  const auto whole = Batch(0, {"a"});
  auto torn = Batch(1, {"lost"});
  torn.resize(torn.size() - 3);
  directory.Write(directory.SegmentPath(0), Join({whole, torn}));
  directory.WriteClean();

  REQUIRE(directory.Check().ok());
  REQUIRE(directory.findings.size() == 1);
  CHECK(directory.findings[0].repair.empty());
  CHECK(std::filesystem::file_size(directory.SegmentPath(0)) == whole.size() + torn.size());
  CHECK_FALSE(std::filesystem::exists(directory.path() + "/quarantine"));

  const auto repaired = directory.Check(true);
  REQUIRE(repaired.ok());
  CHECK(repaired->repaired == 1);
  const std::string copy = directory.path() + "/quarantine/" + kTopic + "-0-0.tail";
  CHECK(directory.Read(copy) == AsText(torn));
  CHECK_THAT(directory.Read(copy + ".reason"), Catch::Contains(directory.SegmentPath(0)));
  CHECK(directory.Read(directory.SegmentPath(0)) == AsText(whole));
  CHECK_FALSE(std::filesystem::exists(directory.path() + "/clean"));
  CHECK(std::filesystem::exists(directory.path() + "/quarantine/clean"));

  const auto again = directory.Check();
  REQUIRE(again.ok());
  CHECK(again->findings == 0);
}

TEST_CASE("Fsck: bytes behind a sealed segment are cut only if the next one shows that nothing is missing") {
  const Offset next = GENERATE(1, 2);
  CAPTURE(next);
  Directory directory;
  const auto whole = Batch(0, {"a"});
  directory.Write(directory.SegmentPath(0), Join({whole, std::vector<std::byte>(100)}));
  directory.Write(directory.SegmentPath(next), Batch(next, {"b"}));
  REQUIRE(directory.Check(true).ok());
  REQUIRE(directory.findings.size() == 1);
  CHECK(directory.findings[0].repair.empty() == (next != 1));
  CHECK(std::filesystem::file_size(directory.SegmentPath(0)) == whole.size() + (next == 1 ? 0 : 100));
}

TEST_CASE("Fsck: repairing twice never overwrites what is in quarantine") {
  Directory directory;
  const auto whole = Batch(0, {"a"});
  for (const std::string_view tail : {"first", "second"}) {
    auto bytes = whole;
    bytes.insert(bytes.end(), AsBytes(tail).begin(), AsBytes(tail).end());
    directory.Write(directory.SegmentPath(0), bytes);
    REQUIRE(directory.Check(true).ok());
  }
  const std::string copy = directory.path() + "/quarantine/" + kTopic + "-0-0.tail";
  CHECK(directory.Read(copy) == "first");
  CHECK(directory.Read(copy + ".1") == "second");
}

TEST_CASE("Fsck: a damaged batch between sound ones is reported with its place and left alone") {
  Directory directory;
  auto bad = Batch(1, {"b"});
  bad.back() ^= std::byte{1};
  const auto first = Batch(0, {"a"});
  directory.Write(directory.SegmentPath(0), Join({first, bad, Batch(2, {"c"})}));
  const std::string before = directory.Read(directory.SegmentPath(0));
  REQUIRE(directory.Check(true).ok());
  REQUIRE(directory.findings.size() == 1);
  CHECK(directory.findings[0].position == first.size());
  CHECK_THAT(directory.findings[0].problem, Catch::Contains("from offset 1"));
  CHECK(directory.Read(directory.SegmentPath(0)) == before);
}

TEST_CASE("Fsck: an index that lies is found, one that is merely old is not") {
  Directory directory;
  const auto first = Batch(0, {"a", "b"});
  const auto second = Batch(2, {"c"});
  const auto bytes = Join({first, second});
  directory.Write(directory.SegmentPath(0), bytes);
  std::string index_path = directory.SegmentPath(0);
  index_path.replace(index_path.size() - 3, 3, "index");
  const auto write_index = [&](storage::BatchPlace place, std::uint64_t log_size) {
    storage::OffsetIndex index(0, {0, 0});
    index.Note(place, 1);
    directory.Write(index_path, index.Serialize(log_size));
    REQUIRE(directory.Check().ok());
  };

  write_index({2, first.size()}, bytes.size());
  CHECK(directory.findings.empty());
  write_index({2, first.size() + 5}, bytes.size());
  REQUIRE(directory.findings.size() == 1);
  CHECK_THAT(directory.findings[0].problem,
             Catch::Contains("inside the batch at " + std::to_string(first.size())));
  write_index({1, first.size()}, bytes.size());
  REQUIRE(directory.findings.size() == 1);
  CHECK_THAT(directory.findings[0].problem, Catch::Contains("says that offset 1 is at"));
  write_index({1, 3}, first.size());  // covers an earlier size
  CHECK(directory.findings.empty());

  directory.Write(index_path, std::vector<std::byte>(40));
  REQUIRE(directory.Check(true).ok());
  REQUIRE(directory.findings.size() == 1);
  CHECK_FALSE(std::filesystem::exists(index_path));
  CHECK(std::filesystem::file_size(directory.path() + "/quarantine/" + kTopic +
                                   "-0-00000000000000000000.index") == 40);
}

TEST_CASE("Fsck: a damaged small file is found") {
  Directory directory;
  directory.Write(directory.path() + "/registry", Batch(0, {"not a small file"}));
  REQUIRE(directory.Check().ok());
  REQUIRE(directory.findings.size() == 1);
  CHECK_THAT(directory.findings[0].path, Catch::EndsWith("/registry"));
}

TEST_CASE("Fsck: names that are not ours are reported") {
  Directory directory;
  std::filesystem::create_directories(directory.path() + "/topics/lost+found");
  directory.Write(directory.partition() + "/7.log", {});
  directory.Write(directory.partition() + "/notes.txt", {});
  REQUIRE(directory.Check().ok());
  CHECK(directory.findings.size() == 3);
}

TEST_CASE("Fsck: the files beside the segments are checked, and those that the broker makes anew are moved") {
  Directory directory;
  storage::PosixFileSystem files;
  directory.Write(directory.SegmentPath(0), Batch(0, {"a"}));
  const std::string stem = directory.partition() + "/";
  storage::FileCache cache(files, 4);
  REQUIRE(storage::WriteCheckpoint(cache, stem + "checkpoint", {}).ok());
  for (const char* name : {"producers", "leader_epochs", "compacted"}) {
    REQUIRE(storage::WriteDisposableFile(files, stem + name, AsBytes("content")).ok());
  }
  REQUIRE(storage::ReplaceSmallFile(files, stem + "start_offset", 1, AsBytes("content")).ok());
  directory.Write(stem + "start_offset.new", {});  // of a replacement that was not finished
  directory.Write(stem + "00000000000000000000.log.cleaned", {});
  REQUIRE(directory.Check().ok());
  CHECK(directory.findings.empty());
  for (const char* name : {"checkpoint", "producers", "leader_epochs", "compacted", "start_offset"}) {
    CAPTURE(name);
    std::string bytes = directory.Read(stem + name);
    bytes[bytes.size() - 1] ^= 1;
    if (std::string_view(name) == "checkpoint") bytes.assign(bytes.size(), 'x');
    directory.Write(stem + name, {AsBytes(bytes).begin(), AsBytes(bytes).end()});
    REQUIRE(directory.Check().ok());
    REQUIRE(directory.findings.size() == 1);
    CHECK(directory.findings[0].path == stem + name);
    const auto repaired = directory.Check(true);
    REQUIRE(repaired.ok());
    const bool disposable = std::string_view(name) != "start_offset";
    CHECK(repaired->repaired == (disposable ? 1 : 0));
    CHECK(std::filesystem::exists(stem + name) != disposable);
  }
}

TEST_CASE("Fsck: a replacement of segments that a start has yet to finish is no finding") {
  const bool renamed = GENERATE(false, true);
  Directory directory;
  storage::PosixFileSystem files;
  const auto fresh = Join({Batch(0, {"a", "b"}), Batch(2, {"c", "d"})});
  directory.Write(directory.SegmentPath(0), renamed ? fresh : Batch(0, {"a", "b"}));
  if (!renamed) directory.Write(directory.SegmentPath(0) + ".cleaned", fresh);
  directory.Write(directory.SegmentPath(2), Batch(2, {"c", "d"}));
  directory.Write(directory.SegmentPath(4), Batch(4, {"e"}));
  storage::SwapRecord record;
  record.segment.size = fresh.size();
  record.end = 4;
  REQUIRE(storage::WriteSwapRecord(files, directory.partition(), record).ok());
  const auto report = directory.Check();
  REQUIRE(report.ok());
  CHECK(report->findings == 0);
  CHECK(report->records == 5);
}

TEST_CASE("Fsck: what the last shutdown left must be there") {
  Directory directory;
  storage::PosixFileSystem files;
  const auto segment = Batch(0, {"a"});
  directory.Write(directory.SegmentPath(0), segment);
  const auto stopped = [&](std::uint64_t size) {
    storage::LogSummary log;
    log.segments.push_back({0, size, 1, 1, 1});
    const auto content = storage::SerializeManifest({{{*TopicId::Parse(kTopic), 0}, log}});
    REQUIRE(storage::ReplaceSmallFile(files, directory.path() + "/clean", 1, content).ok());
    REQUIRE(directory.Check().ok());
  };
  stopped(segment.size());
  CHECK(directory.findings.empty());
  stopped(segment.size() + 7);
  REQUIRE(directory.findings.size() == 1);
  CHECK_THAT(directory.findings[0].problem, Catch::Contains("the last shutdown left"));
  std::filesystem::remove(directory.SegmentPath(0));
  REQUIRE(directory.Check().ok());
  REQUIRE(directory.findings.size() == 1);
  CHECK_THAT(directory.findings[0].problem, Catch::Contains("it is gone"));
}

TEST_CASE("Fsck: a torn batch is cut with the batches that its record holds") {
  Directory directory;
  const auto whole = Batch(0, {"a"});
  auto torn = Batch(1, {std::string(AsText(Batch(5, {"inner"}))) + "and more"});
  torn.resize(torn.size() - 3);
  directory.Write(directory.SegmentPath(0), Join({whole, torn}));
  REQUIRE(directory.Check(true).ok());
  REQUIRE(directory.findings.size() == 1);
  CHECK(directory.Read(directory.SegmentPath(0)) == AsText(whole));
}

TEST_CASE("Fsck: a directory that is none of ours is refused and nothing is written into it") {
  Directory directory;
  storage::PosixFileSystem files;
  const auto report = Fsck(files, directory.partition(), true, [](const Finding&) {}).Run();
  REQUIRE_FALSE(report.ok());
  CHECK_THAT(std::string(report.status().message()), Catch::Contains("no file 'meta'"));
  CHECK(std::filesystem::is_empty(directory.partition()));
}

TEST_CASE("Fsck: a newer format and a held lock are refused") {
  Directory directory;
  storage::PosixFileSystem files;
  {
    const auto lock = files.Lock(directory.path() + "/lock");
    REQUIRE(lock.ok());
    const auto report = directory.Check();
    REQUIRE_FALSE(report.ok());
    CHECK_THAT(std::string(report.status().message()), Catch::Contains("held by process"));
  }
  REQUIRE(storage::ReplaceSmallFile(files, directory.path() + "/meta", 99, AsBytes("content")).ok());
  const auto report = directory.Check();
  REQUIRE_FALSE(report.ok());
  CHECK_THAT(std::string(report.status().message()), Catch::Contains("format 99"));
}

}  // namespace
}  // namespace headrace::cli::offline
