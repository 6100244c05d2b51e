#include "client/accumulator.h"

#include <algorithm>
#include <array>

#include "client/partitioner.h"

namespace headrace {
namespace {

// With requests on their way, so many gathered bytes are worth another one.
constexpr std::size_t kWorthARequest = 128U << 10;

std::int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::optional<ByteSpan> Bytes(const std::optional<std::string_view>& text) {
  if (!text) return std::nullopt;
  return AsBytes(*text);
}

// The message as the builder takes it; few headers need no allocation.
class RecordOf {
 public:
  explicit RecordOf(const Message& message) {
    view_.timestamp = message.timestamp_ms ? *message.timestamp_ms : NowMs();
    view_.key = Bytes(message.key);
    view_.value = Bytes(message.value);
    if (message.headers.empty()) return;
    std::span<RecordHeaderView> headers(few_);
    if (message.headers.size() > few_.size())
      headers = many_ = std::vector<RecordHeaderView>(message.headers.size());
    for (std::size_t i = 0; i < message.headers.size(); ++i) {
      headers[i] = {message.headers[i].key, Bytes(message.headers[i].value)};
    }
    view_.headers = headers.first(message.headers.size());
  }
  RecordOf(const RecordOf&) = delete;
  RecordOf& operator=(const RecordOf&) = delete;

  const RecordView& view() const { return view_; }

 private:
  RecordView view_;
  std::array<RecordHeaderView, 4> few_;
  std::vector<RecordHeaderView> many_;
};

}  // namespace

Accumulator::Accumulator(AccumulatorOptions options, const Wakeup& wakeup)
    : options_(std::move(options)), wakeup_(wakeup), partitions_(options_.partition_count) {}

Result<void> Accumulator::Add(const Message& message, DeliveryCallback callback) {
  const RecordOf record(message);
  const std::size_t size = RecordBatchBuilder::RecordSizeMax(record.view());
  if (Result<void> checked = Check(message, size); !checked) return checked;
  bool wake = false;
  {
    core::MutexLock lock(mutex_);
    const std::size_t charge = size + kBatchHeaderSize + (callback ? sizeof(Delivery) : 0);
    if (stopped_) return *stopped_;
    if (buffered_ + charge > options_.producer.buffer_size_max) {
      if (Result<void> room = WaitForRoom(charge); !room) return room;
    }
    ProduceBatch& batch = OpenBatch(Choose(message, size), size);
    const std::size_t size_before = batch.builder.size();
    batch.builder.Add(record.view());
    std::size_t added = batch.builder.size() - size_before + (callback ? sizeof(Delivery) : 0);
    if (batch.count == 0) added += kBatchHeaderSize;
    if (callback) batch.deliveries.push_back({batch.count, std::move(callback)});
    ++batch.count;
    batch.charged += added;
    gathered_ += added;
    buffered_ += added;
    ++stats_.messages_sent;
    wake = WakesSender();
  }
  if (wake) wakeup_.Signal();
  return {};
}

Result<void> Accumulator::Check(const Message& message, std::size_t size) const {
  const std::size_t whole = size + kBatchHeaderSize;
  if (whole > options_.batch_size_max) {
    return Error{error_number::kMessageTooLarge,
                 "topic " + options_.topic + ": a message needs up to " + std::to_string(whole) +
                     " bytes as a batch, the limit is " + std::to_string(options_.batch_size_max) + " (" +
                     options_.batch_size_max_source + "); raise it or send smaller messages"};
  }
  if (whole + sizeof(Delivery) > options_.producer.buffer_size_max) {
    return Error{error_number::kMessageTooLarge, "topic " + options_.topic + ": a message of up to " +
                                                     std::to_string(whole) +
                                                     " bytes never fits the producer's buffer of " +
                                                     std::to_string(options_.producer.buffer_size_max) +
                                                     " bytes (ProducerOptions::buffer_size_max)"};
  }
  if (message.partition && *message.partition >= options_.partition_count) {
    return Error{error_number::kInvalidRequest, "topic " + options_.topic + " has no partition " +
                                                    std::to_string(*message.partition) + ", only 0 to " +
                                                    std::to_string(options_.partition_count - 1)};
  }
  return {};
}

Result<void> Accumulator::WaitForRoom(std::size_t size) {
  const std::chrono::milliseconds wait = options_.producer.buffer_wait;
  const auto has_room = [&]() HEADRACE_REQUIRES(mutex_) {
    return stopped_.has_value() || buffered_ + size <= options_.producer.buffer_size_max;
  };
  ++waiting_for_room_;
  const bool found = wait.count() > 0 && room_.wait_until(mutex_, DeadlineAfter(wait), has_room);
  --waiting_for_room_;
  if (stopped_) return *stopped_;
  if (found) return {};
  return Error{error_number::kBufferFull,
               "topic " + options_.topic + ": the producer's buffer holds " + std::to_string(buffered_) +
                   " of " + std::to_string(options_.producer.buffer_size_max) +
                   " bytes (the producer's buffer_size_max), and no room came within " +
                   std::to_string(wait.count()) + " ms (its buffer_wait)" + LastTrouble(),
               true};
}

std::uint32_t Accumulator::Choose(const Message& message, std::size_t size) {
  if (message.partition) return *message.partition;
  if (message.key) return PartitionForKey(AsBytes(*message.key), options_.partition_count);
  // Without a key a partition gets a whole batch before the next has its turn.
  if (!HasRoom(partitions_[sticky_], size)) sticky_ = (sticky_ + 1) % options_.partition_count;
  return sticky_;
}

bool Accumulator::HasRoom(const Partition& partition, std::size_t size) const {
  if (partition.batches.empty()) return false;
  const ProduceBatch& last = *partition.batches.back();
  return last.builder.size() + size <= options_.batch_size_target;
}

ProduceBatch& Accumulator::OpenBatch(std::uint32_t number, std::size_t size) {
  Partition& partition = partitions_[number];
  if (HasRoom(partition, size)) return *partition.batches.back();
  const TimePoint now = SteadyClock::now();
  if (!partition.batches.empty()) ++full_batches_;
  partition.batches.push_back(
      std::make_unique<ProduceBatch>(number, static_cast<Compression>(options_.producer.compression),
                                     now + options_.producer.delivery_timeout, generation_));
  partition.batches.back()->linger_until = now + options_.producer.linger;
  ++unsettled_[generation_];
  if (!partition.listed) ready_.push_back(number);
  partition.listed = true;
  return *partition.batches.back();
}

bool Accumulator::WakesSender() {
  bool wake = wake_at_ == Eagerness::kAnything;
  if (wake_at_ == Eagerness::kEnough) wake = gathered_ >= kWorthARequest || full_batches_ > 0;
  if (wake) wake_at_ = Eagerness::kNothing;
  return wake;
}

bool Accumulator::IsDue(const ProduceBatch& batch, bool full, TimePoint now, Eagerness eagerness) const {
  if (full || flushing_ > 0) return true;
  if (options_.producer.linger.count() > 0) return now >= batch.linger_until;
  return eagerness == Eagerness::kAnything || gathered_ >= kWorthARequest;
}

TimePoint Accumulator::Take(TimePoint now, Eagerness eagerness, const std::vector<bool>& may_take,
                            std::size_t size_max, std::vector<std::unique_ptr<ProduceBatch>>& out) {
  core::MutexLock lock(mutex_);
  TimePoint linger_until = TimePoint::max();
  wake_at_ = Eagerness::kNothing;
  std::size_t taken_size = 0;
  for (std::size_t turns = ready_.size(); turns > 0 && taken_size < size_max; --turns) {
    const std::uint32_t number = ready_.front();
    ready_.pop_front();
    Partition& partition = partitions_[number];
    const bool full = partition.batches.size() > 1;
    const bool due = IsDue(*partition.batches.front(), full, now, eagerness);
    const std::size_t size = partition.batches.front()->builder.size();
    if (due && may_take[number] && (out.empty() || taken_size + size <= size_max)) {
      out.push_back(std::move(partition.batches.front()));
      partition.batches.pop_front();
      if (full) --full_batches_;
      gathered_ -= out.back()->charged;
      taken_size += size;
    } else if (!due && may_take[number]) {
      linger_until = std::min(linger_until, partition.batches.front()->linger_until);
    }
    partition.listed = !partition.batches.empty();
    if (partition.listed) ready_.push_back(number);
  }
  if (!out.empty()) return linger_until;
  if (options_.producer.linger.count() == 0) {
    wake_at_ = eagerness;
    return TimePoint::max();
  }
  // The first message sets the time to look again; after it only a full batch is news.
  wake_at_ = ready_.empty() ? Eagerness::kAnything : Eagerness::kEnough;
  return linger_until;
}

std::vector<std::unique_ptr<ProduceBatch>> Accumulator::TakeExpired(TimePoint now) {
  core::MutexLock lock(mutex_);
  std::vector<std::unique_ptr<ProduceBatch>> expired;
  for (const std::uint32_t number : ready_) {
    Partition& partition = partitions_[number];
    while (!partition.batches.empty() && partition.batches.front()->deadline <= now) {
      if (partition.batches.size() > 1) --full_batches_;
      gathered_ -= partition.batches.front()->charged;
      expired.push_back(std::move(partition.batches.front()));
      partition.batches.pop_front();
    }
    partition.listed = !partition.batches.empty();
  }
  std::erase_if(
      ready_, [this](std::uint32_t number) HEADRACE_REQUIRES(mutex_) { return !partitions_[number].listed; });
  return expired;
}

TimePoint Accumulator::EarliestDeadline() const {
  core::MutexLock lock(mutex_);
  TimePoint earliest = TimePoint::max();
  for (const std::uint32_t number : ready_)
    earliest = std::min(earliest, partitions_[number].batches.front()->deadline);
  return earliest;
}

void Accumulator::NoteTrouble(const std::string& why) {
  core::MutexLock lock(mutex_);
  trouble_ = why;
}

std::string Accumulator::LastTrouble() const {
  return trouble_.empty() ? "" : "; last trouble: " + trouble_;
}

void Accumulator::Settle(const ProduceBatch& batch, const Error* error) {
  core::MutexLock lock(mutex_);
  buffered_ -= batch.charged;
  const auto count = static_cast<std::uint64_t>(batch.count);
  if (error == nullptr) {
    stats_.messages_delivered += count;
    ++stats_.batches;
    stats_.batch_bytes += batch.bytes.size();
    trouble_.clear();
  } else {
    stats_.messages_failed += count;
    const std::uint64_t silent = count - batch.deliveries.size();
    if (silent > 0 && !first_failure_) first_failure_ = *error;
    failed_ += silent;
  }
  const auto generation = unsettled_.find(batch.generation);
  if (--generation->second == 0) unsettled_.erase(generation);
  if (waiting_for_room_ > 0) room_.notify_all();
  if (flushing_ > 0) settled_.notify_all();
}

void Accumulator::Stop(Error error) {
  core::MutexLock lock(mutex_);
  if (!stopped_) stopped_ = std::move(error);
  room_.notify_all();
}

Result<void> Accumulator::Flush(TimePoint deadline) {
  core::MutexLock lock(mutex_);
  const std::uint64_t generation = generation_++;
  ++flushing_;
  wakeup_.Signal();
  const auto is_settled = [&]() HEADRACE_REQUIRES(mutex_) {
    return unsettled_.empty() || unsettled_.begin()->first > generation;
  };
  const bool settled = settled_.wait_until(mutex_, deadline, is_settled);
  --flushing_;
  if (settled || failed_ > 0) return FlushResult();
  const std::uint64_t left = stats_.messages_sent - stats_.messages_delivered - stats_.messages_failed;
  return Error{error_number::kTimedOut,
               "topic " + options_.topic + ": " + std::to_string(left) +
                   " messages are not answered yet at the deadline of the flush" + LastTrouble(),
               true};
}

Result<void> Accumulator::FlushResult() {
  if (failed_ == 0) return {};
  Error error = *first_failure_;
  error.message = std::to_string(failed_) + " messages were not delivered; the first: " + error.message;
  failed_ = 0;
  first_failure_.reset();
  return error;
}

ProducerStats Accumulator::stats() const {
  core::MutexLock lock(mutex_);
  ProducerStats stats = stats_;
  stats.requests = requests_.load(std::memory_order_relaxed);
  stats.retries = retries_.load(std::memory_order_relaxed);
  stats.reconnects = reconnects_.load(std::memory_order_relaxed);
  stats.buffered_bytes = buffered_;
  return stats;
}

}  // namespace headrace
