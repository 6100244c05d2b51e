#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "protocol/core/record_iterator.h"
#include "tests/golden/record_text.h"

using namespace headrace;

namespace {

const std::string kCodecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};

std::string Contents(const std::string& name) {
  std::ifstream file(HEADRACE_SOURCE_DIR "/tests/golden/" + name, std::ios::binary);
  INFO(name);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

// A batch as Headrace reads it, in the words of the golden texts.
std::string ReadBatch(ByteSpan bytes) {
  const auto batch = RecordBatchView::Parse(bytes);
  REQUIRE(batch.ok());
  CHECK(batch->size() == bytes.size());
  CHECK(batch->CheckProduced().ok());
  std::string text = testing::HeaderText(*batch);
  auto records = RecordIterator::Open(*batch, 1 << 20);
  REQUIRE(records.ok());
  while (records->Next()) text += testing::RecordText(records->record());
  CHECK(records->status().ok());
  return text;
}

void CheckGolden(const std::string& client) {
  for (const std::string& codec : kCodecs) {
    const std::string name = client + "_" + codec;
    CAPTURE(name);
    const std::string bytes = Contents(name + ".bin");
    CHECK(RecordBatchView::Parse(AsBytes(bytes))->compression() == ParseCompression(codec));
    CHECK(ReadBatch(AsBytes(bytes)) == Contents(name + ".txt"));
  }
}

}  // namespace

TEST_CASE("Golden: every record of python3-kafka's batches is read as it was written") {
  CheckGolden("python_kafka");
}

TEST_CASE("Golden: every record that librdkafka sent is read as it was written") {
  CheckGolden("librdkafka");
}

TEST_CASE("Golden: the two framings of snappy both occur") {
  const auto magic = [](const std::string& name) {
    return Contents(name).substr(kBatchHeaderSize, 8) == std::string("\x82SNAPPY\0", 8);
  };
  CHECK(magic("python_kafka_snappy.bin"));
  CHECK_FALSE(magic("librdkafka_snappy.bin"));
}

// Without compression there is one way to write a batch, so ours must be theirs byte for byte.
TEST_CASE("Golden: the builder writes the very bytes that the other clients wrote") {
  for (const std::string client : {"python_kafka", "librdkafka"}) {
    const std::string golden = Contents(client + "_none.bin");
    const auto batch = *RecordBatchView::Parse(AsBytes(golden));
    auto records = *RecordIterator::Open(batch, 0);
    RecordBatchBuilder builder;
    builder.SetProducer(batch.producer_id(), batch.producer_epoch(), batch.base_sequence());
    while (records.Next()) builder.Add(records.record());
    auto ours = *builder.Build();
    StampBatch(ours, batch.base_offset(), batch.leader_epoch());
    CAPTURE(client);
    CHECK((AsText(ours) == golden));
  }
}
