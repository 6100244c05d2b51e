// Sends a producer's batches.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "client/accumulator.h"
#include "client/connection.h"
#include "client/partition_queue.h"
#include "client/topic.h"

namespace headrace {

struct SenderOptions {
  ClientOptions client;
  ProducerOptions producer;
  TopicFacts topic;
};

// Asks the broker for a producer's identity: a new one, or the next epoch of `former`.
Result<ProducerIdentity> InitProducer(Connection& connection, const ProducerIdentity& former,
                                      TimePoint deadline, const Wakeup* cancel);

// The thread that takes batches from the accumulator, sends them, repeats them until they are settled, and
// reconnects. Owned by the producer; everything below Run belongs to the thread alone. Calls the messages'
// callbacks, holding no lock. Waits only in poll(2), each time with a deadline.
class Sender {
 public:
  // `wakeup` is signalled by the accumulator when there is something to do.
  Sender(SenderOptions options, Accumulator& accumulator, const Wakeup& wakeup,
         std::unique_ptr<Connection> connection, const ProducerIdentity& identity);
  ~Sender() { Stop(); }

  // Fails what is not settled with kClosed, and ends the thread. Thread: one, not the sender's own.
  void Stop();

 private:
  struct Request {
    std::vector<ProduceBatch*> batches;
    TimePoint deadline;
  };

  void Run();
  void Step();
  bool EnsureConnected(TimePoint now);
  void ReportOutage(const std::optional<Error>& why);
  void ReportRefusal(std::uint32_t partition, const Error& why);
  void LoseConnection(const Error& lost);

  void FailExpired(TimePoint now);
  void FailAll(const Error& error);
  void Fail(ProduceBatch& batch, const Error& error);

  void RenewIdentity();
  bool MayRenumber() const;
  TimePoint FillWindow(TimePoint now);
  std::vector<ProduceBatch*> BatchesToRepeat(TimePoint now);
  std::vector<ProduceBatch*> NewBatches(TimePoint now, TimePoint& linger_until);
  void SendRequest(std::vector<ProduceBatch*> batches, TimePoint now);

  Result<void> ReadAnswers();
  void HandleAnswer(const native::Frame& frame);
  void HandleAnswer(ProduceBatch& batch, const native::Error& error, std::int64_t base_offset, TimePoint now);
  // Without acknowledgements: what the broker took counts as delivered; why it refuses comes before the end.
  void SettleTaken(const std::vector<ProduceBatch*>& batches);
  void NoteRefusal(const native::Frame& frame);
  TimePoint NextTime(TimePoint linger_until) const;
  // At most `wait` from now, and no later than the first message, also one not sent yet, must be settled (or
  // a moment after).
  TimePoint DeadlineWithin(std::chrono::milliseconds wait) const;
  void NoteTrouble(const std::string& why);
  void Update(std::uint32_t partition);

  const SenderOptions options_;
  const std::size_t in_flight_max_;
  Accumulator& accumulator_;
  const Wakeup& wakeup_;
  Wakeup cancel_;
  std::atomic<bool> stopping_{false};

  std::shared_ptr<BufferPool> pool_;
  std::unique_ptr<Connection> connection_;
  ProducerIdentity identity_;
  std::vector<PartitionQueue> queues_;
  std::vector<bool> may_take_;                 // per partition: whether a new batch may follow
  std::set<std::uint32_t> repeating_;          // partitions with batches to be sent again
  std::set<std::uint32_t> renewing_;           // partitions that need a new epoch
  std::map<std::uint32_t, Request> requests_;  // by the correlation id of their answers
  std::optional<Error> refusal_;               // of a request without reply: the connection's end follows
  Backoff retry_backoff_;
  Backoff connect_backoff_;
  TimePoint connect_at_{};
  bool outage_ = false;                   // reported and not over
  std::optional<std::uint32_t> refused_;  // the partition it is about, unless the broker is out of reach
  TimePoint expire_at_{};
  std::string last_trouble_;  // for the message of a delivery timeout

  std::thread thread_;  // last: starts when all else is there
};

}  // namespace headrace
