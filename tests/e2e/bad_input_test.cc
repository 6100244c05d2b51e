// What goes wrong is told with what, where, the number and the limit; it costs little, and loses nothing.
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include <catch2/catch.hpp>

#include "headrace/admin.h"
#include "headrace/consumer.h"
#include "headrace/producer.h"
#include "protocol/native/frame.h"
#include "storage/io/posix_file_system.h"
#include "storage/io/small_file.h"
#include "tests/support/broker_process.h"
#include "tests/support/raw_socket.h"
#include "tests/support/temp_dir.h"

using namespace headrace;
using headrace::testing::BigEndian32;
using headrace::testing::BrokerProcess;
using headrace::testing::RawSocket;
using headrace::testing::RunProgram;
using headrace::testing::TempDir;
using headrace::testing::WaitUntil;

namespace {

ClientOptions Client(const BrokerProcess& broker) {
  ClientOptions client;
  client.broker = broker.address();
  client.connect_timeout = std::chrono::seconds(5);
  return client;
}

// Takes the room that is left where `path` is.
void FillDisk(const std::string& path) {
  std::ofstream file(path);
  const std::string block(4096, 'x');
  while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
  }
}

}  // namespace

TEST_CASE("A second broker on the same data directory is refused, naming path and process") {
  const TempDir directory;
  const std::string data = directory / "data";
  BrokerProcess first({"--data", data, "--set", "port=0", "--ready-json"});
  REQUIRE(first.ready());
  BrokerProcess second({"--data", data, "--set", "port=0", "--ready-json"});
  CHECK_FALSE(second.ready());
  CHECK(second.WaitForExit(std::chrono::seconds(5)) == 1);
  CHECK_THAT(second.errors(), Catch::Contains(data) && Catch::Contains(std::to_string(first.pid())));
}

TEST_CASE("A port in use is refused, naming address and port") {
  BrokerProcess first({"--ephemeral"});
  REQUIRE(first.ready());
  BrokerProcess second({"--ephemeral", "--set", "port=" + std::to_string(first.port())});
  CHECK(second.WaitForExit(std::chrono::seconds(5)) == 1);
  CHECK_THAT(second.errors(), Catch::Contains("127.0.0.1 port " + std::to_string(first.port())));
}

TEST_CASE("A start that fails at its address leaves the data directory clean, and its epoch as it is") {
  const TempDir directory;
  const std::string data = directory / "data";
  const std::vector<std::string> start = {"--data", data, "--set", "port=0", "--ready-json"};
  storage::PosixFileSystem files;
  {
    BrokerProcess broker(start);
    REQUIRE(broker.ready());
    broker.Signal(SIGTERM);
    REQUIRE(broker.WaitForExit(std::chrono::seconds(10)) == 0);
  }
  const auto before = storage::ReadSmallFile(files, data + "/meta");
  REQUIRE(before.ok());
  BrokerProcess other({"--ephemeral"});
  REQUIRE(other.ready());
  const std::string taken = "port=" + std::to_string(other.port());
  for (const std::string& setting : {taken, std::string("listen=192.0.2.1"), std::string("advertised=no")}) {
    CAPTURE(setting);
    std::vector<std::string> arguments = start;
    arguments.insert(arguments.end(), {"--set", setting});
    BrokerProcess broker(arguments);
    CHECK_FALSE(broker.ready());
    CHECK(std::filesystem::exists(data + "/clean"));
  }
  BrokerProcess broker(start);
  REQUIRE(broker.ready());
  CHECK_THAT(broker.errors(), !Catch::Contains("recovering"));
  const auto after = storage::ReadSmallFile(files, data + "/meta");
  REQUIRE(after.ok());
  CHECK(after->content == before->content);  // the leader epoch is in it
}

TEST_CASE("A data directory that cannot be made or written is refused, naming it") {
  const TempDir directory;
  BrokerProcess missing({"--data", directory / "no/such/parent", "--set", "port=0", "--ready-json"});
  CHECK(missing.WaitForExit(std::chrono::seconds(5)) == 1);
  CHECK_THAT(missing.errors(), Catch::Contains("no/such/parent"));
  // A file where the directory should be: cannot be written by anybody, root included.
  std::ofstream(directory / "file") << "not a directory";
  BrokerProcess file({"--data", directory / "file", "--set", "port=0", "--ready-json"});
  CHECK(file.WaitForExit(std::chrono::seconds(5)) == 1);
  CHECK_THAT(file.errors(), Catch::Contains(directory / "file"));
}

TEST_CASE("Temporary data without a directory for it is refused, naming TMPDIR") {
  const auto result =
      RunProgram({"/usr/bin/env", "TMPDIR=/nonexistent", HEADRACE_BROKER_PROGRAM, "--ephemeral"});
  CHECK(result.exit_code == 1);
  CHECK_THAT(result.output, Catch::Contains("TMPDIR"));
}

TEST_CASE("Configuration mistakes are usage errors: exit code 2, with the nearest name") {
  BrokerProcess unknown({"--ephemeral", "--set", "reactor=1"});
  CHECK(unknown.WaitForExit(std::chrono::seconds(5)) == 2);
  CHECK_THAT(unknown.errors(), Catch::Contains("\"reactors\""));
  BrokerProcess value({"--ephemeral", "--set", "port=http"});
  CHECK(value.WaitForExit(std::chrono::seconds(5)) == 2);
  BrokerProcess listen({"--ephemeral", "--set", "listen=nonsense"});
  CHECK(listen.WaitForExit(std::chrono::seconds(5)) == 2);
  CHECK_THAT(listen.errors(), Catch::Contains("setting listen is \"nonsense\""));
  BrokerProcess together({"--ephemeral", "--set", "frame_size_max=65536"});
  CHECK(together.WaitForExit(std::chrono::seconds(5)) == 2);
  BrokerProcess both({"--ephemeral", "--data", "/tmp/somewhere"});
  CHECK(both.WaitForExit(std::chrono::seconds(5)) == 2);
  BrokerProcess option({"--ephemera"});
  CHECK(option.WaitForExit(std::chrono::seconds(5)) == 2);
}

TEST_CASE("A data directory of a newer format is refused and not changed") {
  const TempDir directory;
  const std::string data = directory / "data";
  {
    BrokerProcess broker({"--data", data, "--set", "port=0", "--ready-json"});
    REQUIRE(broker.ready());
    broker.Signal(SIGTERM);
    REQUIRE(broker.WaitForExit(std::chrono::seconds(10)) == 0);
  }
  storage::PosixFileSystem files;
  const auto meta = storage::ReadSmallFile(files, data + "/meta");
  REQUIRE(meta.ok());
  REQUIRE(storage::ReplaceSmallFile(files, data + "/meta", meta->format + 1, meta->content).ok());
  BrokerProcess broker({"--data", data, "--set", "port=0", "--ready-json"});
  CHECK(broker.WaitForExit(std::chrono::seconds(5)) == 1);
  CHECK_THAT(broker.errors(), Catch::Contains("format 2") && Catch::Contains("up to 1"));
  CHECK(std::filesystem::exists(data + "/clean"));
}

TEST_CASE("A wrong topic, partition or offset is an error that says what there is") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client = Client(broker);
  auto admin = Admin::Connect(client);
  REQUIRE(admin);
  REQUIRE(admin->CreateTopic("orders"));
  const auto topic = Consumer::Connect(client, "oders", {});
  REQUIRE_FALSE(topic);
  CHECK_THAT(topic.error().message, Catch::Contains("orders"));
  ConsumerOptions partition;
  partition.partitions = {7};
  CHECK_FALSE(Consumer::Connect(client, "orders", partition));
  auto producer = Producer::Connect(client, "orders");
  REQUIRE(producer);
  for (int i = 0; i < 5; ++i) REQUIRE(producer->Send("", "x"));
  REQUIRE(producer->Close());
  ConsumerOptions offset;
  offset.start = Start::At(99);
  auto consumer = Consumer::Connect(client, "orders", offset);
  std::string message;
  if (!consumer)
    message = consumer.error().message;
  else if (const auto polled = consumer->Poll(std::chrono::seconds(5)); !polled)
    message = polled.error().message;
  CHECK_THAT(message, Catch::Contains("99") && Catch::Contains("0 to 5"));
  CHECK_FALSE(admin->CreateTopic("orders"));
  CHECK_FALSE(admin->CreateTopic("no spaces"));
  CHECK_FALSE(admin->CreateTopic("../../etc/passwd"));
  CHECK_FALSE(admin->CreateTopic("__own"));
}

TEST_CASE("Too large a message is refused with its size, the limit and where it is set; the next one goes") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const ClientOptions client = Client(broker);
  auto admin = Admin::Connect(client);
  REQUIRE(admin);
  CreateTopicOptions options;
  options.configs = {{"max.message.bytes", "2048"}};
  REQUIRE(admin->CreateTopic("small", options));
  auto producer = Producer::Connect(client, "small");
  REQUIRE(producer);
  Message message;
  const std::string large(5000, 'x');
  message.value = large;
  const auto refused = producer->SendForResult(message).get();
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains("2048") && Catch::Contains("max.message.bytes"));
  message.value = "fits";
  CHECK(producer->SendForResult(message).get());
}

TEST_CASE("Garbage costs a closed connection and a log line, not memory") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  auto admin = Admin::Connect(Client(broker));
  REQUIRE(admin);
  const std::uint64_t before = admin->Stats()->resident_bytes;
  const std::string preface(native::kPreface);
  const std::vector<std::string> inputs = {
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
      BigEndian32(10) + std::string(10, '\xff'),  // a Kafka frame, of no request there is
      "SSH-2.0-x\r\n",
      preface + BigEndian32(0),
      preface + BigEndian32(0xffffffff),
      preface + BigEndian32(0x7fffffff),
      preface + BigEndian32(11) + std::string(11, '\0'),
      preface + BigEndian32(12) + std::string(12, '\xff'),
      preface + BigEndian32(16) + std::string("\x08\0\0\0\0\0\0\1\0\0\0\4garb", 16),
  };
  for (int round = 0; round < 20; ++round) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      CAPTURE(i);
      RawSocket socket(broker.port());
      REQUIRE(socket.connected());
      socket.Send(inputs[i]);
      REQUIRE(socket.ClosedByPeer());
    }
  }
  const auto stats = admin->Stats();
  REQUIRE(stats);
  CHECK(stats->client_errors >= 20 * inputs.size());
#ifndef HEADRACE_SANITIZED
  CHECK(stats->resident_bytes < before + (4 << 20));
#else
  CHECK(before > 0);
#endif
  CHECK_THAT(broker.errors(), Catch::Contains("warn"));
}

TEST_CASE("The command line ends with 1 for what failed, 2 for a usage error, 3 without a connection") {
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  const auto result = RunProgram({HEADRACE_PROGRAM, "--broker", broker.address(), "topic", "create", "t"});
  REQUIRE(result.exit_code == 0);
  CHECK(RunProgram({HEADRACE_PROGRAM, "--broker", broker.address(), "consume", "nothing"}).exit_code == 1);
  CHECK(RunProgram({HEADRACE_PROGRAM, "--broker", broker.address(), "consume"}).exit_code == 2);
  CHECK(RunProgram({HEADRACE_PROGRAM, "--broker", "127.0.0.1:1", "topic", "list"}).exit_code == 3);
}

TEST_CASE("1,000 connections: all served, and SIGTERM ends the broker within 5 s") {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  BrokerProcess broker({"--ephemeral"});
  REQUIRE(broker.ready());
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (int i = 0; i < 1000; ++i) {
    sockets.push_back(std::make_unique<RawSocket>(broker.port()));
    REQUIRE(sockets.back()->connected());
    if (i % 3 == 0) sockets.back()->Send(native::kPreface);
    if (i % 3 == 1) sockets.back()->Send(std::string(native::kPreface) + BigEndian32(100) + "half a frame");
  }
  auto admin = Admin::Connect(Client(broker));
  REQUIRE(admin);
  CHECK(WaitUntil([&] { return admin->Stats()->connections >= 1001; }));
  const auto began = std::chrono::steady_clock::now();
  broker.Signal(SIGTERM);
  CHECK(broker.WaitForExit(std::chrono::seconds(20)) == 0);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
}

TEST_CASE("A full disk: produce is refused and told why, reads go on, and it resumes by itself") {
  const TempDir directory;
  const std::string disk = directory / "disk";
  ::mkdir(disk.c_str(), 0755);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=128m") != 0) {
    WARN("a small file system can be mounted by root only: not tested here");
    return;
  }
  {
    BrokerProcess broker({"--data", disk + "/data", "--set", "port=0", "--ready-json"});
    REQUIRE(broker.ready());
    ClientOptions client = Client(broker);
    auto admin = Admin::Connect(client);
    REQUIRE(admin);
    REQUIRE(admin->CreateTopic("t"));
    ProducerOptions options;
    options.delivery_timeout = std::chrono::seconds(3);
    auto producer = Producer::Connect(client, "t", options);
    REQUIRE(producer);
    const std::string value(100'000, 'x');
    std::int64_t acknowledged = 0;
    std::string refusal;
    Message message;
    message.value = value;
    for (int i = 0; i < 3000 && refusal.empty(); ++i) {
      const auto receipt = producer->SendForResult(message).get();
      if (receipt)
        ++acknowledged;
      else
        refusal = receipt.error().message;
    }
    CHECK(acknowledged > 300);
    CHECK_THAT(refusal, Catch::Contains("reserve") || Catch::Contains("No space"));
    ConsumerOptions reading;
    reading.stop_at_end = true;
    auto consumer = Consumer::Connect(client, "t", reading);
    REQUIRE(consumer);
    std::int64_t read = 0;
    for (const Record& record : *consumer) read += record.value->size() == value.size() ? 1 : 0;
    CHECK(read >= acknowledged);
    FillDisk(disk + "/filler");          // a small file does not fit either
    REQUIRE(admin->Trim("t", 0, read));  // deletes whole segments only
    REQUIRE(admin->DeleteTopic("t"));
    REQUIRE(std::remove((disk + "/filler").c_str()) == 0);
    REQUIRE(admin->CreateTopic("again"));
    auto again = Producer::Connect(client, "again");
    REQUIRE(again);
    CHECK(WaitUntil([&] { return static_cast<bool>(again->SendForResult(message).get()); }));
    FillDisk(disk + "/filler");
    broker.Signal(SIGTERM);
    CHECK(broker.WaitForExit(std::chrono::seconds(10)) == 0);
    BrokerProcess next({"--data", disk + "/data", "--set", "port=0", "--ready-json"});
    REQUIRE(next.ready());
    auto kept = Consumer::Connect(Client(next), "again", reading);
    REQUIRE(kept);
    std::int64_t records = 0;
    for (const Record& record : *kept) records += record.value->size() == value.size() ? 1 : 0;
    CHECK(records > 0);
  }
  ::umount(disk.c_str());
}

TEST_CASE("Standard streams that were closed are not lent to files or sockets") {
  const std::string command =
      "exec bash -c '" HEADRACE_BROKER_PROGRAM " --ephemeral <&- 2>&- & echo $!; wait' 2>/dev/null";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char line[500] = {};
  REQUIRE(std::fgets(line, sizeof line, pipe) != nullptr);
  const pid_t process = std::atoi(line);
  const bool ready = std::fgets(line, sizeof line, pipe) != nullptr;
  const std::string descriptors = "/proc/" + std::to_string(process) + "/fd/";
  const auto input = std::filesystem::read_symlink(descriptors + "0");
  const auto errors = std::filesystem::read_symlink(descriptors + "2");
  ::kill(process, SIGTERM);
  ::pclose(pipe);
  CHECK(ready);
  CHECK(input == "/dev/null");
  CHECK(errors == "/dev/null");
}
