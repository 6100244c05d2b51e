#include <algorithm>
#include <limits>
#include <utility>

#include "client/admin_values.h"
#include "client/consumer_impl.h"
#include "client/consumer_start.h"
#include "client/error.h"
#include "client/group_join.h"
#include "client/topic.h"

namespace headrace {
namespace {

constexpr std::size_t kPoolBytesMax = 4U << 20;

DecoderOptions DecoderOptionsOf(const std::string& topic, const ConsumerOptions& options) {
  return {topic, options.check_crc, options.decompressed_size_max,
          std::max<std::size_t>(options.poll_records_max, 1)};
}

}  // namespace

Consumer::Impl::Impl(ReceiverOptions receiver_options, ConsumerOptions consumer_options,
                     const std::vector<StartingPoint>& points, std::shared_ptr<BufferPool> pool,
                     std::unique_ptr<Connection> connection, std::optional<GroupMember> member)
    : options(std::move(consumer_options)),
      topic(receiver_options.topic.name),
      receiver(receiver_options, points, std::move(pool), std::move(connection), std::move(member)),
      topic_id_(receiver_options.topic.id),
      request_timeout_(receiver_options.client.request_timeout),
      grouped_(!options.group.empty()),
      decoder_(DecoderOptionsOf(topic, options)) {
  for (const StartingPoint& point : points) Add(point);
}

void Consumer::Impl::Add(const StartingPoint& point) {
  Partition partition{point.partition,
                      point.offset,
                      point.start_offset,
                      point.high_watermark,
                      point.offset,
                      point.committed,
                      {},
                      {}};
  // Found here and not by the broker alone, because a position behind the end looks like one that has ended.
  if (point.offset < point.start_offset || point.offset > point.high_watermark) {
    partition.error =
        OutOfRange(topic, point.partition, point.offset, point.start_offset, point.high_watermark);
  }
  partitions_.push_back(std::move(partition));
}

bool Consumer::Impl::MayCommit(const Partition& partition) {
  return !partition.error || partition.error->code != error_number::kOffsetOutOfRange;
}

Result<void> Consumer::Impl::Begin(Consumer& consumer) {
  if (in_callback_) {
    return Error{error_number::kInvalidRequest, "a callback of the consumer may not poll it", false};
  }
  if (std::exchange(handed_out_, false)) partitions_[slot_].processed = partitions_[slot_].position;
  return receiver.Poll() ? FollowGroup(consumer) : Result<void>();
}

Result<Records> Consumer::Impl::Poll(Consumer& consumer, TimePoint deadline) {
  if (grouped_) {
    if (Result<void> begun = Begin(consumer); !begun) return begun.error();
  }
  if (chunk_.empty()) {
    if (Result<void> fetched = Fetch(consumer, deadline); !fetched) return fetched.error();
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

Result<const Record*> Consumer::Impl::Next(Consumer& consumer, TimePoint deadline) {
  if (grouped_) {
    if (Result<void> begun = Begin(consumer); !begun) return begun.error();
  }
  if (chunk_.empty()) {
    if (Result<void> fetched = Fetch(consumer, deadline); !fetched) return fetched.error();
    if (chunk_.empty()) return static_cast<const Record*>(nullptr);
  }
  const Record* record = &chunk_.front();
  if (chunk_.size() == 1) {
    FinishChunk();
  } else {
    chunk_ = chunk_.subspan(1);
    partitions_[slot_].position = record->offset + 1;
    handed_out_ = true;
  }
  return record;
}

void Consumer::Impl::FinishChunk() {
  partitions_[slot_].position = chunk_end_;
  handed_out_ = true;
  chunk_ = {};
}

Result<void> Consumer::Impl::Fetch(Consumer& consumer, TimePoint deadline) {
  if (closed) return Error{error_number::kClosed, "the consumer was closed", false};
  while (true) {
    if (grouped_ && receiver.Poll()) {
      if (Result<void> followed = FollowGroup(consumer); !followed) return followed;
    }
    if (group_failure_) return *group_failure_;
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
    if (!event->has_value() && grouped_ && receiver.Poll()) continue;
    if (!event->has_value()) return {};
    if ((*event)->error) {
      EndPartition((*event)->slot, *(*event)->error);
    } else {
      StartDecoding(std::move(**event));
    }
  }
}

void Consumer::Impl::EndPartition(std::size_t slot, const Error& why) {
  Partition& partition = partitions_[slot];
  partition.error = why;
  if (why.code != error_number::kOffsetOutOfRange) return;
  const Receiver::Slot range = receiver.slot(slot);
  partition.error =
      OutOfRange(topic, partition.number, partition.position, range.start_offset, range.high_watermark);
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
  partition.position = partition.processed = chunk_end_;
  StopDecoding();
  return false;
}

void Consumer::Impl::StopDecoding() {
  chunk_ = {};
  receiver.Release(decoder_.Stop());
}

bool Consumer::Impl::HasEnded() const {
  if (!options.stop_at_end || (grouped_ && !receiver.settled())) return false;
  return std::all_of(partitions_.begin(), partitions_.end(),
                     [](const Partition& p) { return p.position >= p.end_at_connect; });
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
  sought.position = sought.processed = offset;
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

Result<void> Consumer::Impl::Commit(const Positions& offsets) {
  if (closed) return Error{error_number::kClosed, "the consumer was closed", false};
  if (!grouped_) return CommitNamed(offsets);
  if (offsets.empty()) return {};
  Result<void> done = receiver.Commit(offsets, DeadlineAfter(request_timeout_));
  for (Partition& partition : partitions_) {
    const auto at = offsets.find(partition.number);
    if (done && at != offsets.end()) partition.committed = at->second;
  }
  return done;
}

Result<void> Consumer::Impl::CommitNamed(const Positions& offsets) {
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

void Consumer::Impl::Close(Consumer* consumer, TimePoint deadline) {
  if (closed) return;
  if (grouped_) LeaveGroup(consumer, deadline);
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
  if (grouped_ && !receiver.settled()) return false;
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
  std::vector<StartingPoint> points;
  std::optional<GroupMember> member;
  if (consumer_options.group.empty()) {
    auto found = FindStart(**opened, *facts, consumer_options, deadline);
    if (!found) return found.error();
    points = std::move(*found);
  } else {
    auto joined = JoinGroup(**opened, options, *facts, consumer_options, deadline);
    if (!joined) return joined.error();
    member.emplace(std::move(*joined));
  }
  ReceiverOptions receiver{options, std::move(*facts), std::max<std::size_t>(consumer_options.window_size, 1),
                           consumer_options.unreachable_after};
  return Consumer(std::make_unique<Impl>(std::move(receiver), consumer_options, points, std::move(pool),
                                         std::move(*opened), std::move(member)));
}

Result<Records> Consumer::Poll(std::chrono::milliseconds wait) {
  return impl_->Poll(*this, DeadlineAfter(wait));
}

Result<const Record*> Consumer::Next(std::chrono::milliseconds wait) {
  return impl_->Next(*this, DeadlineAfter(wait));
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
  Positions offsets;
  for (const Impl::Partition& partition : impl_->partitions_) {
    if (Impl::MayCommit(partition)) offsets[partition.number] = partition.position;
  }
  return impl_->Commit(offsets);
}

Result<void> Consumer::Commit(std::uint32_t partition, std::int64_t offset) {
  return impl_->Commit({{partition, offset}});
}

void Consumer::Interrupt() noexcept {
  impl_->receiver.Interrupt();
}
void Consumer::Close(std::chrono::milliseconds wait) {
  impl_->Close(this, DeadlineAfter(wait));
}
const std::string& Consumer::topic() const {
  return impl_->topic;
}

}  // namespace headrace
