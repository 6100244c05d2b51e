// Power loss, as the real broker meets it at its next start. The process is killed, the tail of a log gets
// what a power loss leaves of bytes that were not synced, and the checkpoint says that another kernel wrote
// it.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include <catch2/catch.hpp>

#include "headrace/admin.h"
#include "headrace/consumer.h"
#include "headrace/producer.h"
#include "storage/checkpoint.h"
#include "storage/data_directory.h"
#include "storage/io/file_cache.h"
#include "storage/io/posix_file_system.h"
#include "tests/support/batches.h"
#include "tests/support/broker_process.h"
#include "tests/support/temp_dir.h"

using namespace headrace;
using headrace::testing::BrokerProcess;
using headrace::testing::MakeBatch;
using headrace::testing::TempDir;
using Values = std::vector<std::string>;

namespace {

constexpr std::size_t kTail = 5;          // batches of the tail
constexpr std::size_t kValueSize = 6000;  // so that one batch spans pages

std::string TailValue(std::size_t i) {
  return "tail " + std::to_string(i) + std::string(kValueSize, '.');
}

// A data directory with one topic, and a broker on it as long as a test wants.
class Machine {
 public:
  explicit Machine(const std::string& durability) {
    Boot();
    auto admin = Admin::Connect(client_);
    REQUIRE(admin);
    CreateTopicOptions options;
    options.configs = {{"durability", durability}};
    const auto topic = admin->CreateTopic("t", options);
    REQUIRE(topic);
    log_ = directory_ / "data/topics/" + topic->id + "/0";
  }

  void Boot() {
    broker_ = std::make_unique<BrokerProcess>(
        std::vector<std::string>{"--data", directory_ / "data", "--set", "port=0", "--ready-json"});
    INFO(broker_->errors());
    REQUIRE(broker_->ready());
    client_.broker = broker_->address();
  }
  void Kill() { broker_->Kill(); }
  std::string errors() const { return broker_->errors(); }

  // Each in a batch of its own, acknowledged; returns the offset of the first.
  std::int64_t Produce(const Values& values) {
    auto producer = Producer::Connect(client_, "t");
    REQUIRE(producer);
    std::int64_t first = -1;
    for (const std::string& value : values) {
      Message message;
      message.value = value;
      const auto receipt = producer->SendForResult(message).get();
      REQUIRE(receipt);
      if (first < 0) first = receipt->offset;
    }
    return first;
  }

  // What a consumer is given from `offset` to the end, or to the first error.
  Values Consume(std::int64_t offset = 0, std::string* error = nullptr) {
    ConsumerOptions options;
    options.start = Start::At(offset);
    options.stop_at_end = true;
    auto consumer = Consumer::Connect(client_, "t", options);
    REQUIRE(consumer);
    Values values;
    for (const Record& record : *consumer) {
      CHECK(record.offset == offset + static_cast<std::int64_t>(values.size()));
      values.emplace_back(*record.value);
    }
    if (error != nullptr && consumer->error()) *error = consumer->error()->message;
    if (error == nullptr) CHECK_FALSE(consumer->error());
    return values;
  }

  // --- While no broker runs ---

  std::string segment() const { return log_ + "/00000000000000000000.log"; }
  std::uint64_t size() const { return std::filesystem::file_size(segment()); }

  // Writes batches behind the last one, as a broker does that dies before it syncs or acknowledges them.
  // Returns where each begins, and the end.
  std::vector<std::uint64_t> WriteTail(std::int64_t offset) {
    std::vector<std::uint64_t> places;
    std::ofstream file(segment(), std::ios::binary | std::ios::app);
    std::uint64_t at = size();
    for (std::size_t i = 0; i < kTail; ++i) {
      testing::BatchOptions options;
      options.base_offset = offset + static_cast<std::int64_t>(i);
      const std::vector<std::byte> batch = MakeBatch({TailValue(i)}, options);
      file << AsText(batch);
      places.push_back(at);
      at += batch.size();
    }
    places.push_back(at);
    return places;
  }
  void CutAt(std::uint64_t size) { std::filesystem::resize_file(segment(), size); }
  void Overwrite(std::uint64_t position, const std::string& bytes) {
    std::fstream file(segment(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(position));
    file << bytes;
  }

  storage::Checkpoint LoadCheckpoint() {
    const auto checkpoint = storage::ReadCheckpoint(files_, log_ + "/checkpoint");
    REQUIRE(checkpoint.ok());
    REQUIRE(checkpoint->has_value());
    return **checkpoint;
  }
  // The last checkpoint was written under another kernel.
  void ChangeBootId() {
    storage::Checkpoint checkpoint = LoadCheckpoint();
    REQUIRE(checkpoint.boot_id == storage::ReadBootId());
    checkpoint.boot_id = "another boot";
    ++checkpoint.sequence;
    storage::FileCache cache(files_, 16);
    REQUIRE(storage::WriteCheckpoint(cache, log_ + "/checkpoint", checkpoint).ok());
  }

  // Bytes that recovery has put aside, all files together, without the reasons beside them.
  bool QuarantineHolds(const std::string& bytes) const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_ / "data/quarantine")) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      std::stringstream text;
      text << file.rdbuf();
      if (text.str().find(bytes) != std::string::npos) return true;
    }
    return false;
  }

 private:
  const TempDir directory_;
  storage::PosixFileSystem files_;
  ClientOptions client_;
  std::string log_;
  std::unique_ptr<BrokerProcess> broker_;
};

struct Damage {
  const char* name;
  std::size_t whole;  // batches of the tail before the first bad one
  // Given where the batches of the tail begin, and the end.
  std::function<void(Machine&, const std::vector<std::uint64_t>&)> make;
};

std::vector<Damage> Damages() {
  const std::string page(4096, '\0');
  return {
      {"none", kTail, [](Machine&, const std::vector<std::uint64_t>&) {}},
      {"all of it is gone", 0, [](Machine& m, const auto& at) { m.CutAt(at[0]); }},
      {"cut inside a header", 2, [](Machine& m, const auto& at) { m.CutAt(at[2] + 20); }},
      {"cut inside a record", 4, [](Machine& m, const auto& at) { m.CutAt(at[5] - 1); }},
      {"zeros to the end", 1,
       [](Machine& m, const auto& at) { m.Overwrite(at[1] + 500, std::string(at[5] - at[1] - 500, '\0')); }},
      {"nothing but zeros", 0,
       [](Machine& m, const auto& at) { m.Overwrite(at[0], std::string(at[5] - at[0], '\0')); }},
      {"one page of zeros in the middle", 2,
       [page](Machine& m, const auto& at) { m.Overwrite(at[2] + 1000, page); }},
      {"a page of zeros over two batches", 1,
       [page](Machine& m, const auto& at) { m.Overwrite(at[2] - 2000, page); }},
      {"zeros behind the last batch", kTail,
       [](Machine& m, const auto& at) { m.Overwrite(at[5], std::string(100'000, '\0')); }},
  };
}

void LosePower(const std::string& durability, const Damage& damage) {
  Machine machine(durability);
  Values expected = {"one", "two", "three", "four"};
  REQUIRE(machine.Produce(expected) == 0);
  machine.Kill();
  const std::vector<std::uint64_t> places = machine.WriteTail(4);
  damage.make(machine, places);
  machine.ChangeBootId();
  machine.Boot();
  for (std::size_t i = 0; i < damage.whole; ++i) expected.push_back(TailValue(i));
  CHECK((machine.Consume() == expected));
  // What is cut is kept aside: bytes of the first batch behind the bad one, if there is one.
  const bool behind = std::string(damage.name).find("middle") != std::string::npos;
  if (behind) CHECK(machine.QuarantineHolds(TailValue(damage.whole + 1)));
  // Offsets go on where the log now ends, and this lasts.
  CHECK(machine.Produce({"after"}) == static_cast<std::int64_t>(expected.size()));
  expected.push_back("after");
  machine.Kill();
  machine.Boot();
  INFO(machine.errors());
  CHECK((machine.Consume() == expected));
}

}  // namespace

TEST_CASE(
    "Power loss, durable: all that was acknowledged is served, and the log ends at the first bad batch") {
  for (const Damage& damage : Damages()) {
    INFO(damage.name);
    LosePower("durable", damage);
  }
}

TEST_CASE("Power loss, written: what is left is served up to the first bad batch") {
  for (const Damage& damage : Damages()) {
    INFO(damage.name);
    LosePower("written", damage);
  }
}

TEST_CASE("Power loss, written: acknowledged records may be lost from the end, never from the middle") {
  Values values;
  for (int i = 0; i < 40; ++i) values.push_back("value " + std::to_string(i) + std::string(1000, '.'));
  std::size_t least = values.size();
  for (const std::uint64_t tenths : {9U, 7U, 5U, 3U, 1U, 0U}) {
    Machine machine("written");
    REQUIRE(machine.Produce(values) == 0);
    machine.Kill();
    // All behind the checkpoint may be lost: zeros, as a file system leaves that had written the size first.
    const storage::Checkpoint safe = machine.LoadCheckpoint();
    const std::uint64_t size = machine.size();
    const std::uint64_t cut = safe.position + (size - safe.position) * tenths / 10;
    CAPTURE(tenths, safe.position, size, cut);
    machine.CutAt(cut);
    machine.CutAt(size);
    machine.ChangeBootId();
    machine.Boot();
    const Values found = machine.Consume();
    REQUIRE(found.size() >= static_cast<std::size_t>(safe.end));
    REQUIRE(found.size() <= values.size());
    CHECK(std::equal(found.begin(), found.end(), values.begin()));
    CHECK(machine.Produce({"after"}) == static_cast<std::int64_t>(found.size()));
    least = std::min(least, found.size());
  }
  CHECK(least < values.size());
}

TEST_CASE("The process dies, same boot: a bad batch is damage, and costs none of the batches behind it") {
  for (const std::string durability : {"durable", "written"}) {
    CAPTURE(durability);
    Machine machine(durability);
    REQUIRE(machine.Produce({"one", "two"}) == 0);
    machine.Kill();
    const std::vector<std::uint64_t> places = machine.WriteTail(2);
    machine.Overwrite(places[1] + 1000, "!");
    machine.CutAt(places[5] - 1);  // and the write of the last batch did not end
    machine.Boot();
    std::string error;
    CHECK((machine.Consume(0, &error) == Values{"one", "two", TailValue(0)}));
    CHECK_THAT(error, Catch::Contains("t-0") && Catch::Contains("offset 3"));
    CHECK((machine.Consume(4) == Values{TailValue(2), TailValue(3)}));
    CHECK(machine.Produce({"after"}) == 6);
    CHECK((machine.Consume(4) == Values{TailValue(2), TailValue(3), "after"}));
  }
}

TEST_CASE("Power loss: the same damage ends the log, for nothing behind it was acknowledged") {
  Machine machine("durable");
  REQUIRE(machine.Produce({"one", "two"}) == 0);
  machine.Kill();
  const std::vector<std::uint64_t> places = machine.WriteTail(2);
  machine.Overwrite(places[1] + 1000, "!");
  machine.ChangeBootId();
  machine.Boot();
  CHECK((machine.Consume() == Values{"one", "two", TailValue(0)}));
  CHECK(machine.QuarantineHolds(TailValue(4)));
  CHECK_THAT(machine.errors(), Catch::Contains("quarantine"));
  CHECK(machine.Produce({"after"}) == 3);
}
