#include "tests/support/log_builder.h"

#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "storage/segment.h"
#include "tests/support/batches.h"

namespace headrace::testing {
namespace {

constexpr std::size_t kOpenFilesMax = 4;

// The batches of a slice as words.
std::string Words(const storage::FileSlice& slice) {
  std::vector<std::byte> bytes(slice.length);
  const absl::StatusOr<std::size_t> read = slice.file->ReadAt(slice.position, bytes);
  HEADRACE_CHECK(read.ok() && *read == bytes.size());
  std::string words;
  for (ByteSpan rest = bytes; !rest.empty();) {
    const absl::StatusOr<RecordBatchView> batch = RecordBatchView::Parse(rest);
    HEADRACE_CHECK(batch.ok());
    if (!words.empty()) words += ' ';
    for (const std::string& value : ValuesOf(batch->bytes())) words += value.front();
    rest = rest.subspan(batch->size());
  }
  return words;
}

// "readable again from offset N" of an error's message.
Offset NextReadable(const absl::Status& error) {
  constexpr std::string_view kBefore = "readable again from offset ";
  const std::string_view text = MessageOf(error);
  const std::size_t at = text.find(kBefore);
  HEADRACE_CHECK(at != std::string_view::npos);
  return std::stoll(std::string(text.substr(at + kBefore.size())));
}

void Join(std::string& line, std::string_view word) {
  if (!line.empty()) line += ' ';
  line += word;
}

}  // namespace

TestLog::TestLog() : TestLog(std::uint64_t{1} << 20) {}

TestLog::TestLog(std::uint64_t segment_size_max) {
  options_.segment_size_max = segment_size_max;
  options_.index_interval = 64;
  options_.checkpoint_interval = 1 << 20;
  HEADRACE_CHECK(memory.CreateDirectory("/data").ok());
  HEADRACE_CHECK(memory.SyncDirectory("/").ok());
  HEADRACE_CHECK(memory.CreateDirectory(std::string(kQuarantine)).ok());
  HEADRACE_CHECK(memory.CreateDirectory("/data/topics").ok());
  HEADRACE_CHECK(memory.SyncDirectory("/data").ok());
  memory.SetTime(clock.WallNow());
  HEADRACE_CHECK(Recover().ok());
}

absl::Status TestLog::Open(const std::optional<storage::LogSummary>& summary) {
  log_.reset();
  cache_ = std::make_unique<storage::FileCache>(files, kOpenFilesMax);
  environment_ = std::make_unique<storage::LogEnvironment>();
  environment_->files = &files;
  environment_->clock = &clock;
  environment_->cache = cache_.get();
  environment_->boot_id = absl::StrCat("boot-", boot_);
  environment_->quarantine = kQuarantine;
  environment_->report = [this](const std::string& line) { findings_.push_back(line); };
  findings_.clear();
  auto opened = storage::Log::Open(*environment_, std::string(kDirectory), options_, summary, &report_);
  RETURN_IF_ERROR(opened.status());
  log_ = *std::move(opened);
  return absl::OkStatus();
}

absl::Status TestLog::Recover() {
  return Open(std::nullopt);
}

absl::Status TestLog::Close() {
  absl::StatusOr<storage::LogSummary> closed = log_->Close();
  RETURN_IF_ERROR(closed.status());
  summary_ = *std::move(closed);
  return absl::OkStatus();
}

absl::Status TestLog::OpenClean() {
  return Open(summary_);
}

absl::Status TestLog::Restart() {
  RETURN_IF_ERROR(Close());
  return OpenClean();
}

void TestLog::CrashProcess() {
  log_.reset();
  files.Heal();
  memory.CrashProcess();
}

void TestLog::CrashPower(std::uint64_t seed) {
  log_.reset();
  files.Heal();
  memory.CrashPower(seed);
  ++boot_;
}

void TestLog::SetOptions(const storage::LogOptions& options) {
  options_ = options;
  if (log_ != nullptr) log_->SetOptions(options);
}

std::vector<std::byte> TestLog::MakeWord(std::string_view word, Offset base_offset) const {
  std::vector<std::string> values;
  for (const char letter : word) values.push_back(letter + inside + std::string(value_size_ - 1, '.'));
  const std::vector<std::string_view> views(values.begin(), values.end());
  BatchOptions batch;
  batch.base_offset = base_offset;
  batch.leader_epoch = epoch;
  batch.timestamp = timestamp;
  batch.producer_id = producer_id;
  batch.base_sequence = producer_id == kNoProducerId ? 0 : next_sequence;
  return MakeBatch(views, batch);
}

absl::Status TestLog::AppendTogether(const std::vector<std::string>& words) {
  std::vector<std::vector<std::byte>> batches;
  Offset next = log_->offsets().end;
  for (const std::string& word : words) {
    batches.push_back(MakeWord(word, next));
    next += static_cast<Offset>(word.size());
    timestamp += timestamp_step;
    next_sequence += static_cast<std::int32_t>(word.size());
  }
  memory.SetTime(clock.WallNow());
  const std::vector<ByteSpan> spans(batches.begin(), batches.end());
  letters_.resize(static_cast<std::size_t>(next));
  std::size_t at = letters_.size();
  for (auto word = words.rbegin(); word != words.rend(); ++word)
    letters_.replace(at -= word->size(), word->size(), *word);
  return log_->Append(spans);
}

absl::Status TestLog::Append(std::string_view word) {
  return AppendTogether({std::string(word)});
}

absl::Status TestLog::Acknowledge() {
  const storage::SyncPoint point = log_->UnsyncedPoint();
  absl::Status synced;
  for (const auto& file : point.files) synced.Update(file->Sync());
  for (const std::string& directory : point.directories) synced.Update(files.SyncDirectory(directory));
  if (!synced.ok()) {
    log_->Fence(synced);
    return log_->fenced();
  }
  log_->MarkSynced(point);
  log_->Publish(point);
  return absl::OkStatus();
}

absl::Status TestLog::Draw(std::string_view picture) {
  std::istringstream words{std::string(picture)};
  for (std::string word; words >> word;) RETURN_IF_ERROR(word == "|" ? Acknowledge() : Append(word));
  return absl::OkStatus();
}

std::string TestLog::Readable(std::optional<Offset> from, std::uint64_t size_max) const {
  std::string picture;
  storage::ReadCursor cursor;
  cursor.offset = from.value_or(log_->offsets().start);
  for (;;) {
    const absl::StatusOr<storage::FileSlice> slice = log_->Read(cursor, size_max);
    if (CodeOf(slice.status()) == ErrorCode::kCorruptMessage) {
      Join(picture, "!");
      const Offset next = NextReadable(slice.status());
      cursor = storage::ReadCursor{};
      cursor.offset = next;
      continue;
    }
    if (!slice.ok()) return std::string(MessageOf(slice.status()));
    if (slice->length == 0) return picture;
    Join(picture, Words(*slice));
  }
}

std::string TestLog::ReadableByOffset() const {
  std::string picture;
  for (Offset next = log_->offsets().start; next < log_->offsets().high_watermark;) {
    storage::ReadCursor cursor;
    cursor.offset = next;
    const absl::StatusOr<storage::FileSlice> slice = log_->Read(cursor, 1);
    if (CodeOf(slice.status()) == ErrorCode::kCorruptMessage) {
      Join(picture, "!");
      next = NextReadable(slice.status());
      continue;
    }
    if (!slice.ok()) return std::string(MessageOf(slice.status()));
    Join(picture, Words(*slice));
    next = cursor.offset;
  }
  return picture;
}

std::string TestLog::PathOf(std::string_view name) const {
  return absl::StrCat(std::string(kDirectory), "/", std::string(name));
}

std::string TestLog::SegmentFile(Offset base_offset, std::string_view suffix) const {
  return storage::SegmentPath(std::string(kDirectory), base_offset, suffix);
}

std::string TestLog::Shape() const {
  std::string shape;
  for (const std::string& path : memory.Files()) {
    if (!path.starts_with(kDirectory) || !path.ends_with(".log")) continue;
    Join(shape,
         absl::StrCat(std::stoll(path.substr(kDirectory.size() + 1, 20)), ":", memory.Read(path).size()));
  }
  return shape;
}

std::vector<std::string> TestLog::Orphans() const {
  std::set<std::string> expected;
  for (const char* name : {"checkpoint", "producers", "leader_epochs", "start_offset", "compacted"})
    expected.insert(PathOf(name));
  std::vector<std::string> orphans;
  for (const std::string& path : memory.Files()) {
    if (path.ends_with(".log") && path.starts_with(kDirectory)) {
      const std::string stem = path.substr(0, path.size() - 3);
      for (const char* suffix : {"log", "index", "timeindex"}) expected.insert(stem + suffix);
    }
  }
  std::size_t segments = 0;
  for (const std::string& path : memory.Files()) {
    if (!path.starts_with(kDirectory)) continue;
    if (!expected.contains(path)) orphans.push_back(path);
    if (path.ends_with(".log")) ++segments;
  }
  if (segments != log_->segment_count()) orphans.push_back(absl::StrCat(segments, " segment files"));
  return orphans;
}

}  // namespace headrace::testing
