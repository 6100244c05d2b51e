#include "headrace/consumer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "client/admin_values.h"
#include "client/connection.h"
#include "client/consumer_start.h"
#include "client/error.h"
#include "client/push_decoder.h"
#include "client/receiver.h"
#include "client/topic.h"

namespace headrace {
namespace {

constexpr std::size_t kPoolBytesMax = 4U << 20;

DecoderOptions DecoderOptionsOf(const std::string& topic, const ConsumerOptions& options) {
  return {topic, options.check_crc, options.decompressed_size_max,
          std::max<std::size_t>(options.poll_records_max, 1)};
}

}  // namespace

// The caller's side of a consumer: positions, the push being decoded, and the chunk of it being handed out.
class Consumer::Impl {
 public:
  Impl(ReceiverOptions receiver, ConsumerOptions options, const std::vector<StartingPoint>& points,
       std::shared_ptr<BufferPool> pool, std::unique_ptr<Connection> connection);

  Result<Records> Poll(TimePoint deadline);
  Result<const Record*> Next(TimePoint deadline);
  Result<void> Seek(std::uint32_t partition, std::int64_t offset);
  Result<void> Skip(std::uint32_t partition, std::int64_t offset);
  Result<void> Commit(const std::vector<std::pair<std::uint32_t, std::int64_t>>& offsets);
  void Close();

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
    std::int64_t end_at_connect = 0;
    std::optional<Error> error;                       // until Seek
    std::optional<std::int64_t> offset_after_damage;  // where Skip goes
  };

  // Makes chunk_ the next records, or leaves it empty at the deadline and at the end.
  Result<void> Fetch(TimePoint deadline);
  Result<bool> Decode();
  void StartDecoding(StreamEvent event);
  void FinishChunk();
  void StopDecoding();
  bool HasEnded() const;
  Result<std::size_t> SlotOf(std::uint32_t partition) const;

  const std::string topic_id_;
  const std::chrono::milliseconds request_timeout_;
  std::vector<Partition> partitions_;
  PushDecoder decoder_;
  std::size_t slot_ = 0;  // of the push being decoded, and of the chunk
  std::int64_t high_watermark_ = -1;
  std::span<const Record> chunk_;  // what is left of it
  std::int64_t chunk_end_ = 0;     // position after the chunk
};

Consumer::Impl::Impl(ReceiverOptions receiver_options, ConsumerOptions consumer_options,
                     const std::vector<StartingPoint>& points, std::shared_ptr<BufferPool> pool,
                     std::unique_ptr<Connection> connection)
    : options(std::move(consumer_options)),
      topic(receiver_options.topic.name),
      receiver(receiver_options, points, std::move(pool), std::move(connection)),
      topic_id_(receiver_options.topic.id),
      request_timeout_(receiver_options.client.request_timeout),
      decoder_(DecoderOptionsOf(topic, options)) {
  for (const StartingPoint& point : points) {
    partitions_.push_back({point.partition, point.offset, point.high_watermark, {}, {}});
  }
}

Result<Records> Consumer::Impl::Poll(TimePoint deadline) {
  if (chunk_.empty()) {
    if (Result<void> fetched = Fetch(deadline); !fetched) return fetched.error();
  }
  Records records;
  if (chunk_.empty()) {
    records.ended = HasEnded();
    return records;
  }
  records.partition = partitions_[slot_].number;
  records.high_watermark = high_watermark_;
  records.records = chunk_;
  FinishChunk();
  return records;
}

Result<const Record*> Consumer::Impl::Next(TimePoint deadline) {
  if (chunk_.empty()) {
    if (Result<void> fetched = Fetch(deadline); !fetched) return fetched.error();
    if (chunk_.empty()) return static_cast<const Record*>(nullptr);
  }
  const Record* record = &chunk_.front();
  if (chunk_.size() == 1) {
    FinishChunk();
  } else {
    chunk_ = chunk_.subspan(1);
    partitions_[slot_].position = record->offset + 1;
  }
  return record;
}

void Consumer::Impl::FinishChunk() {
  partitions_[slot_].position = chunk_end_;
  chunk_ = {};
}

Result<void> Consumer::Impl::Fetch(TimePoint deadline) {
  if (closed) return Error{error_number::kClosed, "the consumer was closed", false};
  while (true) {
    for (const Partition& partition : partitions_) {
      if (partition.error) return *partition.error;
    }
    if (decoder_.active()) {
      const Result<bool> decoded = Decode();
      if (!decoded) return decoded.error();
      if (*decoded) return {};
    }
    if (HasEnded()) return {};
    Result<std::optional<StreamEvent>> event = receiver.Next(deadline);
    if (!event) return event.error();
    if (!event->has_value()) return {};
    if ((*event)->error) {
      partitions_[(*event)->slot].error = (*event)->error;
    } else {
      StartDecoding(std::move(**event));
    }
  }
}

void Consumer::Impl::StartDecoding(StreamEvent event) {
  Partition& partition = partitions_[event.slot];
  const std::int64_t until =
      options.stop_at_end ? partition.end_at_connect : std::numeric_limits<std::int64_t>::max();
  slot_ = event.slot;
  high_watermark_ = event.high_watermark;
  decoder_.Start(std::move(event.push), partition.number, partition.position, until);
}

Result<bool> Consumer::Impl::Decode() {
  Partition& partition = partitions_[slot_];
  const Result<std::span<const Record>> chunk = decoder_.NextChunk();
  chunk_end_ = decoder_.next_offset();
  if (!chunk) {
    partition.error = chunk.error();
    partition.offset_after_damage = decoder_.offset_after_damage();
    StopDecoding();
    receiver.End(slot_);
    return *partition.error;
  }
  receiver.Advance(slot_, chunk_end_);
  if (!chunk->empty()) {
    chunk_ = *chunk;
    return true;
  }
  // Also a push without a record for the caller moves the position: past what was compacted away.
  partition.position = chunk_end_;
  StopDecoding();
  return false;
}

void Consumer::Impl::StopDecoding() {
  chunk_ = {};
  receiver.Release(decoder_.Stop());
}

bool Consumer::Impl::HasEnded() const {
  return options.stop_at_end && std::all_of(partitions_.begin(), partitions_.end(), [](const Partition& p) {
           return p.position >= p.end_at_connect;
         });
}

std::optional<std::size_t> Consumer::Impl::FindSlot(std::uint32_t partition) const {
  const auto at = std::find_if(partitions_.begin(), partitions_.end(),
                               [partition](const Partition& p) { return p.number == partition; });
  if (at == partitions_.end()) return std::nullopt;
  return static_cast<std::size_t>(at - partitions_.begin());
}

Result<std::size_t> Consumer::Impl::SlotOf(std::uint32_t partition) const {
  if (closed) return Error{error_number::kClosed, "the consumer was closed", false};
  const std::optional<std::size_t> slot = FindSlot(partition);
  if (slot) return *slot;
  return Error{error_number::kInvalidRequest,
               PartitionName(topic, partition) + " is not read by this consumer", false};
}

Result<void> Consumer::Impl::Seek(std::uint32_t partition, std::int64_t offset) {
  const Result<std::size_t> slot = SlotOf(partition);
  if (!slot) return slot.error();
  if (offset < 0) {
    return Error{error_number::kInvalidRequest, "offset " + std::to_string(offset) + " is below 0", false};
  }
  // What another partition's chunk still holds is handed out later, from its position.
  if (decoder_.active()) {
    receiver.Advance(slot_, partitions_[slot_].position);
    StopDecoding();
  }
  Partition& sought = partitions_[*slot];
  sought.position = offset;
  sought.error.reset();
  sought.offset_after_damage.reset();
  receiver.Seek(*slot, offset);
  return {};
}

Result<void> Consumer::Impl::Skip(std::uint32_t partition, std::int64_t offset) {
  const Result<std::size_t> slot = SlotOf(partition);
  if (!slot) return slot.error();
  const Partition& stopped = partitions_[*slot];
  if (!stopped.error || stopped.error->code != error_number::kCorruptMessage || stopped.position != offset) {
    return Error{
        error_number::kInvalidRequest,
        PartitionName(topic, partition) + " did not stop at damage at offset " + std::to_string(offset),
        false};
  }
  if (stopped.offset_after_damage) return Seek(partition, *stopped.offset_after_damage);
  return Error{error_number::kCorruptMessage,
               PartitionName(topic, partition) + ": the size of the damaged batch at offset " +
                   std::to_string(offset) + " cannot be believed; Seek to an offset after it",
               false};
}

Result<void> Consumer::Impl::Commit(const std::vector<std::pair<std::uint32_t, std::int64_t>>& offsets) {
  if (closed) return Error{error_number::kClosed, "the consumer was closed", false};
  if (options.name.empty()) {
    return Error{error_number::kInvalidRequest, "to commit, ConsumerOptions::name must say under which name",
                 false};
  }
  native::CommitOffsetRequest request;
  request.set_consumer(options.name);
  for (const auto& [partition, offset] : offsets) {
    auto& entry = *request.add_partitions();
    entry.set_topic_id(topic_id_);
    entry.set_partition(partition);
    entry.set_offset(offset);
  }
  native::CommitOffsetResponse response;
  Result<void> asked =
      receiver.Ask(native::FrameType::kCommitOffset, request, response, DeadlineAfter(request_timeout_));
  if (!asked) return asked;
  for (int i = 0; i < response.errors_size() && i < request.partitions_size(); ++i) {
    if (Failed(response.errors(i))) {
      return ToError(response.errors(i), PartitionName(topic, request.partitions(i).partition()));
    }
  }
  return {};
}

void Consumer::Impl::Close() {
  if (decoder_.active()) StopDecoding();
  receiver.Stop();
  closed = true;
}

std::vector<PartitionPosition> Consumer::Impl::positions() const {
  std::vector<PartitionPosition> all;
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    const Receiver::Slot slot = receiver.slot(i);
    all.push_back({partitions_[i].number, partitions_[i].position, slot.start_offset, slot.high_watermark,
                   partitions_[i].end_at_connect});
  }
  return all;
}

bool Consumer::Impl::caught_up() const {
  const std::vector<PartitionPosition> all = positions();
  return std::all_of(all.begin(), all.end(), [](const auto& p) { return p.position >= p.high_watermark; });
}

Consumer::Consumer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Consumer::Consumer(Consumer&&) noexcept = default;
Consumer& Consumer::operator=(Consumer&&) noexcept = default;
Consumer::~Consumer() = default;

Result<Consumer> Consumer::Connect(const ClientOptions& options, std::string topic,
                                   const ConsumerOptions& consumer_options) {
  auto pool = std::make_shared<BufferPool>(std::min(consumer_options.window_size, kPoolBytesMax));
  Result<std::unique_ptr<Connection>> opened =
      Connection::Open(options, pool, DeadlineAfter(options.connect_timeout), nullptr);
  if (!opened) return opened.error();
  const TimePoint deadline = DeadlineAfter(options.request_timeout);
  Result<TopicFacts> facts = LookUpTopic(**opened, topic, deadline);
  if (!facts) return facts.error();
  const Result<std::vector<StartingPoint>> points = FindStart(**opened, *facts, consumer_options, deadline);
  if (!points) return points.error();
  ReceiverOptions receiver{options, std::move(*facts), std::max<std::size_t>(consumer_options.window_size, 1),
                           consumer_options.unreachable_after};
  return Consumer(std::make_unique<Impl>(std::move(receiver), consumer_options, *points, std::move(pool),
                                         std::move(*opened)));
}

Result<Records> Consumer::Poll(std::chrono::milliseconds wait) {
  return impl_->Poll(DeadlineAfter(wait));
}

Result<const Record*> Consumer::Next(std::chrono::milliseconds wait) {
  return impl_->Next(DeadlineAfter(wait));
}

Consumer::Iterator& Consumer::Iterator::operator++() {
  Impl& impl = *consumer_->impl_;
  impl.error.reset();
  do {
    const Result<const Record*> next = consumer_->Next(std::chrono::hours(1));
    record_ = next ? *next : nullptr;
    if (!next && next.error().code != error_number::kInterrupted) impl.error = next.error();
    if (!next) break;
  } while (record_ == nullptr && !impl.HasEnded());
  return *this;
}

const std::optional<Error>& Consumer::error() const {
  return impl_->error;
}

std::int64_t Consumer::position(std::uint32_t partition) const {
  const std::optional<std::size_t> slot = impl_->FindSlot(partition);
  return slot ? impl_->partitions_[*slot].position : -1;
}

std::vector<PartitionPosition> Consumer::positions() const {
  return impl_->positions();
}
bool Consumer::caught_up() const {
  return impl_->caught_up();
}

Result<void> Consumer::Seek(std::uint32_t partition, std::int64_t offset) {
  return impl_->Seek(partition, offset);
}
Result<void> Consumer::Skip(std::uint32_t partition, std::int64_t offset) {
  return impl_->Skip(partition, offset);
}

Result<void> Consumer::Commit() {
  std::vector<std::pair<std::uint32_t, std::int64_t>> offsets;
  for (const Impl::Partition& partition : impl_->partitions_) {
    offsets.emplace_back(partition.number, partition.position);
  }
  return impl_->Commit(offsets);
}

Result<void> Consumer::Commit(std::uint32_t partition, std::int64_t offset) {
  return impl_->Commit({{partition, offset}});
}

void Consumer::Interrupt() noexcept {
  impl_->receiver.Interrupt();
}
void Consumer::Close() {
  impl_->Close();
}
const std::string& Consumer::topic() const {
  return impl_->topic;
}

}  // namespace headrace
