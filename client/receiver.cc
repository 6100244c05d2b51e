#include "client/receiver.h"

#include <poll.h>

#include <algorithm>

#include "client/admin_values.h"
#include "client/error.h"
#include "protocol/core/error_code.h"

namespace headrace {
namespace {

// Below this a sign of life would be asked for more often than it may take to come.
constexpr std::chrono::milliseconds kSilenceMin{100};
constexpr std::chrono::milliseconds kSilenceMax{3'600'000};

}  // namespace

Receiver::Receiver(ReceiverOptions options, const std::vector<StartingPoint>& points,
                   std::shared_ptr<BufferPool> pool, std::unique_ptr<Connection> connection,
                   std::optional<GroupMember> member)
    : options_(std::move(options)),
      credit_step_(std::max<std::size_t>(options_.window_size / 4, 1)),
      silence_max_(std::clamp(options_.unreachable_after / 3, kSilenceMin, kSilenceMax)),
      pool_(std::move(pool)),
      connection_(std::move(connection)),
      connect_backoff_(options_.client.backoff_min, options_.client.backoff_max),
      member_(std::move(member)) {
  for (const StartingPoint& point : points) {
    slots_.push_back({point.partition, point.offset, point.start_offset, point.high_watermark, false});
  }
  heard_at_ = SteadyClock::now();
  connected_ = connection_ != nullptr;
  thread_ = std::thread([this] { Run(); });
}

void Receiver::Stop() {
  stopping_.store(true);
  cancel_.Signal();
  wakeup_.Signal();
  if (thread_.joinable()) thread_.join();
}

void Receiver::Interrupt() noexcept {
  interrupted_.store(true);
  interrupt_.Signal();
}

Result<std::optional<StreamEvent>> Receiver::Next(TimePoint deadline) {
  while (true) {
    if (interrupted_.load(std::memory_order_relaxed)) {
      interrupted_.store(false);  // first: an Interrupt from now on is seen by the next call
      interrupt_.Drain();
      return Error{error_number::kInterrupted, "the consumer was interrupted", true};
    }
    {
      core::MutexLock lock(mutex_);
      caller_waits_ = events_.empty();
      if (!events_.empty()) {
        StreamEvent event = std::move(events_.front());
        events_.pop_front();
        if (event.error) slots_[event.slot].ended = true;
        return std::optional<StreamEvent>(std::move(event));
      }
      if (trouble_) return *std::exchange(trouble_, std::nullopt);
      if (group_news_.load(std::memory_order_relaxed)) return std::optional<StreamEvent>();
    }
    in_poll_.store(true);
    const Result<bool> woken = WaitFor(news_.fd(), POLLIN, deadline, &interrupt_);
    in_poll_.store(false);
    if (woken && !*woken) return std::optional<StreamEvent>();
    news_.Drain();
  }
}

void Receiver::Release(std::size_t size) {
  core::MutexLock lock(mutex_);
  held_ -= size;
  released_ += size;
  if (released_ >= credit_step_) wakeup_.Signal();
}

void Receiver::Advance(std::size_t slot, std::int64_t offset) {
  core::MutexLock lock(mutex_);
  slots_[slot].resume_offset = offset;
}

void Receiver::End(std::size_t slot) {
  core::MutexLock lock(mutex_);
  slots_[slot].ended = true;
}

void Receiver::Seek(std::size_t slot, std::int64_t offset) {
  core::MutexLock lock(mutex_);
  slots_[slot].resume_offset = offset;
  slots_[slot].ended = false;
  Renew();
}

void Receiver::Renew() {
  DropEvents();
  renew_ = true;
  wakeup_.Signal();
}

void Receiver::DropEvents() {
  for (const StreamEvent& event : events_) held_ -= event.push.frame.attachment.size();
  events_.clear();
}

Receiver::Slot Receiver::slot(std::size_t slot) const {
  core::MutexLock lock(mutex_);
  return slots_[slot];
}

Result<void> Receiver::Ask(native::FrameType type, const google::protobuf::MessageLite& request,
                           google::protobuf::MessageLite& response, TimePoint deadline) {
  Question question{type, &request, &response, 0, std::nullopt};
  core::MutexLock lock(mutex_);
  question_ = &question;
  wakeup_.Signal();
  const auto answered = [&] { return question.result.has_value() || stopping_.load(); };
  answered_.wait_until(mutex_, deadline, answered);
  question_ = nullptr;
  if (question.result) return *question.result;
  return NetworkError("broker " + options_.client.broker + " gave no answer in time");
}

void Receiver::Run() {
  while (!stopping_.load()) Step();
  core::MutexLock lock(mutex_);
  if (question_ != nullptr)
    question_->result = Error{error_number::kClosed, "the consumer was closed", false};
  answered_.notify_all();
}

void Receiver::Step() {
  wakeup_.Drain();
  const TimePoint now = SteadyClock::now();
  if (!EnsureConnected(now)) return;
  const TimePoint next = SendDue(now);
  Result<void> done = connection_->Write();
  if (done) done = ReadFrames();
  if (done) done = CheckSilence(now);
  if (done) done = CheckHeartbeat(now);
  if (!done) return LoseConnection(done.error());
  if (std::exchange(again_, false)) return;
  // Woken by a frame, room to write, the caller (the wakeup, whose result is an error here) or the time.
  static_cast<void>(connection_->Wait(next, &wakeup_));
}

bool Receiver::EnsureConnected(TimePoint now) {
  if (connection_) return true;
  ReportTrouble(now);
  if (now < connect_at_) {
    static_cast<void>(WaitFor(-1, 0, connect_at_, &cancel_));
    return false;
  }
  Result<std::unique_ptr<Connection>> opened =
      Connection::Open(options_.client, pool_, now + options_.client.connect_timeout, &cancel_);
  if (!opened) {
    connect_at_ = SteadyClock::now() + connect_backoff_.Next();
    return false;
  }
  connection_ = std::move(*opened);
  bytes_heard_ = connection_->bytes_received();
  heard_at_ = SteadyClock::now();
  asked_at_.reset();
  core::MutexLock lock(mutex_);
  connected_ = true;
  return true;
}

void Receiver::ReportTrouble(TimePoint now) {
  if (!report_at_) report_at_ = now + options_.unreachable_after;
  if (now < *report_at_) return;
  report_at_ = now + options_.unreachable_after;
  core::MutexLock lock(mutex_);
  trouble_ = NetworkError("topic " + options_.topic.name + ": broker " + options_.client.broker +
                          " has been out of reach for " + std::to_string(options_.unreachable_after.count()) +
                          " ms or more");
  SignalNews();
}

TimePoint Receiver::AskIfSilent(TimePoint now) {
  if (asked_at_) return *asked_at_ + silence_max_;
  if (now < heard_at_ + silence_max_) return heard_at_ + silence_max_;
  // The cheapest request there is: it ends no stream. Nobody waits for what the answer says.
  connection_->Send(native::FrameType::kUnsubscribe, native::UnsubscribeRequest());
  asked_at_ = now;
  return now + silence_max_;
}

Result<void> Receiver::CheckSilence(TimePoint now) {
  if (connection_->bytes_received() != bytes_heard_) {
    bytes_heard_ = connection_->bytes_received();
    heard_at_ = now;
    asked_at_.reset();
  }
  if (!asked_at_ || now < *asked_at_ + silence_max_) return {};
  report_at_ = heard_at_ + options_.unreachable_after;
  return NetworkError("broker " + options_.client.broker + " has been silent for " +
                      std::to_string(silence_max_.count()) + " ms since it was asked for a sign of life");
}

void Receiver::LoseConnection(const Error& why) {
  connection_.reset();
  stream_ = 0;
  renew_at_ = TimePoint::max();
  connect_at_ = SteadyClock::now() + connect_backoff_.Next();
  core::MutexLock lock(mutex_);
  renew_ = true;
  connected_ = false;
  if (member_) {
    member_->OnConnectionLost(SteadyClock::now());
    group_ids_.fill(0);
    answered_.notify_all();
  }
  if (question_ != nullptr && question_->id != 0) {
    question_->result = why;
    answered_.notify_all();
  }
}

TimePoint Receiver::SendDue(TimePoint now) {
  core::MutexLock lock(mutex_);
  if (renew_ || now >= renew_at_) Subscribe();
  if (stream_ != 0 && released_ >= credit_step_) {
    native::CreditRequest credit;
    credit.set_stream(stream_);
    credit.set_bytes(released_);
    released_ = 0;
    connection_->Send(native::FrameType::kCredit, credit);
  }
  if (question_ != nullptr && question_->id == 0) {
    question_->id = connection_->Send(question_->type, *question_->request);
  }
  const TimePoint next = std::min(renew_at_, AskIfSilent(now));
  return member_ ? std::min(next, SendForGroup(now)) : next;
}

void Receiver::Subscribe() {
  if (stream_ != 0) {
    native::UnsubscribeRequest end;
    end.set_stream(stream_);
    connection_->Send(native::FrameType::kUnsubscribe, end);
  }
  renew_ = false;
  renew_at_ = TimePoint::max();
  stream_ = 0;
  stream_slots_.clear();
  DropEvents();  // they come again: from where the decoder is
  released_ = 0;
  native::SubscribeRequest request;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].ended) continue;
    auto& entry = *request.add_partitions();
    entry.set_topic_id(options_.topic.id);
    entry.set_partition(slots_[i].partition);
    entry.set_offset(slots_[i].resume_offset);
    stream_slots_.push_back(i);
  }
  if (stream_slots_.empty()) return;
  request.set_credit(options_.window_size > held_ ? options_.window_size - held_ : 1);
  stream_ = connection_->Send(native::FrameType::kSubscribe, request);
}

Result<void> Receiver::ReadFrames() {
  while (true) {
    Result<std::optional<ReceivedFrame>> received = connection_->Read();
    if (!received) return received.error();
    if (!received->has_value()) return {};
    if (Result<void> handled = HandleFrame(std::move(**received)); !handled) return handled;
  }
}

Result<void> Receiver::HandleFrame(ReceivedFrame received) {
  core::MutexLock lock(mutex_);
  const native::Frame& frame = received.frame;
  if (frame.correlation_id == 0) return {};
  if (question_ != nullptr && question_->id == frame.correlation_id) {
    question_->result = ParseAnswer(frame, *question_->response);
    answered_.notify_all();
    return {};
  }
  if (member_ && HandleGroupAnswer(frame)) return {};
  // With `renew_` the caller has moved a position meanwhile, so what this stream brings is of no use.
  if (frame.correlation_id != stream_ || renew_) return {};
  if (frame.type == native::FrameType::kPush) return HandlePush(std::move(received));
  if (frame.type == native::FrameType::kStreamEnd) return HandleStreamEnd(frame);
  return HandleSubscribed(frame);
}

Result<void> Receiver::HandlePush(ReceivedFrame received) {
  native::Push push;
  if (absl::Status parsed = native::ParseHeader(received.frame.header, push); !parsed.ok())
    return ToError(parsed);
  if (push.index() >= stream_slots_.size()) {
    return NetworkError("the broker pushed partition index " + std::to_string(push.index()) + " of " +
                        std::to_string(stream_slots_.size()));
  }
  const std::size_t slot = stream_slots_[push.index()];
  slots_[slot].start_offset = push.start_offset();
  slots_[slot].high_watermark = push.high_watermark();
  held_ += received.frame.attachment.size();
  Enqueue({slot, std::move(received), push.high_watermark(), std::nullopt});
  return {};
}

Result<void> Receiver::HandleStreamEnd(const native::Frame& frame) {
  native::StreamEnd end;
  if (absl::Status parsed = native::ParseHeader(frame.header, end); !parsed.ok()) return ToError(parsed);
  if (end.index() >= stream_slots_.size()) return NetworkError("the broker ended an unknown partition");
  HandleEnd(stream_slots_[end.index()], end.error(), end.start_offset(), end.high_watermark());
  return {};
}

Result<void> Receiver::HandleSubscribed(const native::Frame& frame) {
  native::SubscribeResponse response;
  if (Result<void> parsed = ParseAnswer(frame, response); !parsed) {
    const Error& error = parsed.error();
    if (error.retriable && !IsTopicGone(error.code)) return parsed;
    for (const std::size_t slot : stream_slots_) Enqueue({slot, {}, -1, error});
    stream_ = 0;
    return {};
  }
  if (static_cast<std::size_t>(response.partitions_size()) != stream_slots_.size()) {
    return NetworkError("the broker answered another number of partitions than asked");
  }
  connect_backoff_.Reset();
  report_at_.reset();
  trouble_.reset();
  for (std::size_t i = 0; i < stream_slots_.size(); ++i) {
    const auto& entry = response.partitions(static_cast<int>(i));
    Slot& slot = slots_[stream_slots_[i]];
    if (Failed(entry.error())) {
      HandleEnd(stream_slots_[i], entry.error(), entry.start_offset(), entry.high_watermark());
    } else {
      slot.start_offset = entry.start_offset();
      slot.high_watermark = entry.high_watermark();
    }
  }
  return {};
}

void Receiver::HandleEnd(std::size_t slot, const native::Error& error, std::int64_t start_offset,
                         std::int64_t high_watermark) {
  if (error.retriable() && !IsTopicGone(error.code())) {
    if (renew_at_ == TimePoint::max()) renew_at_ = SteadyClock::now() + connect_backoff_.Next();
    again_ = true;
    return;
  }
  if (error.code() == static_cast<int>(ErrorCode::kOffsetOutOfRange)) {
    slots_[slot].start_offset = start_offset;
    slots_[slot].high_watermark = high_watermark;
  }
  Error ended = ToError(error, PartitionName(options_.topic.name, slots_[slot].partition));
  Enqueue({slot, {}, high_watermark, std::move(ended)});
}

void Receiver::Enqueue(StreamEvent event) {
  events_.push_back(std::move(event));
  SignalNews();
}

void Receiver::SignalNews() {
  if (caller_waits_) news_.Signal();
  caller_waits_ = false;
}

}  // namespace headrace
