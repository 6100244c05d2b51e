// The caller's side of a consumer.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/connection.h"
#include "client/deadline.h"
#include "client/push_decoder.h"
#include "client/receiver.h"
#include "headrace/consumer.h"

namespace headrace {

inline constexpr std::chrono::milliseconds kCloseWait{5'000};  // for the broker to hear that a member leaves

// Positions, the push being decoded, and the chunk of it being handed out. Owned by the Consumer; its
// caller's thread alone.
class Consumer::Impl {
 public:
  Impl(ReceiverOptions receiver, ConsumerOptions options, const std::vector<StartingPoint>& points,
       std::shared_ptr<BufferPool> pool, std::unique_ptr<Connection> connection,
       std::optional<GroupMember> member);
  // Leaves a group; commits then only what was handed out before the last Poll or Next.
  ~Impl() { Close(nullptr, DeadlineAfter(kCloseWait)); }

  Result<Records> Poll(Consumer& consumer, TimePoint deadline);
  Result<const Record*> Next(Consumer& consumer, TimePoint deadline);
  Result<void> Seek(std::uint32_t partition, std::int64_t offset);
  Result<void> Skip(std::uint32_t partition, std::int64_t offset);
  Result<void> Commit(const Positions& offsets);
  // With `consumer` null, nobody is told of what is given up.
  void Close(Consumer* consumer, TimePoint deadline);

  std::optional<std::size_t> FindSlot(std::uint32_t partition) const;
  std::vector<PartitionPosition> positions() const;
  bool caught_up() const;

  const ConsumerOptions options;
  const std::string topic;
  std::optional<Error> error;  // of the last iteration
  bool closed = false;
  Receiver receiver;

 private:
  friend class Consumer;
  struct Partition {
    std::uint32_t number = 0;
    std::int64_t position = 0;
    std::int64_t start_at_connect = 0;
    std::int64_t end_at_connect = 0;
    std::int64_t processed = 0;                       // handed out by a call before the present one
    std::int64_t committed = -1;                      // of a group, as far as is known here
    std::optional<Error> error;                       // until Seek
    std::optional<std::int64_t> offset_after_damage;  // where Skip goes
  };

  // Every Poll and Next of a group's member begins here: what was handed out counts as processed, and the
  // group has its turn.
  Result<void> Begin(Consumer& consumer);
  // Makes chunk_ the next records, or leaves it empty at the deadline and at the end.
  Result<void> Fetch(Consumer& consumer, TimePoint deadline);
  Result<bool> Decode();
  void EndPartition(std::size_t slot, const Error& why);
  void StartDecoding(StreamEvent event);
  void FinishChunk();
  void StopDecoding();
  bool HasEnded() const;
  // A partition begins at this point, or with the error that there is no such place.
  void Add(const StartingPoint& point);
  // Whether its position may be committed: not one that the broker does not have.
  static bool MayCommit(const Partition& partition);
  Result<std::size_t> SlotOf(std::uint32_t partition) const;
  Result<void> CommitNamed(const Positions& offsets);

  // Of a group (consumer_group.cc).
  Result<void> FollowGroup(Consumer& consumer);
  void Apply(Consumer& consumer, const GroupEvent& event);
  void Give(const std::vector<StartingPoint>& points);
  void Take(const std::vector<std::uint32_t>& partitions);
  void ReplaceStream();
  void Tell(Consumer& consumer, GroupChange::Kind kind, const std::vector<std::uint32_t>& partitions);
  // What auto-commit has to commit; of these partitions alone, if any are named.
  Positions Uncommitted(const std::vector<std::uint32_t>& partitions = {});
  void LeaveGroup(Consumer* consumer, TimePoint deadline);

  const std::string topic_id_;
  const std::chrono::milliseconds request_timeout_;
  const bool grouped_;
  std::vector<Partition> partitions_;
  PushDecoder decoder_;
  std::size_t slot_ = 0;  // of the push being decoded, and of the chunk
  std::int64_t high_watermark_ = -1;
  std::span<const Record> chunk_;  // what is left of it
  std::int64_t chunk_end_ = 0;     // position after the chunk
  bool handed_out_ = false;        // records of slot_, which are being processed
  bool in_callback_ = false;
  std::optional<Error> group_failure_;
};

}  // namespace headrace
