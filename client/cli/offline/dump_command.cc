// headrace dump SEGMENT: the batches of a segment file, and where it is damaged.
#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>

#include "client/cli/offline/batch_walk.h"
#include "client/cli/offline/offline_commands.h"
#include "client/cli/position_spec.h"
#include "client/cli/record_format.h"
#include "client/cli/text.h"
#include "headrace/consumer.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"
#include "storage/io/posix_file_system.h"

namespace headrace::cli::offline {
namespace {

constexpr std::size_t kDecompressedMax = 512U << 20;

struct DumpArguments {
  std::string path;
  bool records = false;
  bool damaged_only = false;
};

// One run of the command. Lives on main's thread.
class Dump {
 public:
  Dump(Context& context, const DumpArguments& arguments) : context_(context), arguments_(arguments) {}

  int Run() {
    storage::PosixFileSystem files;
    const auto file = files.Open(arguments_.path, storage::OpenMode::kRead);
    if (!file.ok()) return context_.Fail(std::string(MessageOf(file.status())));
    const auto size = (*file)->Size();
    if (!size.ok()) return context_.Fail(std::string(MessageOf(size.status())));
    const auto first = FirstOffset(**file);
    if (!first.ok()) return context_.Fail(std::string(MessageOf(first.status())));
    BatchWalk walk(**file, *size, *first);
    while (!context_.output.done()) {
      const auto stretch = walk.Next();
      if (!stretch.ok()) return context_.Fail(std::string(MessageOf(stretch.status())));
      if (!stretch->has_value()) break;
      Print(**stretch);
    }
    if (context_.output.done()) return kDone;  // the reader has seen enough
    PrintSummary(*size);
    return damaged_ == 0 ? kDone : kFailed;
  }

 private:
  // By the file's name or, of a copy under another one, by its first bytes.
  absl::StatusOr<Offset> FirstOffset(const storage::File& file) const {
    const std::string name = std::filesystem::path(arguments_.path).filename();
    if (const auto named = BaseOffsetOf(name); named.has_value()) return *named;
    std::array<std::byte, sizeof(Offset)> bytes{};
    RETURN_IF_ERROR(file.ReadAt(0, bytes).status());
    return std::max<Offset>(0, LoadBigEndian<Offset>(bytes.data()));
  }

  void Print(const Stretch& stretch) {
    const bool sound = stretch.kind == Stretch::Kind::kBatch;
    (sound ? batches_ : damaged_) += 1;
    if (sound && arguments_.damaged_only) return;
    if (context_.json)
      PrintJsonLine(stretch);
    else
      PrintLine(stretch);
    if (sound && arguments_.records) PrintRecords(*stretch.batch);
  }

  static std::string_view NameOf(Stretch::Kind kind) {
    switch (kind) {
      case Stretch::Kind::kBatch:
        return "batch";
      case Stretch::Kind::kDamaged:
        return "damaged";
      case Stretch::Kind::kTorn:
        return "torn";
    }
    return "";
  }

  static std::string FlagsOf(const RecordBatchView& batch) {
    std::string flags(headrace::NameOf(batch.compression()));
    if ((batch.attributes() & kAttributeLogAppendTime) != 0) flags += ",append-time";
    if ((batch.attributes() & kAttributeTransactional) != 0) flags += ",transactional";
    if (batch.is_control()) flags += ",control";
    return flags;
  }

  void PrintLine(const Stretch& stretch) {
    std::string line =
        "position " + std::to_string(stretch.position) + "  size " + std::to_string(stretch.size);
    if (stretch.batch) {
      const RecordBatchView& batch = *stretch.batch;
      line += "  offsets " + std::to_string(batch.base_offset()) + ".." +
              std::to_string(batch.last_offset()) + "  records " + std::to_string(batch.record_count()) +
              "  epoch " + std::to_string(batch.leader_epoch()) + "  time " +
              FormatTime(batch.base_timestamp()) + ".." + FormatTime(batch.max_timestamp()) + "  " +
              FlagsOf(batch);
      if (batch.producer_id() != kNoProducerId) {
        line += "  producer " + std::to_string(batch.producer_id()) + "/" +
                std::to_string(batch.producer_epoch()) + " sequence " + std::to_string(batch.base_sequence());
      }
    }
    if (stretch.kind != Stretch::Kind::kBatch) {
      line += std::string("  ") + (stretch.kind == Stretch::Kind::kTorn ? "TORN: " : "DAMAGED: ") +
              stretch.problem;
    }
    context_.output.Write(line + "\n");
  }

  void PrintJsonLine(const Stretch& stretch) {
    std::string line = "{\"kind\":\"" + std::string(NameOf(stretch.kind)) +
                       "\",\"position\":" + std::to_string(stretch.position) +
                       ",\"size\":" + std::to_string(stretch.size);
    const auto field = [&line](std::string_view name, std::int64_t value) {
      line.append(",\"").append(name).append("\":").append(std::to_string(value));
    };
    if (stretch.batch) {
      const RecordBatchView& batch = *stretch.batch;
      field("base_offset", batch.base_offset());
      field("last_offset", batch.last_offset());
      field("records", batch.record_count());
      field("leader_epoch", batch.leader_epoch());
      field("base_timestamp_ms", batch.base_timestamp());
      field("max_timestamp_ms", batch.max_timestamp());
      field("attributes", batch.attributes());
      field("producer_id", batch.producer_id());
      field("producer_epoch", batch.producer_epoch());
      field("base_sequence", batch.base_sequence());
      field("crc", batch.crc());
      line += ",\"compression\":\"" + std::string(headrace::NameOf(batch.compression())) + "\"";
    }
    if (!stretch.problem.empty()) {
      line += ',';
      AppendJsonBytes(line, "problem", stretch.problem);
    }
    context_.output.Write(line + "}\n");
  }

  void PrintRecords(const RecordBatchView& batch) {
    auto records = RecordIterator::Open(batch, kDecompressedMax);
    if (!records.ok()) return PrintBadRecords(records.status());
    while (records->Next()) PrintRecord(records->record());
    if (!records->status().ok()) PrintBadRecords(records->status());
  }

  void PrintBadRecords(const absl::Status& status) {
    ++damaged_;
    std::string line(MessageOf(status));
    if (context_.json) {
      line = "{\"kind\":\"bad_records\",";
      AppendJsonBytes(line, "problem", MessageOf(status));
      line += '}';
    } else {
      line = "  RECORDS CANNOT BE READ: " + line;
    }
    context_.output.Write(line + "\n");
  }

  void PrintRecord(const RecordView& view) {
    std::vector<Header> headers;
    for (const RecordHeaderView& header : view.headers) {
      headers.push_back({header.key, header.value ? std::optional(AsText(*header.value)) : std::nullopt});
    }
    Record record;
    record.offset = view.offset;
    record.timestamp_ms = view.timestamp;
    if (view.key) record.key = AsText(*view.key);
    if (view.value) record.value = AsText(*view.value);
    record.headers = headers;
    std::string& out = context_.output.buffer();
    if (context_.json) {
      AppendJsonRecord(out, "", record);
    } else {
      static const RecordFormat kFormat = *RecordFormat::Compile("  %o  %D  key(%K) %k  value(%V) %v  %h\\n");
      kFormat.Append(out, "", record);
    }
    context_.output.Settle();
  }

  void PrintSummary(std::uint64_t size) {
    if (context_.json) {
      context_.output.Write("{\"kind\":\"summary\",\"size\":" + std::to_string(size) + ",\"batches\":" +
                            std::to_string(batches_) + ",\"damaged\":" + std::to_string(damaged_) + "}\n");
      return;
    }
    context_.output.Flush();
    PrintNote(std::to_string(batches_) + " sound batches in " + std::to_string(size) + " bytes, " +
              (damaged_ == 0 ? "nothing damaged" : std::to_string(damaged_) + " damaged places"));
  }

  Context& context_;
  const DumpArguments& arguments_;
  std::uint64_t batches_ = 0;
  std::uint64_t damaged_ = 0;
};

}  // namespace

void AddDumpCommand(CLI::App& app, Context& context) {
  CLI::App& command =
      *app.add_subcommand("dump", "Show the batches of a segment file, also a damaged one; no broker needed");
  const auto arguments = std::make_shared<DumpArguments>();
  command.add_option("segment", arguments->path, "A .log file of a data directory")->required();
  command.add_flag("--records", arguments->records, "Show the records too");
  command.add_flag("--damaged", arguments->damaged_only, "Show only what is damaged");
  command.footer("Exit code 1 if anything is damaged.");
  command.callback([&context, arguments] {
    context.run = [&context, arguments] { return Dump(context, *arguments).Run(); };
  });
}

}  // namespace headrace::cli::offline
