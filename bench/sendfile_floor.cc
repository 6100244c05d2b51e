// The floor under a streamed consume: a bare sendfile loop on one side and, on the other, a receiver that
// does a consumer's work on the same bytes (finds the batches, checks each CRC, reads each record). What
// `headrace bench consume` costs beyond this is the broker's and the client library's own.
//
//   sendfile_floor [SIZE_MIB [RECORD_SIZE [BATCH_KIB [RUNS]]]]
//
// Prints one JSON line with the median run. The sender is a process of its own, as a broker is.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>

#include "client/cli/offline/transfer_loops.h"
#include "protocol/core/error_code.h"
#include "protocol/core/mutex.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

using cli::offline::Descriptor;
using cli::offline::Way;

constexpr std::size_t kSendChunk = 1U << 20;    // the broker's largest slice of one push
constexpr std::size_t kReceiveSize = 1U << 20;  // bytes of one recv at most

struct Shape {
  std::uint64_t size = 1024ULL << 20;
  std::size_t record_size = 1024;
  std::size_t batch_size = 1U << 20;
  int runs = 5;
};

struct Run {
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  double seconds = 0;
};

absl::StatusOr<std::vector<std::byte>> MakeBatch(const Shape& shape) {
  std::string value(shape.record_size, ' ');
  std::uint32_t state = 1;
  for (char& c : value) c = static_cast<char>('!' + (state = state * 1664525U + 1013904223U) / (1U << 26));
  RecordView record;
  record.value = AsBytes(value);
  RecordBatchBuilder builder;
  while (builder.empty() || builder.size() + RecordBatchBuilder::RecordSizeMax(record) <= shape.batch_size) {
    builder.Add(record);
  }
  return builder.Build();
}

// Whole batches of about `shape.size` bytes; returns their exact size.
absl::StatusOr<std::uint64_t> FillFile(int file, const Shape& shape) {
  ASSIGN_OR_RETURN(const std::vector<std::byte> batch, MakeBatch(shape));
  std::uint64_t size = 0;
  for (; size < shape.size; size += batch.size()) RETURN_IF_ERROR(cli::offline::WriteAll(file, batch));
  RETURN_IF_ERROR(cli::offline::Warm(file, size));
  return size;
}

// Reads the whole batches at the front of `bytes` as a consumer does; returns their size.
absl::StatusOr<std::size_t> Consume(ByteSpan bytes, Run& run) {
  std::size_t taken = 0;
  while (bytes.size() - taken >= kBatchHeaderSize) {
    auto batch = RecordBatchView::Parse(bytes.subspan(taken));
    if (batch.status().code() == absl::StatusCode::kOutOfRange) break;
    if (!batch.ok()) return batch.status();
    RETURN_IF_ERROR(batch->CheckCrc());
    ASSIGN_OR_RETURN(RecordIterator records, RecordIterator::Open(*batch, bytes.size()));
    while (records.Next()) ++run.records;
    RETURN_IF_ERROR(records.status());
    taken += batch->size();
  }
  return taken;
}

// What was received and not yet read: one thread fills, another takes, as in the client library.
class Pieces {
 public:
  // Waits for room. An empty piece is the end.
  void Put(std::vector<std::byte> piece) {
    core::MutexLock lock(mutex_);
    changed_.wait(mutex_, [this] { return Held() < kHeldMax; });
    pieces_.push_back(std::move(piece));
    changed_.notify_all();
  }
  // Waits for a piece.
  std::vector<std::byte> Take() {
    core::MutexLock lock(mutex_);
    changed_.wait(mutex_, [this] { return Held() > 0; });
    std::vector<std::byte> piece = std::move(pieces_.front());
    pieces_.pop_front();
    changed_.notify_all();
    return piece;
  }
  // A piece that was read, for its memory.
  void GiveBack(std::vector<std::byte> piece) {
    core::MutexLock lock(mutex_);
    spare_.push_back(std::move(piece));
  }
  std::vector<std::byte> Spare() {
    core::MutexLock lock(mutex_);
    if (spare_.empty()) return {};
    std::vector<std::byte> piece = std::move(spare_.back());
    spare_.pop_back();
    return piece;
  }

 private:
  static constexpr std::size_t kHeldMax = 8;
  std::size_t Held() const HEADRACE_REQUIRES(mutex_) { return pieces_.size(); }

  core::Mutex mutex_;
  core::ConditionVariable changed_;
  std::deque<std::vector<std::byte>> pieces_ HEADRACE_GUARDED_BY(mutex_);
  std::vector<std::vector<std::byte>> spare_ HEADRACE_GUARDED_BY(mutex_);
};

// Receives until the sender closes, in pieces that are filled whole.
void Receive(int socket, Pieces& pieces) {
  while (true) {
    std::vector<std::byte> piece = pieces.Spare();
    piece.resize(kReceiveSize);
    const ssize_t got = ::recv(socket, piece.data(), piece.size(), MSG_WAITALL);
    piece.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    const bool ended = piece.empty();
    pieces.Put(std::move(piece));
    if (ended) return;
  }
}

// Moves bytes from the front of `rest` behind `split` until that is a whole batch or `rest` is empty.
void Complete(std::vector<std::byte>& split, ByteSpan& rest) {
  while (!rest.empty()) {
    const bool sized = split.size() >= kBatchLengthEnd;
    const std::size_t wanted =
        sized ? static_cast<std::size_t>(RecordBatchView::StatedSize(split)) : kBatchLengthEnd;
    if (split.size() >= wanted) return;
    const std::size_t moved = std::min(wanted - split.size(), rest.size());
    split.insert(split.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(moved));
    rest = rest.subspan(moved);
  }
}

// Reads a piece in place; only a batch that two pieces share is copied, to be put together in `split`.
absl::Status ConsumePiece(ByteSpan rest, std::vector<std::byte>& split, Run& run) {
  if (!split.empty()) {
    Complete(split, rest);
    ASSIGN_OR_RETURN(const std::size_t taken, Consume(split, run));
    if (taken == 0) return absl::OkStatus();
    split.clear();
  }
  ASSIGN_OR_RETURN(const std::size_t taken, Consume(rest, run));
  split.assign(rest.begin() + static_cast<std::ptrdiff_t>(taken), rest.end());
  return absl::OkStatus();
}

absl::Status ConsumeAll(Pieces& pieces, Run& run) {
  std::vector<std::byte> split;
  absl::Status status;
  while (true) {
    std::vector<std::byte> piece = pieces.Take();
    if (piece.empty()) break;
    run.bytes += piece.size();
    if (status.ok())
      status = ConsumePiece(piece, split, run);  // after an error the sender must not wait for room
    pieces.GiveBack(std::move(piece));
  }
  if (status.ok() && !split.empty()) return absl::DataLossError("bytes were left over");
  return status;
}

absl::StatusOr<Run> RunOnce(int file, std::uint64_t size) {
  ASSIGN_OR_RETURN(cli::offline::SocketPair sockets, cli::offline::ConnectLoopback());
  const auto start = std::chrono::steady_clock::now();
  const pid_t sender = ::fork();
  if (sender < 0) return absl::InternalError("fork failed");
  if (sender == 0) {
    const auto sent = cli::offline::SendFile(Way::kSendfile, file, sockets.sender.get(), size, kSendChunk);
    ::_exit(sent.ok() ? 0 : 1);
  }
  sockets.sender.Reset();
  Run run;
  Pieces pieces;
  std::thread receiver([&] { Receive(sockets.receiver.get(), pieces); });
  const absl::Status received = ConsumeAll(pieces, run);
  receiver.join();
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  int status = 0;
  ::waitpid(sender, &status, 0);
  RETURN_IF_ERROR(received);
  if (status != 0 || run.bytes != size) return absl::InternalError("the sender stopped early");
  return run;
}

absl::StatusOr<Run> MedianRun(const Shape& shape) {
  const char* const temporary = std::getenv("TMPDIR");
  ASSIGN_OR_RETURN(const Descriptor file,
                   cli::offline::CreateTemporaryFile(temporary != nullptr ? temporary : "/tmp"));
  ASSIGN_OR_RETURN(const std::uint64_t size, FillFile(file.get(), shape));
  std::vector<Run> runs;
  for (int i = 0; i < shape.runs; ++i) {
    ASSIGN_OR_RETURN(const Run run, RunOnce(file.get(), size));
    runs.push_back(run);
  }
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.seconds < b.seconds; });
  return runs[runs.size() / 2];
}

int Main(int argc, char** argv) {
  const auto number = [&](int index, std::uint64_t otherwise) {
    return argc > index ? std::strtoull(argv[index], nullptr, 10) : otherwise;
  };
  Shape shape;
  shape.size = number(1, 1024) << 20;
  shape.record_size = number(2, 1024);
  shape.batch_size = number(3, 1024) << 10;
  shape.runs = static_cast<int>(number(4, 5));
  if (shape.size == 0 || shape.record_size == 0 || shape.batch_size == 0 || shape.runs <= 0) {
    std::fprintf(stderr, "usage: sendfile_floor [SIZE_MIB [RECORD_SIZE [BATCH_KIB [RUNS]]]]\n");
    return 2;
  }
  const auto run = MedianRun(shape);
  if (!run.ok()) {
    std::fprintf(stderr, "sendfile_floor: %s\n", std::string(MessageOf(run.status())).c_str());
    return 1;
  }
  std::printf(
      "{\"bench\":\"sendfile_floor\",\"bytes\":%llu,\"records\":%llu,\"seconds\":%.4f,\"bytes_per_second\":%."
      "0f,"
      "\"records_per_second\":%.0f,\"record_size\":%zu,\"batch_size_max\":%zu,\"runs\":%d}\n",
      static_cast<unsigned long long>(run->bytes), static_cast<unsigned long long>(run->records),
      run->seconds, static_cast<double>(run->bytes) / run->seconds,
      static_cast<double>(run->records) / run->seconds, shape.record_size, shape.batch_size, shape.runs);
  return 0;
}

}  // namespace
}  // namespace headrace

int main(int argc, char** argv) {
  return headrace::Main(argc, argv);
}
