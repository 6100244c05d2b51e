// Logs drawn as pictures: a word is a batch, a letter is a record, a bar is an acknowledgement.
//
//   TestLog log;
//   log.Draw("ab c | d");          // "ab" and "c" are synced and readable, "d" is only written
//   CHECK(log.Readable() == "ab c");
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/io/file_cache.h"
#include "storage/log.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace headrace::testing {

// One log in a directory of a file system in memory, which can fail and crash. Single-threaded, but for
// log() itself.
class TestLog {
 public:
  static constexpr std::string_view kDirectory = "/data/topics/0123456789abcdef/0";
  static constexpr std::string_view kQuarantine = "/data/quarantine";

  TestLog();
  // With segments of at most `segment_size_max` bytes.
  explicit TestLog(std::uint64_t segment_size_max);

  // Every record's value is its letter and as many dots as needed for this size.
  void SetValueSize(std::size_t size) { value_size_ = size; }

  // Appends and acknowledges as drawn. The first failure ends it.
  absl::Status Draw(std::string_view picture);
  absl::Status Append(std::string_view word);
  // Appends several batches at once.
  absl::Status AppendTogether(const std::vector<std::string>& words);
  // Syncs and publishes all that is written, as the flusher does. On a failure the log is fenced.
  absl::Status Acknowledge();

  // What readers see from the start (or from `from`): words, and "!" for a damaged range. Reads batch by
  // batch.
  std::string Readable(std::optional<Offset> from = std::nullopt, std::uint64_t size_max = 1) const;
  // The same with a lookup for every batch instead of a cursor.
  std::string ReadableByOffset() const;
  // Base offsets of the segments in the directory and the sizes of their files, such as "0:140 2:70".
  std::string Shape() const;
  // Names in the log's directory that no part of the log accounts for.
  std::vector<std::string> Orphans() const;

  // Opens what is there, without a summary.
  absl::Status Recover();
  // Opens what Close has left.
  absl::Status OpenClean();
  // An orderly stop and start.
  absl::Status Restart();
  absl::Status Close();
  // The process dies, or the power does; the log is not opened.
  void CrashProcess();
  void CrashPower(std::uint64_t seed);
  void SetOptions(const storage::LogOptions& options);
  absl::Status Trim(Offset offset) { return log_->Trim(offset, writer_); }
  absl::StatusOr<std::size_t> ApplyRetention() { return log_->ApplyRetention(writer_); }

  storage::Log& log() { return *log_; }
  const storage::Log& log() const { return *log_; }
  storage::LogOffsets offsets() const { return log_->offsets(); }
  // The letter of every offset that an append was ever tried with, from 0; the last one tried.
  const std::string& letters() const { return letters_; }
  const storage::RecoveryReport& report() const { return report_; }
  const std::vector<std::string>& findings() const { return findings_; }
  const std::optional<storage::LogSummary>& summary() const { return summary_; }
  storage::LogOptions options() const { return options_; }

  std::string PathOf(std::string_view name) const;
  // The path of the segment at `base_offset`.
  std::string SegmentFile(Offset base_offset, std::string_view suffix = "log") const;
  std::vector<std::byte> Bytes(const std::string& path) const { return memory.Read(path); }
  std::vector<std::byte> MakeWord(std::string_view word, Offset base_offset) const;

  MemoryFileSystem memory;
  FaultyFileSystem files{memory};
  FakeClock clock;
  LeaderEpoch epoch = 0;
  TimestampMs timestamp = 1'000;  // of the next batch
  TimestampMs timestamp_step = 10;
  ProducerId producer_id = kNoProducerId;
  std::int32_t next_sequence = 0;
  std::string inside;  // stands in every value, behind its letter

 private:
  absl::Status Open(const std::optional<storage::LogSummary>& summary);

  std::string letters_;
  std::size_t value_size_ = 1;
  storage::LogOptions options_;
  int boot_ = 1;
  std::unique_ptr<storage::FileCache> cache_;
  std::unique_ptr<storage::LogEnvironment> environment_;
  std::unique_ptr<storage::Log> log_;
  core::Mutex writer_;
  std::optional<storage::LogSummary> summary_;
  storage::RecoveryReport report_;
  std::vector<std::string> findings_;
};

}  // namespace headrace::testing
