// What the other tests stand on: a file system that loses exactly what it may, and one that fails when told.
#include "tests/support/memory_file_system.h"

#include <catch2/catch.hpp>
#include <set>

#include "tests/support/faulty_file_system.h"

namespace headrace::testing {
namespace {

using storage::File;
using storage::OpenMode;

constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kSeeds = 64;

void Write(storage::FileSystem& files, const std::string& path, std::uint64_t position,
           const std::string& text) {
  const auto file = files.Open(path, OpenMode::kCreate);
  REQUIRE(file.ok());
  const ByteSpan piece = AsBytes(text);
  REQUIRE((*file)->WriteAt(position, {&piece, 1}).ok());
}
void Sync(storage::FileSystem& files, const std::string& path) {
  REQUIRE((*files.Open(path, OpenMode::kWrite))->Sync().ok());
}
std::string ContentOf(const MemoryFileSystem& files, const std::string& path) {
  return std::string(AsText(files.Read(path)));
}

// All outcomes of the loss of power after `act`, each shown by `show`.
template <typename Act, typename Show>
std::set<std::string> Outcomes(Act act, Show show) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem files;
    act(files);
    files.CrashPower(seed);
    seen.insert(show(files));
  }
  return seen;
}

std::string Names(const MemoryFileSystem& files) {
  std::string names;
  for (const std::string& path : files.Files()) names += path + " ";
  return names;
}

TEST_CASE("MemoryFileSystem: it reads, lists and refuses as a real one does") {
  MemoryFileSystem files;
  CHECK(absl::IsNotFound(files.Open("/f", OpenMode::kWrite).status()));
  CHECK(absl::IsNotFound(files.Open("/none/f", OpenMode::kCreate).status()));
  REQUIRE(files.CreateDirectory("/d").ok());
  CHECK(files.CreateDirectory("/d").ok());
  Write(files, "/d/f", 3, "abc");
  CHECK(ContentOf(files, "/d/f") == std::string("\0\0\0abc", 6));
  CHECK(absl::IsAlreadyExists(files.Remove("/d")));
  CHECK(files.List("/")->size() == 1);
  CHECK(files.List("/d")->front().name == "f");
  CHECK_FALSE(files.Open("/d", OpenMode::kRead).ok());
  const auto reader = *files.Open("/d/f", OpenMode::kRead);
  const ByteSpan piece = AsBytes("x");
  CHECK_FALSE(reader->WriteAt(0, {&piece, 1}).ok());
  REQUIRE(files.Rename("/d/f", "/g").ok());
  REQUIRE(files.Remove("/g").ok());
  CHECK(*reader->Size() == 6);  // an open file keeps its bytes
  CHECK(files.Remove("/d").ok());
}

TEST_CASE("MemoryFileSystem: the death of the process keeps what was written, and kills open files") {
  MemoryFileSystem files;
  Write(files, "/f", 0, "not synced");
  const auto file = *files.Open("/f", OpenMode::kWrite);
  files.CrashProcess();
  CHECK(absl::IsAborted(file->Size().status()));
  CHECK(absl::IsAborted(file->Sync()));
  CHECK(ContentOf(files, "/f") == "not synced");
}

TEST_CASE("MemoryFileSystem: a lock goes with its holder, and a dead holder takes no other's") {
  MemoryFileSystem files;
  auto first = files.Lock("/lock");
  REQUIRE(first.ok());
  CHECK(absl::IsFailedPrecondition(files.Lock("/lock").status()));
  files.CrashProcess();
  const auto second = files.Lock("/lock");
  REQUIRE(second.ok());
  first->reset();
  CHECK_FALSE(files.Lock("/lock").ok());
}

TEST_CASE("MemoryFileSystem: what is synced survives the loss of power, whatever the seed") {
  const auto act = [](MemoryFileSystem& files) {
    Write(files, "/f", 0, std::string(3 * kPage, 'a'));
    Sync(files, "/f");
    REQUIRE(files.SyncDirectory("/").ok());
  };
  const auto show = [](const MemoryFileSystem& files) { return ContentOf(files, "/f"); };
  CHECK(Outcomes(act, show) == std::set<std::string>{std::string(3 * kPage, 'a')});
}

TEST_CASE("MemoryFileSystem: of overwritten pages any subset survives the loss of power") {
  const auto act = [](MemoryFileSystem& files) {
    Write(files, "/f", 0, std::string(2 * kPage, 'a'));
    Sync(files, "/f");
    REQUIRE(files.SyncDirectory("/").ok());
    Write(files, "/f", 0, std::string(2 * kPage, 'b'));
  };
  const auto show = [](const MemoryFileSystem& files) {
    const std::string content = ContentOf(files, "/f");
    REQUIRE(content.size() == 2 * kPage);
    return std::string{content[0], content[kPage - 1], content[kPage], content.back()};
  };
  CHECK(Outcomes(act, show) == std::set<std::string>{"aaaa", "aabb", "bbaa", "bbbb"});
}

TEST_CASE("MemoryFileSystem: an unsynced tail survives in part, with any length, and zeros in its holes") {
  bool shorter = false;
  bool whole = false;
  bool holes = false;
  for (std::uint64_t seed = 0; seed < 1'000; ++seed) {
    MemoryFileSystem files;
    Write(files, "/f", 0, "synced");
    Sync(files, "/f");
    REQUIRE(files.SyncDirectory("/").ok());
    Write(files, "/f", 6, std::string(2 * kPage, 'x'));
    files.CrashPower(seed);
    const std::string content = ContentOf(files, "/f");
    REQUIRE(content.size() >= 6);
    REQUIRE(content.size() <= 6 + 2 * kPage);
    REQUIRE(content.substr(0, 6) == "synced");
    shorter = shorter || content.size() < 6 + 2 * kPage;
    whole = whole || content.find('\0') == std::string::npos;
    holes = holes || content.find('\0') != std::string::npos;
  }
  CHECK(shorter);
  CHECK(whole);
  CHECK(holes);
}

TEST_CASE("MemoryFileSystem: a new name is sure only when its directory is synced") {
  const auto create = [](MemoryFileSystem& files) {
    Write(files, "/a", 0, "a");
    Sync(files, "/a");  // the content is synced, the name is not
    Write(files, "/b", 0, "b");
    Sync(files, "/b");
  };
  CHECK(Outcomes(create, Names) == std::set<std::string>{"", "/a ", "/b ", "/a /b "});
  const auto synced = [&](MemoryFileSystem& files) {
    create(files);
    REQUIRE(files.SyncDirectory("/").ok());
  };
  CHECK(Outcomes(synced, Names) == std::set<std::string>{"/a /b "});
}

TEST_CASE("MemoryFileSystem: a removed name may come back with its synced content") {
  const auto act = [](MemoryFileSystem& files) {
    files.Write("/f", std::vector<std::byte>(3, std::byte{'x'}));
    REQUIRE(files.Remove("/f").ok());
  };
  const auto show = [](const MemoryFileSystem& files) { return ContentOf(files, "/f"); };
  CHECK(Outcomes(act, show) == std::set<std::string>{"", "xxx"});
}

TEST_CASE("MemoryFileSystem: after a rename that was not synced the target is the old or the new file") {
  const auto act = [](MemoryFileSystem& files) {
    files.Write("/f", std::vector<std::byte>(3, std::byte{'o'}));
    files.Write("/f.new", std::vector<std::byte>(3, std::byte{'n'}));
    REQUIRE(files.Rename("/f.new", "/f").ok());
  };
  const auto show = [](const MemoryFileSystem& files) { return ContentOf(files, "/f"); };
  CHECK(Outcomes(act, show) == std::set<std::string>{"ooo", "nnn"});
}

TEST_CASE("MemoryFileSystem: a directory that is lost takes what is in it") {
  const auto act = [](MemoryFileSystem& files) {
    REQUIRE(files.CreateDirectory("/d").ok());
    Write(files, "/d/f", 0, "f");
    Sync(files, "/d/f");
    REQUIRE(files.SyncDirectory("/d").ok());  // but not "/", which holds the name "d"
  };
  CHECK(Outcomes(act, Names) == std::set<std::string>{"", "/d/f "});
}

TEST_CASE("MemoryFileSystem: one seed, one outcome; and what came through a crash is synced") {
  const auto run = [](std::uint64_t seed) {
    MemoryFileSystem files;
    for (const char* path : {"/a", "/b", "/c"}) Write(files, path, 0, std::string(5 * kPage, 'x'));
    files.CrashPower(seed);
    std::string once;
    for (const std::string& path : files.Files()) once += path + ContentOf(files, path);
    files.CrashPower(seed + 1);
    std::string twice;
    for (const std::string& path : files.Files()) twice += path + ContentOf(files, path);
    CHECK(once == twice);
    return once;
  };
  CHECK(run(5) == run(5));
  CHECK(run(5) != run(6));
}

TEST_CASE("FaultyFileSystem: operations that change something are counted, and one of them fails") {
  MemoryFileSystem memory;
  FaultyFileSystem files(memory);
  files.FailAt(3, absl::InternalError("input/output error"));
  const auto file = files.Open("/f", OpenMode::kCreate);  // 1
  REQUIRE(file.ok());
  const ByteSpan piece = AsBytes("abc");
  CHECK((*file)->WriteAt(0, {&piece, 1}).ok());  // 2
  CHECK((*file)->Size().ok());
  CHECK(absl::IsInternal((*file)->Sync()));  // 3
  CHECK((*file)->Sync().ok());
  CHECK(files.operations() == 4);
}

TEST_CASE("FaultyFileSystem: a failed write has written as much as it was told") {
  MemoryFileSystem memory;
  FaultyFileSystem files(memory);
  const auto file = *files.Open("/f", OpenMode::kCreate);
  const std::vector<ByteSpan> pieces{AsBytes("abc"), AsBytes("def"), AsBytes("ghi")};
  const auto bytes = GENERATE(as<std::uint64_t>{}, 0, 1, 3, 4, 8);
  files.FailAt(files.operations() + 1, absl::InternalError("input/output error"), bytes);
  CHECK(absl::IsInternal(file->WriteAt(0, pieces)));
  CHECK(ContentOf(memory, "/f") == std::string("abcdefghi").substr(0, bytes));
}

TEST_CASE("FaultyFileSystem: a disk fills up to the byte") {
  MemoryFileSystem memory;
  FaultyFileSystem files(memory);
  files.FillAfter(7);
  const auto file = *files.Open("/f", OpenMode::kCreate);
  const ByteSpan piece = AsBytes("abcde");
  CHECK(file->WriteAt(0, {&piece, 1}).ok());
  CHECK(absl::IsResourceExhausted(file->WriteAt(5, {&piece, 1})));
  CHECK(ContentOf(memory, "/f") == "abcdeab");
  CHECK(absl::IsResourceExhausted(file->WriteAt(7, {&piece, 1})));
  CHECK(file->Truncate(5).ok());
  files.Heal();
  CHECK(file->WriteAt(5, {&piece, 1}).ok());
}

TEST_CASE("FaultyFileSystem: a dead process does nothing more, not even look") {
  MemoryFileSystem memory;
  FaultyFileSystem files(memory);
  const auto file = *files.Open("/f", OpenMode::kCreate);
  files.DieAt(files.operations() + 1);
  std::byte byte{};
  CHECK(file->ReadAt(0, {&byte, 1}).ok());
  CHECK(absl::IsAborted(file->Sync()));
  CHECK(absl::IsAborted(file->ReadAt(0, {&byte, 1}).status()));
  CHECK(absl::IsAborted(file->Truncate(0)));
  CHECK(absl::IsAborted(file->Size().status()));
  CHECK(absl::IsAborted(files.Open("/f", OpenMode::kRead).status()));
  CHECK(absl::IsAborted(files.List("/").status()));
  CHECK(absl::IsAborted(files.Rename("/f", "/g")));
  CHECK(absl::IsAborted(files.Lock("/lock").status()));
  CHECK(memory.Exists("/f"));
}

}  // namespace
}  // namespace headrace::testing
