// A broker inside the test: speaks the native protocol's frames on a loopback port, keeps its log in memory,
// and misbehaves on request.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/connection.h"
#include "protocol/core/mutex.h"
#include "protocol/core/record_batch_builder.h"
#include "tests/support/fake_groups.h"

namespace headrace::test {

// What happens to one batch that a producer sends.
enum class Fault : std::uint8_t {
  kNone,
  kDropBeforeAppend,  // the connection is closed, the batch is not in the log
  kDropAfterAppend,   // the batch is in the log, the connection is closed without an answer
  kRefuseRetriable,   // kDiskFull
  kRefuseForGood,     // kInvalidRecord
  kTimeOutAppended,   // appended, but answered with kRequestTimedOut
  kForgetProducer,    // as after losing unsynced data: the producer's state is gone, the batch is refused by
                      // that
  kNoAnswer           // appended, never answered
};

// Checks sequences as the real one does: refuses gaps and recognises the last five batches. Thread rule: all
// calls from the test's thread; connections have threads of their own, which assert nothing.
class FakeBroker {
 public:
  using FaultPlan = std::function<Fault(std::uint32_t partition, std::int32_t first_sequence)>;

  explicit FakeBroker(std::uint32_t partitions = 1);
  ~FakeBroker();

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // Called under the broker's mutex, on its threads.
  void SetFaults(FaultPlan plan);
  // Closes all connections, and accepts none until Start. The log stays.
  void Stop();
  void Start();
  // As one that hangs: connections stay, and new ones are taken, but it says nothing, and forgets what it is
  // told meanwhile.
  void SetSilent(bool silent) { silent_.store(silent); }
  // Closes the connections that are open; new ones are welcome.
  void DropConnections() { CloseSessions(); }
  // Makes the topic another one under the old name.
  void RecreateTopic();

  void Append(std::uint32_t partition, const std::vector<std::string>& values,
              Compression compression = Compression::kNone);
  // Changes a byte of the records of the batch at `offset`.
  void Damage(std::uint32_t partition, std::int64_t offset);
  // Changes what that batch says of itself, so that its end cannot be told.
  void DamageSize(std::uint32_t partition, std::int64_t offset);
  void TrimTo(std::uint32_t partition, std::int64_t offset);

  std::vector<std::string> Values(std::uint32_t partition) const;
  std::vector<std::size_t> BatchSizes(std::uint32_t partition) const;
  std::size_t connections_accepted() const { return accepted_.load(); }
  std::size_t frames_received() const { return frames_.load(); }
  // Bytes pushed to consumers, and the most that a stream was ever ahead of its credit's return.
  std::uint64_t pushed_bytes() const { return pushed_.load(); }
  std::uint64_t credit_requests() const { return credit_requests_.load(); }
  std::map<std::pair<std::string, std::uint32_t>, std::int64_t> committed() const;
  // Sets a group's position, as an administrator does.
  void SetCommitted(const std::string& group, std::uint32_t partition, std::int64_t offset);
  // A batch as compaction leaves it: of the `count` offsets it covers, only those named have a record.
  void AppendCompacted(std::uint32_t partition, std::int32_t count, const std::vector<std::int32_t>& kept);
  FakeGroups& groups() { return groups_; }

 private:
  struct Stored {
    std::int64_t offset;
    std::int32_t count;
    std::vector<std::byte> bytes;
  };
  struct Producer {
    std::int16_t epoch = -1;
    std::int32_t next = 0;
    std::vector<std::pair<std::int32_t, std::int64_t>> last;  // first sequence and offset of the last five
  };
  struct Partition {
    std::int64_t start = 0;
    std::int64_t end = 0;
    std::vector<Stored> batches;
    std::map<std::int64_t, Producer> producers;
  };
  struct Stream {
    std::uint32_t id = 0;
    std::int64_t credit = 0;
    std::vector<std::pair<std::uint32_t, std::int64_t>> positions;  // partition, offset; -1 once ended
  };
  struct Session {
    FileDescriptor fd;
    Wakeup wakeup;
    std::vector<Stream> streams;
    std::string output;
    std::atomic<bool> dropped{false};
    std::thread thread;
  };

  void Accept();
  void Serve(Session& session);
  bool HandleFrame(Session& session, native::Frame frame);
  bool HandleProduce(Session& session, const native::Frame& frame);
  bool HandleTopics(Session& session, const native::Frame& frame);
  bool HandleOffsets(Session& session, const native::Frame& frame);
  bool HandleGroup(Session& session, const native::Frame& frame);
  bool HandleStreams(Session& session, const native::Frame& frame);
  // Fills the answer; false if the connection is to be dropped.
  bool AppendProduced(std::uint32_t partition, MutableByteSpan bytes,
                      native::ProduceResponse::Partition& answer, bool& silent) HEADRACE_REQUIRES(mutex_);
  std::optional<int> CheckSequence(Partition& partition, const RecordBatchView& batch,
                                   native::ProduceResponse::Partition& answer) HEADRACE_REQUIRES(mutex_);
  void Store(Partition& partition, MutableByteSpan bytes) HEADRACE_REQUIRES(mutex_);
  void Pump(Session& session);
  void CloseSessions();
  void WakeSessions();

  FakeGroups groups_;
  std::uint16_t port_ = 0;
  FileDescriptor listener_;
  Wakeup stop_;
  std::thread accept_thread_;
  std::atomic<bool> silent_{false};
  std::atomic<std::size_t> accepted_{0};
  std::atomic<std::size_t> frames_{0};
  std::atomic<std::uint64_t> pushed_{0};
  std::atomic<std::uint64_t> credit_requests_{0};

  mutable core::Mutex mutex_;
  std::list<Session> sessions_ HEADRACE_GUARDED_BY(mutex_);
  std::vector<Partition> partitions_ HEADRACE_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::uint32_t>, std::int64_t> committed_ HEADRACE_GUARDED_BY(mutex_);
  FaultPlan faults_ HEADRACE_GUARDED_BY(mutex_);
  std::string topic_id_ HEADRACE_GUARDED_BY(mutex_) = "0123456789abcdef";
  std::int64_t next_producer_id_ HEADRACE_GUARDED_BY(mutex_) = 1;
};

}  // namespace headrace::test
