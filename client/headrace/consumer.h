// Reads the messages of one topic, as the broker streams them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "headrace/client.h"

namespace headrace {

// Where a consumer begins.
struct Start {
  enum class Kind : std::uint8_t { kBeginning, kEnd, kOffset, kTimestamp, kCommitted };
  Kind kind = Kind::kBeginning;
  std::int64_t value = 0;  // kOffset: the offset, of every partition; kTimestamp: ms since the Unix epoch
  // kCommitted: where a partition begins for which nothing is committed; kBeginning or kEnd.
  Kind otherwise = Kind::kBeginning;

  static Start Beginning() { return {}; }
  static Start End() { return {Kind::kEnd, 0, Kind::kEnd}; }
  static Start At(std::int64_t offset) { return {Kind::kOffset, offset, Kind::kBeginning}; }
  // The first record whose timestamp is at least this; the end if there is none.
  static Start AtTime(std::int64_t timestamp_ms) { return {Kind::kTimestamp, timestamp_ms, Kind::kEnd}; }
  static Start Committed(Kind otherwise = Kind::kBeginning) { return {Kind::kCommitted, 0, otherwise}; }
};

class Consumer;

// How the partitions that a member of a group reads have changed.
struct GroupChange {
  enum class Kind : std::uint8_t {
    kAssigned,  // they are read from now on, from position()
    kRevoked,   // they are given up after this: the last moment to commit them
    kLost,      // they are others' already, because the broker gave this member up: a commit would be refused
  };
  Kind kind{};
  std::span<const std::uint32_t> partitions;
};

struct ConsumerOptions {
  std::string name;                       // under which Commit keeps positions; needed by kCommitted
  std::vector<std::uint32_t> partitions;  // empty: all
  Start start;
  std::map<std::uint32_t, std::int64_t> offsets;  // partitions that begin elsewhere than at `start`
  // Bytes of batches the broker may send ahead of Poll. Memory in use is at most this and one batch or 1 MiB.
  std::size_t window_size = 8U << 20;
  std::size_t poll_records_max = 1'024;  // records of one Poll
  bool check_crc = true;
  std::size_t decompressed_size_max = 128U << 20;  // bytes of one batch
  // A broker that cannot be reached, or does not answer, is an error of Poll after about this long, and again
  // after each such time; attempts to reconnect go on meanwhile.
  std::chrono::milliseconds unreachable_after{15'000};
  // Poll says `ended`, and iteration ends, where the partitions ended when Connect asked (of a group: when
  // they were assigned).
  bool stop_at_end = false;

  // Joins this group: the broker shares the topic's partitions out among its members, and keeps one position
  // for each partition, where whoever reads it next begins. Where nothing is committed, `start` says where.
  // Then `name`, `partitions` and `offsets` must be empty. Members may be of other topics, or of Kafka's
  // clients with the consumer protocol (KIP-848); one consumer reads one topic.
  std::string group;
  // Of a static member: who comes back under the same id within the session gets its partitions again, and
  // meanwhile nobody does. One at a time.
  std::string instance_id;
  std::string assignor;  // "uniform" or "range"; empty: the broker's default
  // What earlier calls of Poll and Next have handed out is committed so often, when a partition is revoked,
  // and by Close. 0: by Commit alone.
  std::chrono::milliseconds commit_interval{5'000};
  // Who does not poll for longer leaves the group, so that others get on; the next Poll joins again. Also how
  // long a partition that is revoked may take to be given up.
  std::chrono::milliseconds max_poll_interval{300'000};
  // Called within Poll, Next and Close, on the caller's thread. It may commit and ask for positions, not
  // poll.
  std::function<void(Consumer&, const GroupChange&)> on_change;
};

// A record; its views hold until the next call of Poll, Next, Seek or Close, or the next step of iteration.
struct Record {
  std::uint32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = 0;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::span<const Header> headers;
};

// What Poll found: records of one partition in the order of their offsets, or nothing.
struct Records {
  std::uint32_t partition = 0;
  std::int64_t high_watermark = -1;  // of the partition, as the broker last said
  bool ended = false;                // with stop_at_end: all partitions were read to their end; no records
  std::span<const Record> records;

  bool empty() const { return records.empty(); }
  std::size_t size() const { return records.size(); }
  auto begin() const { return records.begin(); }
  auto end() const { return records.end(); }
};

// How far a consumer is in one partition.
struct PartitionPosition {
  std::uint32_t partition = 0;
  std::int64_t position = 0;         // of the next record to be handed out
  std::int64_t start_offset = -1;    // as the broker last said
  std::int64_t high_watermark = -1;  // likewise: the offset after the last record that can be read
  std::int64_t end_at_connect = -1;  // the high watermark when Connect asked
};

// A consumer of one topic. The broker pushes as long as the window has room; a thread of the consumer
// receives and reconnects, and the caller's thread decodes, in place. Nothing is skipped or reset silently:
// an offset out of range, a damaged batch and a topic that was deleted or created again are errors, and stay
// so until Seek or Skip. Thread rule: one thread at a time, except Interrupt (any thread, also a signal
// handler).
//
// In a group, every record is handed out at least once: a partition passes on only after what was processed
// of it is committed, and records that wait for Poll are not handed out once it was revoked. Heartbeats go on
// while the caller works.
class Consumer {
 public:
  // Waits for the broker, the topic and the positions, at most connect_timeout + request_timeout; for a group
  // until it is joined, with its errors: kGroupIdNotFound (the members speak Kafka's classic protocol),
  // kUnreleasedInstanceId.
  static Result<Consumer> Connect(const ClientOptions& options, std::string topic,
                                  const ConsumerOptions& consumer_options = {});
  Consumer(Consumer&&) noexcept;
  Consumer& operator=(Consumer&&) noexcept;
  ~Consumer();

  // Records of one partition, as soon as there are any; nothing after `wait`. Errors: kOffsetOutOfRange with
  // the valid range; kCorruptMessage with partition and offset; kUnknownTopicId; kInterrupted; a retriable
  // error when the broker has been out of reach for long, or has refused an automatic commit;
  // kFencedInstanceId. An error leaves the positions where they were.
  Result<Records> Poll(std::chrono::milliseconds wait);
  // One record; null after `wait`, or where stop_at_end ends. Errors as of Poll.
  Result<const Record*> Next(std::chrono::milliseconds wait);

  // `for (const Record& record : consumer)`: waits for ever; ends at an error, which error() then tells, at
  // Interrupt, and where stop_at_end says.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Record;
    using difference_type = std::ptrdiff_t;
    using pointer = const Record*;
    using reference = const Record&;

    Iterator() = default;
    explicit Iterator(Consumer* consumer) : consumer_(consumer) { ++*this; }
    const Record& operator*() const { return *record_; }
    const Record* operator->() const { return record_; }
    Iterator& operator++();
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.record_ == b.record_; }

   private:
    Consumer* consumer_ = nullptr;
    const Record* record_ = nullptr;
  };
  Iterator begin() { return Iterator(this); }
  Iterator end() { return {}; }
  // What ended the last iteration; nullopt if it was the end or Interrupt.
  const std::optional<Error>& error() const;

  // Offset of the next record that Poll or Next hands out; -1 if the partition is not read here.
  std::int64_t position(std::uint32_t partition) const;
  std::vector<PartitionPosition> positions() const;
  // Whether all that the broker has told of was handed out.
  bool caught_up() const;

  // Goes on at `offset`, and clears an error of that partition.
  Result<void> Seek(std::uint32_t partition, std::int64_t offset);
  // Goes past the damaged batch that holds `offset` (where Poll stopped): to the next batch if its size can
  // be believed, else it fails and Seek must choose.
  Result<void> Skip(std::uint32_t partition, std::int64_t offset);

  // Keeps positions() under options.name or for the group on the broker; returns when they are on its disk.
  // kUnknownMemberId: a partition is not this member's any more; nothing was committed.
  Result<void> Commit();
  Result<void> Commit(std::uint32_t partition, std::int64_t offset);

  // Makes a waiting or the next Poll return kInterrupted, once. Thread: any, also in a signal handler.
  void Interrupt() noexcept;
  // Ends the stream and the thread, without waiting for the broker. A member of a group first commits, with
  // commit_interval, all that was handed out, and leaves; that waits for a broker in reach, at most `wait`.
  // The destructor does the same, but does not call on_change, and does not count the records of the last
  // Poll or Next as processed.
  void Close(std::chrono::milliseconds wait = std::chrono::seconds(5));

  const std::string& topic() const;

 private:
  class Impl;
  explicit Consumer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace
