// Receives a consumer's stream.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "client/backoff.h"
#include "client/connection.h"
#include "client/consumer_start.h"
#include "client/group_member.h"
#include "client/topic.h"
#include "headrace/consumer.h"
#include "protocol/core/mutex.h"

namespace headrace {

// What the receiver hands over: a push, or the error that ended the stream of one partition.
struct StreamEvent {
  std::size_t slot = 0;  // the partition's place among the consumer's
  ReceivedFrame push;
  std::int64_t high_watermark = -1;
  std::optional<Error> error;
};

struct ReceiverOptions {
  ClientOptions client;
  TopicFacts topic;
  std::size_t window_size = 1;
  std::chrono::milliseconds unreachable_after{0};
};

// The thread that receives pushes into a queue bounded by the stream's credit, returns credit, reconnects,
// opens the stream again where the decoder had come, and carries a membership in a group out, if there is
// one. Asks a silent broker for a sign of life, since a stream without records looks like one whose broker
// hangs. Owned by the consumer, whose caller takes events out. Never decodes, and waits only in poll(2), each
// time with a deadline.
class Receiver {
 public:
  // What is known of a partition.
  struct Slot {
    std::uint32_t partition = 0;
    std::int64_t resume_offset = 0;  // the next record to be decoded
    std::int64_t start_offset = -1;
    std::int64_t high_watermark = -1;
    bool ended = false;  // an error ended it: not in the stream until Seek
  };

  Receiver(ReceiverOptions options, const std::vector<StartingPoint>& points,
           std::shared_ptr<BufferPool> pool, std::unique_ptr<Connection> connection,
           std::optional<GroupMember> member = std::nullopt);
  ~Receiver() { Stop(); }

  // The caller's side. Thread: one, not the receiver's own; Interrupt from any, also a signal handler.
  //
  // The next event; nullopt at the deadline, or with news of the group. kInterrupted; kNetwork when the
  // broker has been out of reach for long. After an event with an error, its slot has ended.
  Result<std::optional<StreamEvent>> Next(TimePoint deadline) HEADRACE_EXCLUDES(mutex_);
  // `size` bytes of pushes are no longer held; the slot has been decoded up to `offset`.
  void Release(std::size_t size) HEADRACE_EXCLUDES(mutex_);
  void Advance(std::size_t slot, std::int64_t offset) HEADRACE_EXCLUDES(mutex_);
  // Takes the slot out of the stream until Seek.
  void End(std::size_t slot) HEADRACE_EXCLUDES(mutex_);
  // Opens the stream again with this slot at `offset`; events not taken yet are dropped (and come again).
  void Seek(std::size_t slot, std::int64_t offset) HEADRACE_EXCLUDES(mutex_);
  Slot slot(std::size_t slot) const HEADRACE_EXCLUDES(mutex_);
  // Sends a request over the stream's connection and waits for the answer.
  Result<void> Ask(native::FrameType type, const google::protobuf::MessageLite& request,
                   google::protobuf::MessageLite& response, TimePoint deadline) HEADRACE_EXCLUDES(mutex_);
  void Interrupt() noexcept;
  void Stop();

  // The caller's side of a membership (receiver_group.cc). REQUIRES: there is one.
  //
  // Notes that the caller is alive; true if NextGroupEvent has something. Cheap enough for every record.
  bool Poll() noexcept;
  std::optional<GroupEvent> NextGroupEvent() HEADRACE_EXCLUDES(mutex_);
  // Nullopt if that partition is not read.
  std::optional<Slot> Find(std::uint32_t partition) const HEADRACE_EXCLUDES(mutex_);
  // Reads these partitions from now on and no others; events not taken yet are dropped (and come again).
  void Replace(const std::vector<StartingPoint>& points) HEADRACE_EXCLUDES(mutex_);
  // Commits `positions` in the background, then tells the broker that `partitions` are given up.
  void Release(const std::vector<std::uint32_t>& partitions, const Positions& positions)
      HEADRACE_EXCLUDES(mutex_);
  // Commits in the background; a failure is an event.
  void StartCommit(const Positions& positions) HEADRACE_EXCLUDES(mutex_);
  // Commits and waits for the answer.
  Result<void> Commit(const Positions& positions, TimePoint deadline) HEADRACE_EXCLUDES(mutex_);
  bool settled() const HEADRACE_EXCLUDES(mutex_);
  // Leaves the group after what is still to be committed; returns at the deadline all the same, and at once
  // if the broker is out of reach.
  void Leave(TimePoint deadline) HEADRACE_EXCLUDES(mutex_);

 private:
  // A request of Ask; lives on the asking thread's stack, and is reached under the mutex alone.
  struct Question {
    native::FrameType type;
    const google::protobuf::MessageLite* request;
    google::protobuf::MessageLite* response;
    std::uint32_t id = 0;  // 0: not sent yet
    std::optional<Result<void>> result;
  };

  void Run();
  void Step();
  bool EnsureConnected(TimePoint now);
  void LoseConnection(const Error& why) HEADRACE_EXCLUDES(mutex_);
  void ReportTrouble(TimePoint now) HEADRACE_EXCLUDES(mutex_);
  // Asks a broker that has been silent for long for a sign of life; returns when to look again.
  TimePoint AskIfSilent(TimePoint now);
  // kNetwork if it gave none.
  Result<void> CheckSilence(TimePoint now);
  TimePoint SendDue(TimePoint now) HEADRACE_EXCLUDES(mutex_);
  void Subscribe() HEADRACE_REQUIRES(mutex_);
  // Has the thread open the stream again, from the slots' offsets.
  void Renew() HEADRACE_REQUIRES(mutex_);
  void DropEvents() HEADRACE_REQUIRES(mutex_);
  Result<void> ReadFrames();
  Result<void> HandleFrame(ReceivedFrame received) HEADRACE_EXCLUDES(mutex_);
  Result<void> HandlePush(ReceivedFrame received) HEADRACE_REQUIRES(mutex_);
  Result<void> HandleStreamEnd(const native::Frame& frame) HEADRACE_REQUIRES(mutex_);
  Result<void> HandleSubscribed(const native::Frame& frame) HEADRACE_REQUIRES(mutex_);
  void HandleEnd(std::size_t slot, const native::Error& error, std::int64_t start_offset,
                 std::int64_t high_watermark) HEADRACE_REQUIRES(mutex_);
  void Enqueue(StreamEvent event) HEADRACE_REQUIRES(mutex_);
  void SignalNews() HEADRACE_REQUIRES(mutex_);
  // Sends what the membership has to say; returns when it has more.
  TimePoint SendForGroup(TimePoint now) HEADRACE_REQUIRES(mutex_);
  // kNetwork if the broker leaves a heartbeat unanswered.
  Result<void> CheckHeartbeat(TimePoint now) HEADRACE_EXCLUDES(mutex_);
  // Whether the frame was an answer to the membership.
  bool HandleGroupAnswer(const native::Frame& frame) HEADRACE_REQUIRES(mutex_);

  const ReceiverOptions options_;
  const std::size_t credit_step_;  // bytes: so much released is worth a request
  const std::chrono::milliseconds silence_max_;
  Wakeup wakeup_;     // of the receiver's thread
  Wakeup cancel_;     // likewise, once and for all
  Wakeup news_;       // of the caller
  Wakeup interrupt_;  // likewise
  std::atomic<bool> interrupted_{false};
  std::atomic<bool> stopping_{false};

  // Of the thread alone.
  std::shared_ptr<BufferPool> pool_;
  std::unique_ptr<Connection> connection_;
  Backoff connect_backoff_;
  TimePoint connect_at_{};
  std::optional<TimePoint> report_at_;  // while the broker is out of reach
  std::uint64_t bytes_heard_ = 0;       // of connection_
  TimePoint heard_at_{};
  std::optional<TimePoint> asked_at_;  // for a sign of life, since it was heard
  std::uint32_t stream_ = 0;           // 0: none is open
  std::vector<std::size_t> stream_slots_;
  TimePoint renew_at_ = TimePoint::max();  // when to open the stream again after a passing error
  bool again_ = false;                     // an answer has made something due

  mutable core::Mutex mutex_;
  core::ConditionVariable answered_;
  std::vector<Slot> slots_ HEADRACE_GUARDED_BY(mutex_);
  std::deque<StreamEvent> events_ HEADRACE_GUARDED_BY(mutex_);
  bool caller_waits_ HEADRACE_GUARDED_BY(mutex_) = false;
  bool renew_ HEADRACE_GUARDED_BY(mutex_) = true;         // the stream must be opened (again)
  std::size_t held_ HEADRACE_GUARDED_BY(mutex_) = 0;      // bytes of pushes not released
  std::size_t released_ HEADRACE_GUARDED_BY(mutex_) = 0;  // bytes of credit not returned yet
  std::optional<Error> trouble_ HEADRACE_GUARDED_BY(mutex_);
  Question* question_ HEADRACE_GUARDED_BY(mutex_) = nullptr;
  bool connected_ HEADRACE_GUARDED_BY(mutex_) = false;
  std::optional<GroupMember> member_ HEADRACE_GUARDED_BY(mutex_);
  // Of the membership's requests under way, by their kind; 0: none.
  std::array<std::uint32_t, std::variant_size_v<GroupMember::Request>> group_ids_
      HEADRACE_GUARDED_BY(mutex_){};
  std::atomic<bool> polled_{false};
  std::atomic<bool> in_poll_{false};
  std::atomic<bool> group_news_{false};

  std::thread thread_;  // last: starts when all else is there
};

}  // namespace headrace
