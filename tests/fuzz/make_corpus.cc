// Writes the inputs that fuzzing starts from: make_corpus GOLDEN CORPUS fills CORPUS/<name of a fuzz program>
// with the golden batches, their compressed record areas, the golden requests, bodies of every Kafka message,
// and native frames with every field of some messages set.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "broker/group/offset_record.h"
#include "headrace.pb.h"
#include "protocol/core/record_batch.h"
#include "protocol/core/status_macros.h"
#include "protocol/kafka/frame.h"
#include "protocol/kafka/messages/all.h"
#include "protocol/native/frame.h"
#include "storage/clean_manifest.h"
#include "storage/offset_index.h"
#include "storage/producer_state.h"
#include "storage/time_index.h"
#include "tests/golden/golden_frames.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;
using native::FrameType;

void Write(const fs::path& path, std::string_view bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  HEADRACE_CHECK(file.flush().good());
}

void WriteBatch(const fs::path& golden, const fs::path& corpus) {
  std::ifstream file(golden, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto batch = RecordBatchView::Parse(AsBytes(bytes));
  HEADRACE_CHECK(batch.ok());
  const fs::path name = golden.stem();
  Write(corpus / "fuzz_record_batch" / name, bytes);
  Write(corpus / "fuzz_push" / name, bytes);
  if (batch->compression() == Compression::kNone) return;
  const std::string program = "fuzz_" + std::string(NameOf(batch->compression()));
  Write(corpus / program / name, AsText(batch->records()));
}

void WriteFrame(const fs::path& corpus, FrameType type, const google::protobuf::MessageLite& header,
                std::string_view attachment = {}) {
  std::string bytes;
  native::AppendFrame(bytes, type, 0, 7, header, attachment.size());
  bytes.append(attachment);
  const std::string name = header.GetTypeName();
  Write(corpus / "fuzz_frame" / name, std::string_view(bytes).substr(native::kFrameLengthSize));
}

void WriteRequests(const fs::path& corpus) {
  native::HelloRequest hello;
  hello.set_version_max(1);
  hello.add_features("feature");
  hello.set_client_id("client");
  WriteFrame(corpus, FrameType::kHello, hello);
  native::CreateTopicRequest create;
  create.set_topic("topic");
  create.set_partitions(3);
  native::TopicConfig& config = *create.add_configs();
  config.set_key("retention.ms");
  config.set_value("1000");
  WriteFrame(corpus, FrameType::kCreateTopic, create);
  native::ProduceRequest produce;
  native::ProduceRequest::Partition& entry = *produce.add_partitions();
  entry.set_topic_id(std::string(16, 'i'));
  entry.set_partition(2);
  entry.set_size(8);
  WriteFrame(corpus, FrameType::kProduce, produce, "attached");
  native::CommitOffsetRequest commit;
  commit.set_consumer("consumer");
  native::CommitOffsetRequest::Partition& position = *commit.add_partitions();
  position.set_topic("topic");
  position.set_offset(1'000'000'000'000);
  position.set_metadata("metadata");
  WriteFrame(corpus, FrameType::kCommitOffset, commit);
  native::GroupHeartbeatRequest heartbeat;
  heartbeat.set_group("group");
  heartbeat.set_member_id("member");
  heartbeat.mutable_subscription()->add_topics("topic");
  heartbeat.mutable_owned()->add_partitions()->set_topic_id("0123456789abcdef");
  WriteFrame(corpus, FrameType::kGroupHeartbeat, heartbeat);
}

// Every request that the Kafka listener serves, in every version, with nothing set.
void WriteKafkaRequests(const fs::path& corpus) {
  kafka::VisitApis([&]<typename Request, typename Response>(kafka::ApiKey key) {
    const kafka::Api& api = *kafka::FindApi(key);
    for (std::int16_t version = api.version_min; version <= api.version_max; ++version) {
      const std::string bytes = kafka::EncodeRequest(api, {key, version, 7, "client"}, Request()).bytes;
      const std::string name = std::string(api.name) + "-" + std::to_string(version);
      Write(corpus / "fuzz_kafka" / name, std::string_view(bytes).substr(sizeof(std::int32_t)));
    }
  });
}

void WriteGoldenRequests(const fs::path& golden, const fs::path& corpus) {
  const auto frames = testing::ReadGoldenFrames(golden / "requests.frames");
  HEADRACE_CHECK(!frames.empty());
  for (const testing::GoldenFrame& frame : frames) {
    const std::string kind =
        std::to_string(static_cast<int>(frame.key)) + "-" + std::to_string(frame.version);
    Write(corpus / "fuzz_kafka" / (frame.who + "-" + kind), frame.bytes);
  }
}

// Bodies of every API and version, by Apache Kafka's schemas: each as a request's frame.
void WriteSchemaBodies(const fs::path& golden, const fs::path& corpus) {
  const auto frames = testing::ReadGoldenFrames(golden / "schema.frames");
  HEADRACE_CHECK(!frames.empty());
  int number = 0;
  for (const testing::GoldenFrame& frame : frames) {
    const kafka::RequestHeader header{frame.key, frame.version, 7, "client"};
    kafka::Encoder body(frame.version, kafka::FindApi(frame.key)->IsFlexible(frame.version));
    body.bytes() = frame.bytes;
    const std::string bytes = kafka::FinishRequest(*kafka::FindApi(frame.key), header, body).bytes;
    Write(corpus / "fuzz_kafka" / ("schema-" + std::to_string(number++)),
          std::string_view(bytes).substr(sizeof(std::int32_t)));
  }
}

void WriteResponses(const fs::path& corpus) {
  native::ErrorResponse error;
  error.mutable_error()->set_code(3);
  error.mutable_error()->set_message("topic t does not exist");
  WriteFrame(corpus, FrameType::kError, error);
  native::StatsResponse stats;
  stats.set_uptime_seconds(1.5);
  native::ConnectionStats& connection = *stats.add_connection_list();
  connection.set_peer("127.0.0.1:4711");
  connection.add_transfers()->set_strategy("sendfile");
  WriteFrame(corpus, FrameType::kStats, stats);
  native::DescribeTopicsResponse topics;
  native::TopicDescription& topic = *topics.add_topics();
  topic.set_topic("topic");
  topic.add_partitions()->set_end_offset(-1);
  WriteFrame(corpus, FrameType::kDescribeTopics, topics);
}

// What a broker keeps, as it writes it.
void WriteKept(const fs::path& corpus) {
  const TopicPartition partition{TopicId::Random(), 3};
  group::CommittedOffset committed;
  committed.offset = 7;
  committed.metadata = "metadata";
  const auto write = [&](const std::string& program, const std::string& name, ByteSpan bytes) {
    Write(corpus / program / name, AsText(bytes));
  };
  write("fuzz_group", "key", group::EncodeKey("group", partition));
  write("fuzz_group", "former_key", group::EncodeFormerKey("group"));
  write("fuzz_group", "value", group::EncodeValue(committed));
  write("fuzz_group", "former", group::EncodeFormer({{partition, committed}}));
  storage::OffsetIndex offsets(100, {100, 0});
  offsets.Note({105, 5'000}, 4'096);
  offsets.NoteDamage({6'000, 7'000, 106, 108});
  write("fuzz_disk", "offset_index", offsets.Serialize(8'000));
  storage::TimeIndex times(100);
  times.Note(1'000, {105, 5'000}, 4'096);
  write("fuzz_disk", "time_index", times.Serialize(8'000, {1, 2, 3}));
  storage::LogSummary log;
  log.segments.push_back({100, 8'000, 1, 2, 3});
  write("fuzz_disk", "manifest", storage::SerializeManifest({{partition, log}}));
  write("fuzz_disk", "producers", storage::ProducerState().Serialize(7));
}

int Main(const fs::path& golden, const fs::path& corpus) {
  int batches = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(golden)) {
    if (entry.path().extension() != ".bin") continue;
    WriteBatch(entry.path(), corpus);
    ++batches;
  }
  WriteRequests(corpus);
  WriteKafkaRequests(corpus);
  WriteGoldenRequests(golden, corpus);
  WriteSchemaBodies(golden, corpus);
  WriteResponses(corpus);
  WriteKept(corpus);
  std::printf("%d batches\n", batches);
  return batches > 0 ? 0 : 1;
}

}  // namespace
}  // namespace headrace

int main(int argc, char** argv) {
  if (argc == 3) return headrace::Main(argv[1], argv[2]);
  std::fprintf(stderr, "usage: make_corpus GOLDEN CORPUS\n");
  return 2;
}
