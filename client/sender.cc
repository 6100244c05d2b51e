#include "client/sender.h"

#include <algorithm>
#include <utility>

#include "client/admin_values.h"
#include "client/error.h"
#include "protocol/core/error_code.h"

namespace headrace {
namespace {

// Bytes of batches in one request, unless one batch is larger.
constexpr std::size_t kRequestSizeMax = 4U << 20;
constexpr std::size_t kAnswerBytesKept = 1U << 20;
constexpr std::chrono::milliseconds kAttemptMin{500};

Error Closed() {
  return {error_number::kClosed, "the producer was closed before the message was answered", false};
}

std::chrono::milliseconds ExpiryInterval(const ProducerOptions& options) {
  return std::clamp(options.delivery_timeout / 20, std::chrono::milliseconds(5),
                    std::chrono::milliseconds(1'000));
}

}  // namespace

Result<ProducerIdentity> InitProducer(Connection& connection, const ProducerIdentity& former,
                                      TimePoint deadline, const Wakeup* cancel) {
  native::InitProducerRequest request;
  request.set_producer_id(former.id);
  request.set_producer_epoch(former.epoch);
  native::InitProducerResponse response;
  Result<void> called =
      Call(connection, native::FrameType::kInitProducer, request, response, deadline, cancel);
  if (!called) return called.error();
  return ProducerIdentity{response.producer_id(), static_cast<std::int16_t>(response.producer_epoch())};
}

Sender::Sender(SenderOptions options, Accumulator& accumulator, const Wakeup& wakeup,
               std::unique_ptr<Connection> connection, const ProducerIdentity& identity)
    : options_(std::move(options)),
      in_flight_max_(std::clamp<std::size_t>(options_.producer.requests_in_flight_max, 1,
                                             PartitionQueue::kUnsettledMax)),
      accumulator_(accumulator),
      wakeup_(wakeup),
      pool_(std::make_shared<BufferPool>(kAnswerBytesKept)),
      connection_(std::move(connection)),
      identity_(identity),
      queues_(options_.topic.partition_count),
      may_take_(options_.topic.partition_count, true),
      retry_backoff_(options_.client.backoff_min, options_.client.backoff_max),
      connect_backoff_(options_.client.backoff_min, options_.client.backoff_max),
      thread_([this] { Run(); }) {}

void Sender::Stop() {
  stopping_.store(true);
  cancel_.Signal();
  wakeup_.Signal();
  if (thread_.joinable()) thread_.join();
}

void Sender::Run() {
  while (!stopping_.load()) Step();
  accumulator_.Stop(Closed());
  connection_.reset();
  requests_.clear();
  FailAll(Closed());
}

void Sender::Step() {
  wakeup_.Drain();
  const TimePoint now = SteadyClock::now();
  if (now >= expire_at_) FailExpired(now);
  if (!EnsureConnected(now)) return;
  if (Result<void> read = ReadAnswers(); !read) return LoseConnection(read.error());
  if (!renewing_.empty() && MayRenumber()) RenewIdentity();
  if (!connection_) return;
  const TimePoint linger_until = FillWindow(now);
  if (Result<void> written = connection_->Write(); !written) return LoseConnection(written.error());
  if (!requests_.empty() && requests_.begin()->second.deadline <= now) {
    return LoseConnection(NetworkError("broker " + options_.client.broker +
                                       " left a request without answer for " +
                                       std::to_string(options_.client.request_timeout.count()) + " ms"));
  }
  // Woken by an answer, room to write, a message to send (the wakeup, whose result is an error here) or the
  // time.
  static_cast<void>(connection_->Wait(NextTime(linger_until), &wakeup_));
}

TimePoint Sender::NextTime(TimePoint linger_until) const {
  TimePoint next = linger_until;
  if (!requests_.empty()) next = std::min(next, requests_.begin()->second.deadline);
  if (requests_.size() < in_flight_max_) {  // else an answer comes first
    for (const std::uint32_t p : repeating_) next = std::min(next, queues_[p].RepeatTime(!renewing_.empty()));
  }
  if (!requests_.empty() || !repeating_.empty()) next = std::min(next, expire_at_);
  return next;
}

TimePoint Sender::DeadlineWithin(std::chrono::milliseconds wait) const {
  TimePoint deadline = DeadlineAfter(std::min(wait, options_.producer.delivery_timeout));
  for (const PartitionQueue& queue : queues_) deadline = std::min(deadline, queue.EarliestDeadline());
  deadline = std::min(deadline, accumulator_.EarliestDeadline());
  // With messages expiring all the time, an attempt must have a chance all the same.
  return std::max(deadline, DeadlineAfter(std::min(wait, kAttemptMin)));
}

void Sender::NoteTrouble(const std::string& why) {
  last_trouble_ = why;
  accumulator_.NoteTrouble(why);
}

void Sender::Update(std::uint32_t partition) {
  const PartitionQueue& queue = queues_[partition];
  const auto keep = [partition](std::set<std::uint32_t>& set, bool in) {
    if (in) {
      set.insert(partition);
    } else {
      set.erase(partition);
    }
  };
  may_take_[partition] = queue.MayAppend();
  keep(repeating_, queue.RepeatTime(false) != TimePoint::max());
  keep(renewing_, queue.needs_epoch());
}

bool Sender::EnsureConnected(TimePoint now) {
  if (connection_) return true;
  if (now < connect_at_) {
    // Only the time, the wakeup or the end of the producer end this wait.
    static_cast<void>(WaitFor(-1, 0, std::min(connect_at_, expire_at_), &wakeup_));
    return false;
  }
  Result<std::unique_ptr<Connection>> opened =
      Connection::Open(options_.client, pool_, DeadlineWithin(options_.client.connect_timeout), &cancel_);
  if (!opened) {
    NoteTrouble(opened.error().message);
    connect_at_ = SteadyClock::now() + connect_backoff_.Next();
    ReportOutage(opened.error());
    return false;
  }
  connection_ = std::move(*opened);
  ReportOutage(std::nullopt);
  connect_backoff_.Reset();
  accumulator_.CountReconnect();
  return true;
}

void Sender::ReportRefusal(std::uint32_t partition, const Error& why) {
  if (outage_) return;
  ReportOutage(why);
  refused_ = partition;
}

void Sender::ReportOutage(const std::optional<Error>& why) {
  refused_.reset();
  if (outage_ == why.has_value() || stopping_.load()) return;
  outage_ = why.has_value();
  if (options_.producer.on_outage) options_.producer.on_outage(why);
}

void Sender::LoseConnection(const Error& lost) {
  const Error why = std::exchange(refusal_, std::nullopt).value_or(lost);
  NoteTrouble(why.message);
  connection_.reset();  // before the batches that its output points into
  requests_.clear();
  connect_at_ = SteadyClock::now() + connect_backoff_.Next();
  for (std::uint32_t p = 0; p < queues_.size(); ++p) {
    if (queues_[p].empty()) continue;
    queues_[p].LoseConnection();
    if (!options_.producer.acknowledge) {  // sending again could double them
      for (auto& batch : queues_[p].RemoveAll()) Fail(*batch, why);
    }
    Update(p);
  }
}

void Sender::FailExpired(TimePoint now) {
  const std::chrono::milliseconds timeout = options_.producer.delivery_timeout;
  expire_at_ = now + ExpiryInterval(options_.producer);
  const auto error = [&] {
    return Error{error_number::kTimedOut,
                 "topic " + options_.topic.name + ": not answered within " + std::to_string(timeout.count()) +
                     " ms (the producer's delivery_timeout)" +
                     (last_trouble_.empty() ? "" : "; last trouble: " + last_trouble_),
                 true};
  };
  for (auto& batch : accumulator_.TakeExpired(now)) Fail(*batch, error());
  for (std::uint32_t p = 0; p < queues_.size(); ++p) {
    if (queues_[p].empty()) continue;
    const PartitionQueue::Expired expired = queues_[p].Expire(now);
    for (const auto& batch : expired.removed) Fail(*batch, error());
    for (ProduceBatch* batch : expired.abandoned) Fail(*batch, error());
    Update(p);
  }
}

void Sender::FailAll(const Error& error) {
  for (PartitionQueue& queue : queues_) {
    for (const auto& batch : queue.RemoveAll()) {
      if (!batch->abandoned) Fail(*batch, error);
    }
  }
  for (const auto& batch : accumulator_.TakeExpired(TimePoint::max())) Fail(*batch, error);
}

void Sender::Fail(ProduceBatch& batch, const Error& error) {
  batch.Fail(error);
  accumulator_.Settle(batch, &error);
}

bool Sender::MayRenumber() const {
  return requests_.empty() &&
         std::all_of(queues_.begin(), queues_.end(), [](const PartitionQueue& q) { return q.MayRenumber(); });
}

void Sender::RenewIdentity() {
  const TimePoint deadline = DeadlineWithin(options_.client.request_timeout);
  Result<ProducerIdentity> renewed = InitProducer(*connection_, identity_, deadline, &cancel_);
  // A broker that does not know the identity gives a new one as well.
  if (!renewed && !renewed.error().retriable) renewed = InitProducer(*connection_, {}, deadline, &cancel_);
  if (!renewed) return LoseConnection(renewed.error());
  identity_ = *renewed;
  for (std::uint32_t p = 0; p < queues_.size(); ++p) {
    queues_[p].Renumber(identity_);
    Update(p);
  }
}

TimePoint Sender::FillWindow(TimePoint now) {
  TimePoint linger_until = TimePoint::max();
  while (requests_.size() < in_flight_max_) {
    std::vector<ProduceBatch*> batches = BatchesToRepeat(now);
    if (batches.empty()) batches = NewBatches(now, linger_until);
    if (batches.empty()) break;
    SendRequest(std::move(batches), now);
  }
  return linger_until;
}

std::vector<ProduceBatch*> Sender::BatchesToRepeat(TimePoint now) {
  std::vector<ProduceBatch*> batches;
  std::size_t size = 0;
  const std::vector<std::uint32_t> partitions(repeating_.begin(), repeating_.end());
  for (const std::uint32_t p : partitions) {
    ProduceBatch* batch = queues_[p].NextToRepeat(now, !renewing_.empty());
    if (batch == nullptr || (size > 0 && size + batch->bytes.size() > kRequestSizeMax)) continue;
    size += batch->bytes.size();
    batch->in_flight = true;
    batches.push_back(batch);
    Update(p);
  }
  if (!batches.empty()) accumulator_.CountRepeats(batches.size());
  return batches;
}

std::vector<ProduceBatch*> Sender::NewBatches(TimePoint now, TimePoint& linger_until) {
  if (!renewing_.empty()) return {};
  using Eagerness = Accumulator::Eagerness;
  std::vector<std::unique_ptr<ProduceBatch>> taken;
  std::vector<ProduceBatch*> batches;
  linger_until = accumulator_.Take(now, requests_.empty() ? Eagerness::kAnything : Eagerness::kEnough,
                                   may_take_, kRequestSizeMax, taken);
  for (auto& owned : taken) {
    ProduceBatch& batch = *owned;
    const std::uint32_t p = batch.partition;
    const absl::Status built = queues_[p].Append(std::move(owned), identity_);
    if (built.ok()) {
      batch.in_flight = true;
      batches.push_back(&batch);
    } else {
      Fail(*queues_[p].Remove(batch), ToError(built));
    }
    Update(p);
  }
  return batches;
}

void Sender::SendRequest(std::vector<ProduceBatch*> batches, TimePoint now) {
  native::ProduceRequest request;
  request.set_no_reply(!options_.producer.acknowledge);
  request.set_timeout_ms(static_cast<std::uint32_t>(options_.client.request_timeout.count()));
  std::vector<ByteSpan> attachment;
  for (const ProduceBatch* batch : batches) {
    auto& entry = *request.add_partitions();
    entry.set_topic_id(options_.topic.id);
    entry.set_partition(batch->partition);
    entry.set_size(static_cast<std::uint32_t>(batch->bytes.size()));
    attachment.emplace_back(batch->bytes);
  }
  std::uint32_t id = connection_->Send(native::FrameType::kProduce, request, attachment);
  // Of a request without reply, the next one's tells that the broker took it: it closes the connection if
  // not.
  if (!options_.producer.acknowledge) {
    id = connection_->Send(native::FrameType::kUnsubscribe, native::UnsubscribeRequest());
  }
  requests_[id] = {std::move(batches), now + options_.client.request_timeout};
  accumulator_.CountRequest();
}

Result<void> Sender::ReadAnswers() {
  while (true) {
    Result<std::optional<ReceivedFrame>> received = connection_->Read();
    if (!received) return received.error();
    if (!received->has_value()) return {};
    HandleAnswer((*received)->frame);
  }
}

void Sender::HandleAnswer(const native::Frame& frame) {
  const auto at = requests_.find(frame.correlation_id);
  if (at == requests_.end()) return NoteRefusal(frame);
  const std::vector<ProduceBatch*> batches = std::move(at->second.batches);
  requests_.erase(at);
  if (!options_.producer.acknowledge) return SettleTaken(batches);
  const TimePoint now = SteadyClock::now();
  native::ProduceResponse response;
  native::Error whole;
  if (Result<void> parsed = ParseAnswer(frame, response); !parsed) {
    whole.set_code(parsed.error().code);
    whole.set_message(parsed.error().message);
    whole.set_retriable(parsed.error().retriable);
  } else if (static_cast<std::size_t>(response.partitions_size()) != batches.size()) {
    whole.set_code(static_cast<int>(ErrorCode::kUnknownServerError));
    whole.set_message("the broker answered another number of batches than it was sent");
  }
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (Failed(whole)) {
      HandleAnswer(*batches[i], whole, -1, now);
    } else {
      const auto& entry = response.partitions(static_cast<int>(i));
      HandleAnswer(*batches[i], entry.error(), entry.base_offset(), now);
    }
  }
}

void Sender::HandleAnswer(ProduceBatch& batch, const native::Error& error, std::int64_t base_offset,
                          TimePoint now) {
  const std::uint32_t p = batch.partition;
  const bool retriable = error.retriable() && !IsTopicGone(error.code());
  const AnswerEffect effect = queues_[p].Answer(batch, error.code(), retriable, now, retry_backoff_);
  if (effect == AnswerEffect::kRetry) {
    const Error refusal = ToError(error, PartitionName(options_.topic.name, p));
    NoteTrouble(refusal.message);
    if (batch.attempts > 1) ReportRefusal(p, refusal);
  }
  if (effect != AnswerEffect::kRetry || batch.abandoned) {
    const std::unique_ptr<ProduceBatch> settled = queues_[p].Remove(batch);
    if (settled->abandoned) {
      // Its messages failed at their deadline; this answer only settled its numbers.
    } else if (effect == AnswerEffect::kDelivered) {
      settled->Succeed(Failed(error) ? -1 : base_offset);
      accumulator_.Settle(*settled, nullptr);
      if (refused_ == p || (refused_ && queues_[*refused_].empty())) ReportOutage(std::nullopt);
    } else {
      const Error failure = ToError(error, PartitionName(options_.topic.name, p));
      if (IsTopicGone(error.code())) accumulator_.Stop(failure);
      Fail(*settled, failure);
    }
  }
  Update(p);
}

void Sender::NoteRefusal(const native::Frame& frame) {
  native::EmptyResponse none;
  if (frame.type != native::FrameType::kError) return;
  if (Result<void> parsed = ParseAnswer(frame, none); !parsed) refusal_ = parsed.error();
}

void Sender::SettleTaken(const std::vector<ProduceBatch*>& batches) {
  for (ProduceBatch* batch : batches) {
    const std::uint32_t p = batch->partition;
    const std::unique_ptr<ProduceBatch> settled = queues_[p].Remove(*batch);
    if (!settled->abandoned) {
      settled->Succeed(-1);
      accumulator_.Settle(*settled, nullptr);
    }
    Update(p);
  }
}

}  // namespace headrace
