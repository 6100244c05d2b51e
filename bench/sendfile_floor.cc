// The floor under a streamed consume: a bare sendfile loop on one side and, on the other, the client
// library's own work on the same bytes (a thread that receives each batch into a buffer of its size, another
// that checks its CRC and reads its records). What `headrace bench consume` costs beyond this is the broker's
// and the protocol's.
//
//   sendfile_floor [SIZE_MIB [RECORD_SIZE [BATCH_KIB [RUNS]]]]
//
// Prints one JSON line with the median run. The sender is a process of its own, as a broker is.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>

#include "client/buffer_pool.h"
#include "client/cli/offline/transfer_loops.h"
#include "client/push_decoder.h"
#include "protocol/core/error_code.h"
#include "protocol/core/mutex.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

using cli::offline::Descriptor;
using cli::offline::Way;

constexpr std::size_t kSendChunk = 1U << 20;  // the broker's largest slice of one push
constexpr std::size_t kPoolSize = 8U << 20;   // bytes of buffers that are kept
constexpr std::size_t kDecompressedMax = 64U << 20;
constexpr std::size_t kRecordsPerPoll = 1024;  // ConsumerOptions' default

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

// What was received and not yet read: one thread fills, another takes, as in the client library.
class Batches {
 public:
  // Waits for room. Nothing is the end.
  void Put(std::optional<PooledBuffer> batch) {
    core::MutexLock lock(mutex_);
    const auto has_room = [this] { return Held() < kHeldMax; };
    changed_.wait(mutex_, has_room);
    if (batch) held_ += batch->size();
    batches_.push_back(std::move(batch));
    changed_.notify_all();
  }
  // Waits for a batch.
  std::optional<PooledBuffer> Take() {
    core::MutexLock lock(mutex_);
    changed_.wait(mutex_, [this] { return Waiting() > 0; });
    std::optional<PooledBuffer> batch = std::move(batches_.front());
    batches_.pop_front();
    if (batch) held_ -= batch->size();
    changed_.notify_all();
    return batch;
  }

 private:
  static constexpr std::size_t kHeldMax = 8U << 20;  // bytes, as a consumer's window
  std::size_t Held() const HEADRACE_REQUIRES(mutex_) { return held_; }
  std::size_t Waiting() const HEADRACE_REQUIRES(mutex_) { return batches_.size(); }

  core::Mutex mutex_;
  core::ConditionVariable changed_;
  std::deque<std::optional<PooledBuffer>> batches_ HEADRACE_GUARDED_BY(mutex_);
  std::size_t held_ HEADRACE_GUARDED_BY(mutex_) = 0;
};

// Fills `into` with what each recv brings; false when the sender has closed before.
bool ReceiveInto(int socket, MutableByteSpan into) {
  while (!into.empty()) {
    const ssize_t got = ::recv(socket, into.data(), into.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

// Receives batch by batch until the sender closes, each straight into a buffer of its size.
void Receive(int socket, Batches& batches) {
  const auto pool = std::make_shared<BufferPool>(kPoolSize);
  std::array<std::byte, kBatchLengthEnd> start;
  while (ReceiveInto(socket, start)) {
    PooledBuffer batch = pool->Take(static_cast<std::size_t>(RecordBatchView::StatedSize(start)));
    std::copy(start.begin(), start.end(), batch.span().begin());
    if (!ReceiveInto(socket, batch.span().subspan(start.size()))) break;
    batches.Put(std::move(batch));
  }
  batches.Put(std::nullopt);
}

// Reads every record as a consumer's Poll does, with its own decoder.
Result<void> ConsumeAll(Batches& batches, Run& run) {
  PushDecoder decoder({"floor", true, kDecompressedMax, kRecordsPerPoll});
  Result<void> outcome;
  while (std::optional<PooledBuffer> batch = batches.Take()) {
    run.bytes += batch->size();
    if (!outcome) continue;  // after an error the sender must not wait for room
    ReceivedFrame push;
    push.frame.attachment = batch->span();
    push.storage = std::move(*batch);
    decoder.Start(std::move(push), 0, 0, std::numeric_limits<std::int64_t>::max());
    while (true) {
      const Result<std::span<const Record>> records = decoder.NextChunk();
      if (!records) outcome = records.error();
      if (!records || records->empty()) break;
      run.records += records->size();
    }
    decoder.Stop();
  }
  return outcome;
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
  Batches batches;
  std::thread receiver([&] { Receive(sockets.receiver.get(), batches); });
  const Result<void> received = ConsumeAll(batches, run);
  receiver.join();
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  int status = 0;
  ::waitpid(sender, &status, 0);
  if (!received) return absl::DataLossError(received.error().message);
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
