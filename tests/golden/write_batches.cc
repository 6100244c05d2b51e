// Writes batches of ours for read_batches.py, which has python3-kafka read them: for each codec <codec>.bin,
// and <codec>.txt with the records as they were given to the builder.
#include <cstdio>
#include <fstream>
#include <string>

#include "protocol/core/status_macros.h"
#include "tests/golden/record_text.h"

namespace headrace::testing {
namespace {

constexpr TimestampMs kTime = 1'700'000'000'000;
constexpr Offset kBaseOffset = 5'000'000'000;

// Gives records to the builder and notes them as text.
class Writer {
 public:
  explicit Writer(Compression compression) : compression_(compression), builder_(compression) {
    builder_.SetProducer(4711, 3, 2'147'483'640);
  }

  void Add(RecordView record) {
    builder_.Add(record);
    record.offset = kBaseOffset + builder_.count() - 1;
    text_ += RecordText(record);
  }

  bool WriteTo(const std::string& folder) {
    auto batch = builder_.Build();
    HEADRACE_CHECK(batch.ok());
    StampBatch(*batch, kBaseOffset, 12);
    const std::string path = folder + "/" + std::string(NameOf(compression_));
    std::ofstream(path + ".bin", std::ios::binary) << AsText(*batch);
    std::ofstream text(path + ".txt");
    text << HeaderText(*RecordBatchView::Parse(*batch)) << text_;
    return text.flush().good();
  }

 private:
  Compression compression_;
  RecordBatchBuilder builder_;
  std::string text_;
};

void AddEdges(Writer& writer) {
  writer.Add({.timestamp = kTime, .key = AsBytes("key"), .value = AsBytes("value")});
  writer.Add({.timestamp = kTime, .value = AsBytes("no key")});
  writer.Add({.timestamp = kTime, .key = AsBytes("no value")});
  writer.Add({.timestamp = kTime});
  writer.Add({.timestamp = kTime, .key = ByteSpan(), .value = ByteSpan()});
  writer.Add({.timestamp = kTime - 86'400'000, .value = AsBytes("a day before")});
  writer.Add({.timestamp = kTime + 315'360'000'000, .value = AsBytes("ten years ahead")});
  const std::string large(100, 'x');
  const RecordHeaderView headers[] = {{"trace", AsBytes("abc")},
                                      {"null", std::nullopt},
                                      {"", AsBytes("")},
                                      {"Größe", AsBytes(large)},
                                      {"trace", AsBytes("again")}};
  writer.Add({.timestamp = kTime, .key = AsBytes("\xff"), .value = AsBytes("headers"), .headers = headers});
}

void AddMany(Writer& writer) {
  // Above every block size of the codecs' framings, and lengths of one, two and three bytes.
  std::string value;
  for (int i = 0; value.size() < 100'000; ++i) value += "line " + std::to_string(i) + "\n";
  writer.Add({.timestamp = kTime, .key = AsBytes("large"), .value = AsBytes(value)});
  for (std::size_t i = 0; i < 300; ++i) {
    const std::string key = std::to_string(i);
    writer.Add({.timestamp = kTime + static_cast<TimestampMs>(i),
                .key = AsBytes(key),
                .value = AsBytes(value).first(i)});
  }
}

int Main(const std::string& folder) {
  for (const Compression compression : {Compression::kNone, Compression::kGzip, Compression::kSnappy,
                                        Compression::kLz4, Compression::kZstd}) {
    Writer writer(compression);
    AddEdges(writer);
    AddMany(writer);
    if (!writer.WriteTo(folder)) {
      std::fprintf(stderr, "cannot write into %s\n", folder.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace headrace::testing

int main(int argc, char** argv) {
  if (argc == 2) return headrace::testing::Main(argv[1]);
  std::fprintf(stderr, "usage: write_batches FOLDER\n");
  return 2;
}
