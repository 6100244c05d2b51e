#include "tests/support/fake_broker.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "client/error.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_iterator.h"
#include "protocol/core/status_macros.h"

namespace headrace::test {
namespace {

constexpr std::size_t kDecompressedMax = 64U << 20;
constexpr std::size_t kRecordCountAt = 57;  // of a batch

TimePoint FarAway() {
  return DeadlineAfter(std::chrono::hours(1));
}

template <typename Message>
Message Parse(const native::Frame& frame) {
  Message message;
  HEADRACE_CHECK(native::ParseHeader(frame.header, message).ok());
  return message;
}

void Reply(std::string& output, const native::Frame& request, const google::protobuf::MessageLite& header) {
  native::AppendFrame(output, request.type, native::kFrameFlagResponse, request.correlation_id, header);
}

void SetError(native::Error& error, ErrorCode code) {
  error.set_code(static_cast<int>(code));
  error.set_message(std::string(NameOf(code)) + " on request of the test");
  error.set_retriable(IsRetriable(code));
}

// Exactly `bytes.size()` bytes; false at the end of the stream, or once the session is woken to be dropped.
bool ReceiveAll(int fd, MutableByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

bool SendAll(int fd, std::string& output) {
  std::string_view rest = output;
  while (!rest.empty()) {
    const ssize_t count = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  output.clear();
  return true;
}

}  // namespace

FakeBroker::FakeBroker(std::uint32_t partitions) : groups_(partitions), partitions_(partitions) {
  Start();
}

FakeBroker::~FakeBroker() {
  Stop();
}

void FakeBroker::Start() {
  listener_ = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_);
  socklen_t size = sizeof address;
  HEADRACE_CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  HEADRACE_CHECK(::listen(listener_.get(), 64) == 0);
  HEADRACE_CHECK(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  stop_.Drain();
  accept_thread_ = std::thread([this] { Accept(); });
}

void FakeBroker::Stop() {
  stop_.Signal();
  if (accept_thread_.joinable()) accept_thread_.join();
  listener_ = FileDescriptor();
  CloseSessions();
}

void FakeBroker::CloseSessions() {
  std::list<Session> closing;
  {
    core::MutexLock lock(mutex_);
    closing.swap(sessions_);
  }
  for (Session& session : closing) {
    session.dropped.store(true);
    ::shutdown(session.fd.get(), SHUT_RDWR);
    session.wakeup.Signal();
    session.thread.join();
  }
}

void FakeBroker::WakeSessions() {
  core::MutexLock lock(mutex_);
  for (Session& session : sessions_) session.wakeup.Signal();
}

void FakeBroker::Accept() {
  while (true) {
    const Result<bool> ready = WaitFor(listener_.get(), POLLIN, FarAway(), &stop_);
    if (!ready) return;
    FileDescriptor fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) continue;
    ++accepted_;
    core::MutexLock lock(mutex_);
    Session& session = sessions_.emplace_back();
    session.fd = std::move(fd);
    session.thread = std::thread([this, &session] { Serve(session); });
  }
}

void FakeBroker::Serve(Session& session) {
  const int fd = session.fd.get();
  std::array<std::byte, native::kPrefaceSize> preface;
  bool open = ReceiveAll(fd, preface) && AsText(preface) == native::kPreface;
  while (open && !session.dropped.load()) {
    const Result<bool> ready = WaitFor(fd, POLLIN, FarAway(), &session.wakeup);
    if (ready) {
      std::array<std::byte, native::kFrameLengthSize> length;
      if (!ReceiveAll(fd, length)) break;
      std::vector<std::byte> bytes(LoadBigEndian<std::uint32_t>(length.data()));
      if (!ReceiveAll(fd, bytes)) break;
      ++frames_;
      absl::StatusOr<native::Frame> frame = native::ParseFrame(bytes);
      open = frame.ok() && (silent_.load() || HandleFrame(session, *frame));
    } else {
      session.wakeup.Drain();
    }
    if (silent_.load()) continue;
    if (open) Pump(session);
    open = open && SendAll(fd, session.output);
  }
  ::shutdown(fd, SHUT_RDWR);
}

bool FakeBroker::HandleFrame(Session& session, native::Frame frame) {
  switch (frame.type) {
    case native::FrameType::kHello: {
      native::HelloResponse hello;
      hello.set_version(native::kProtocolVersion);
      hello.set_broker_software("fake");
      hello.set_batch_size_max(1U << 20);
      Reply(session.output, frame, hello);
      return true;
    }
    case native::FrameType::kInitProducer: {
      const auto request = Parse<native::InitProducerRequest>(frame);
      core::MutexLock lock(mutex_);
      native::InitProducerResponse response;
      response.set_producer_id(request.producer_id() >= 0 ? request.producer_id() : next_producer_id_++);
      response.set_producer_epoch(request.producer_id() >= 0 ? request.producer_epoch() + 1 : 0);
      Reply(session.output, frame, response);
      return true;
    }
    case native::FrameType::kProduce:
      return HandleProduce(session, frame);
    case native::FrameType::kSubscribe:
    case native::FrameType::kCredit:
    case native::FrameType::kUnsubscribe:
      return HandleStreams(session, frame);
    case native::FrameType::kDescribeTopics:
      return HandleTopics(session, frame);
    case native::FrameType::kGroupHeartbeat:
      return HandleGroup(session, frame);
    default:
      return HandleOffsets(session, frame);
  }
}

bool FakeBroker::HandleTopics(Session& session, const native::Frame& frame) {
  const auto request = Parse<native::DescribeTopicsRequest>(frame);
  native::DescribeTopicsResponse response;
  core::MutexLock lock(mutex_);
  for (const std::string& name : request.topics()) {
    native::TopicDescription& topic = *response.add_topics();
    topic.set_topic(name);
    if (name != "orders") {
      SetError(*topic.mutable_error(), ErrorCode::kUnknownTopicOrPartition);
      continue;
    }
    topic.set_topic_id(topic_id_);
    topic.set_partition_count(static_cast<std::uint32_t>(partitions_.size()));
  }
  Reply(session.output, frame, response);
  return true;
}

bool FakeBroker::HandleOffsets(Session& session, const native::Frame& frame) {
  core::MutexLock lock(mutex_);
  if (frame.type == native::FrameType::kListOffsets) {
    const auto request = Parse<native::ListOffsetsRequest>(frame);
    native::ListOffsetsResponse response;
    for (const auto& entry : request.partitions()) {
      const Partition& partition = partitions_.at(entry.partition());
      const bool start = entry.kind() == native::ListOffsetsRequest::START;
      response.add_partitions()->set_offset(start ? partition.start : partition.end);
    }
    Reply(session.output, frame, response);
    return true;
  }
  if (frame.type == native::FrameType::kCommitOffset) {
    const auto request = Parse<native::CommitOffsetRequest>(frame);
    native::CommitOffsetResponse response;
    const ErrorCode refused = groups_.CheckCommit(request);
    for (const auto& entry : request.partitions()) {
      if (refused != ErrorCode::kNone) {
        SetError(*response.add_errors(), refused);
        continue;
      }
      committed_[{request.consumer(), entry.partition()}] = entry.offset();
      response.add_errors();
    }
    Reply(session.output, frame, response);
    return true;
  }
  if (frame.type != native::FrameType::kFetchOffset) return false;
  const auto request = Parse<native::FetchOffsetRequest>(frame);
  native::FetchOffsetResponse response;
  for (const auto& entry : request.partitions()) {
    auto& answer = *response.add_partitions();
    const auto at = committed_.find({request.consumer(), entry.partition()});
    answer.set_topic("orders");
    answer.set_partition(entry.partition());
    answer.set_offset(at == committed_.end() ? -1 : at->second);
  }
  Reply(session.output, frame, response);
  return true;
}

bool FakeBroker::HandleGroup(Session& session, const native::Frame& frame) {
  const auto answer = groups_.Heartbeat(Parse<native::GroupHeartbeatRequest>(frame));
  if (answer.ok()) {
    Reply(session.output, frame, *answer);
    return true;
  }
  native::ErrorResponse refusal;
  SetError(*refusal.mutable_error(), CodeOf(answer.status()));
  native::AppendFrame(session.output, native::FrameType::kError, native::kFrameFlagResponse,
                      frame.correlation_id, refusal);
  return true;
}

bool FakeBroker::HandleProduce(Session& session, const native::Frame& frame) {
  const auto request = Parse<native::ProduceRequest>(frame);
  native::ProduceResponse response;
  bool silent = request.no_reply();
  MutableByteSpan rest = frame.attachment;
  {
    core::MutexLock lock(mutex_);
    for (const auto& entry : request.partitions()) {
      auto& answer = *response.add_partitions();
      if (entry.topic_id() != topic_id_) {
        SetError(*answer.mutable_error(), ErrorCode::kUnknownTopicId);
      } else if (!AppendProduced(entry.partition(), rest.first(entry.size()), answer, silent)) {
        return false;
      }
      rest = rest.subspan(entry.size());
    }
  }
  WakeSessions();
  if (!silent) Reply(session.output, frame, response);
  return true;
}

bool FakeBroker::AppendProduced(std::uint32_t number, MutableByteSpan bytes,
                                native::ProduceResponse::Partition& answer, bool& silent) {
  Partition& partition = partitions_.at(number);
  const absl::StatusOr<RecordBatchView> batch = RecordBatchView::Parse(bytes);
  if (!batch.ok() || !batch->CheckProduced().ok()) {
    SetError(*answer.mutable_error(), ErrorCode::kCorruptMessage);
    return true;
  }
  const Fault fault = faults_ ? faults_(number, batch->base_sequence()) : Fault::kNone;
  if (fault == Fault::kDropBeforeAppend) return false;
  if (fault == Fault::kForgetProducer) partition.producers.clear();
  if (fault == Fault::kRefuseRetriable) SetError(*answer.mutable_error(), ErrorCode::kDiskFull);
  if (fault == Fault::kRefuseForGood) SetError(*answer.mutable_error(), ErrorCode::kInvalidRecord);
  if (fault == Fault::kRefuseRetriable || fault == Fault::kRefuseForGood) return true;
  if (const std::optional<int> code = CheckSequence(partition, *batch, answer)) {
    if (*code != 0) SetError(*answer.mutable_error(), static_cast<ErrorCode>(*code));
    return fault != Fault::kDropAfterAppend;
  }
  answer.set_base_offset(partition.end);
  Store(partition, bytes);
  if (fault == Fault::kTimeOutAppended) SetError(*answer.mutable_error(), ErrorCode::kRequestTimedOut);
  if (fault == Fault::kNoAnswer) silent = true;
  return fault != Fault::kDropAfterAppend;
}

std::optional<int> FakeBroker::CheckSequence(Partition& partition, const RecordBatchView& batch,
                                             native::ProduceResponse::Partition& answer) {
  if (batch.producer_id() == kNoProducerId) return std::nullopt;
  Producer& producer = partition.producers[batch.producer_id()];
  if (batch.producer_epoch() < producer.epoch) return static_cast<int>(ErrorCode::kInvalidProducerEpoch);
  if (batch.producer_epoch() > producer.epoch) {
    if (batch.base_sequence() != 0) return static_cast<int>(ErrorCode::kOutOfOrderSequence);
    producer = {batch.producer_epoch(), 0, {}};
  }
  for (const auto& [sequence, offset] : producer.last) {
    if (sequence != batch.base_sequence()) continue;
    answer.set_base_offset(offset);
    answer.set_duplicate(true);
    return 0;
  }
  if (batch.base_sequence() != producer.next) return static_cast<int>(ErrorCode::kOutOfOrderSequence);
  producer.next = NextSequence(LastSequence(producer.next, batch.record_count()));
  producer.last.emplace_back(batch.base_sequence(), partition.end);
  if (producer.last.size() > 5) producer.last.erase(producer.last.begin());
  return std::nullopt;
}

void FakeBroker::Store(Partition& partition, MutableByteSpan bytes) {
  StampBatch(bytes, partition.end, 0);
  const std::int32_t count = RecordBatchView::Parse(bytes)->last_offset_delta() + 1;
  partition.batches.push_back({partition.end, count, {bytes.begin(), bytes.end()}});
  partition.end += count;
}

bool FakeBroker::HandleStreams(Session& session, const native::Frame& frame) {
  const auto find = [&](std::uint32_t id) {
    return std::find_if(session.streams.begin(), session.streams.end(),
                        [id](const Stream& s) { return s.id == id; });
  };
  if (frame.type == native::FrameType::kCredit) {
    const auto request = Parse<native::CreditRequest>(frame);
    ++credit_requests_;
    if (const auto at = find(request.stream()); at != session.streams.end()) {
      at->credit += static_cast<std::int64_t>(request.bytes());
    }
    return true;
  }
  if (frame.type == native::FrameType::kUnsubscribe) {
    const auto at = find(Parse<native::UnsubscribeRequest>(frame).stream());
    if (at != session.streams.end()) session.streams.erase(at);
    Reply(session.output, frame, native::EmptyResponse());
    return true;
  }
  const auto request = Parse<native::SubscribeRequest>(frame);
  native::SubscribeResponse response;
  Stream stream{frame.correlation_id, static_cast<std::int64_t>(request.credit()), {}};
  core::MutexLock lock(mutex_);
  for (const auto& entry : request.partitions()) {
    auto& answer = *response.add_partitions();
    const Partition& partition = partitions_.at(entry.partition());
    answer.set_start_offset(partition.start);
    answer.set_high_watermark(partition.end);
    const bool known = entry.topic_id() == topic_id_;
    const bool inside = entry.offset() >= partition.start && entry.offset() <= partition.end;
    if (!known) SetError(*answer.mutable_error(), ErrorCode::kUnknownTopicId);
    if (known && !inside) SetError(*answer.mutable_error(), ErrorCode::kOffsetOutOfRange);
    stream.positions.emplace_back(entry.partition(), known && inside ? entry.offset() : -1);
  }
  session.streams.push_back(std::move(stream));
  Reply(session.output, frame, response);
  return true;
}

void FakeBroker::Pump(Session& session) {
  core::MutexLock lock(mutex_);
  for (Stream& stream : session.streams) {
    for (std::size_t i = 0; i < stream.positions.size(); ++i) {
      auto& [number, offset] = stream.positions[i];
      const Partition& partition = partitions_[number];
      for (const Stored& batch : partition.batches) {
        if (offset < 0 || stream.credit <= 0) break;
        if (batch.offset + batch.count <= offset) continue;
        native::Push push;
        push.set_index(static_cast<std::uint32_t>(i));
        push.set_start_offset(partition.start);
        push.set_high_watermark(partition.end);
        native::AppendFrame(session.output, native::FrameType::kPush, native::kFrameFlagResponse, stream.id,
                            push, batch.bytes.size());
        session.output += AsText(batch.bytes);
        stream.credit -= static_cast<std::int64_t>(batch.bytes.size());
        pushed_ += batch.bytes.size();
        offset = batch.offset + batch.count;
      }
    }
  }
}

void FakeBroker::SetFaults(FaultPlan plan) {
  core::MutexLock lock(mutex_);
  faults_ = std::move(plan);
}

void FakeBroker::RecreateTopic() {
  core::MutexLock lock(mutex_);
  topic_id_ = "fedcba9876543210";
}

void FakeBroker::Append(std::uint32_t partition, const std::vector<std::string>& values,
                        Compression compression) {
  RecordBatchBuilder builder(compression);
  for (const std::string& value : values) {
    RecordView record;
    record.value = AsBytes(value);
    builder.Add(record);
  }
  absl::StatusOr<std::vector<std::byte>> batch = builder.Build();
  HEADRACE_CHECK(batch.ok());
  {
    core::MutexLock lock(mutex_);
    Store(partitions_.at(partition), *batch);
  }
  WakeSessions();
}

void FakeBroker::AppendCompacted(std::uint32_t number, std::int32_t count,
                                 const std::vector<std::int32_t>& kept) {
  RecordBatchBuilder builder;
  for (std::int32_t i = 0; i < count; ++i) builder.Add({});
  std::vector<std::byte> batch = *builder.Build();
  batch.resize(kBatchHeaderSize);
  for (const std::int32_t delta : kept) {
    RecordView record;
    record.offset = delta;
    record.value = AsBytes("kept");
    AppendRecord(batch, record, 0, 0);
  }
  StoreBigEndian(batch.data() + kRecordCountAt, static_cast<std::int32_t>(kept.size()));
  SealBatch(batch);
  {
    core::MutexLock lock(mutex_);
    Store(partitions_.at(number), batch);
  }
  WakeSessions();
}

void FakeBroker::Damage(std::uint32_t partition, std::int64_t offset) {
  core::MutexLock lock(mutex_);
  for (Stored& batch : partitions_.at(partition).batches) {
    if (batch.offset == offset) batch.bytes.back() ^= std::byte{0x40};
  }
}

void FakeBroker::DamageSize(std::uint32_t partition, std::int64_t offset) {
  core::MutexLock lock(mutex_);
  for (Stored& batch : partitions_.at(partition).batches) {
    if (batch.offset == offset) batch.bytes[kBatchLengthEnd - 1] ^= std::byte{0xFF};
  }
}

void FakeBroker::TrimTo(std::uint32_t partition, std::int64_t offset) {
  core::MutexLock lock(mutex_);
  partitions_.at(partition).start = offset;
}

std::vector<std::string> FakeBroker::Values(std::uint32_t partition) const {
  core::MutexLock lock(mutex_);
  std::vector<std::string> values;
  for (const Stored& batch : partitions_.at(partition).batches) {
    absl::StatusOr<RecordIterator> records =
        RecordIterator::Open(*RecordBatchView::Parse(batch.bytes), kDecompressedMax);
    HEADRACE_CHECK(records.ok());
    while (records->Next()) values.emplace_back(AsText(records->record().value.value()));
    HEADRACE_CHECK(records->status().ok());
  }
  return values;
}

std::vector<std::size_t> FakeBroker::BatchSizes(std::uint32_t partition) const {
  core::MutexLock lock(mutex_);
  std::vector<std::size_t> counts;
  for (const Stored& batch : partitions_.at(partition).batches)
    counts.push_back(static_cast<std::size_t>(batch.count));
  return counts;
}

std::map<std::pair<std::string, std::uint32_t>, std::int64_t> FakeBroker::committed() const {
  core::MutexLock lock(mutex_);
  return committed_;
}

void FakeBroker::SetCommitted(const std::string& group, std::uint32_t partition, std::int64_t offset) {
  core::MutexLock lock(mutex_);
  committed_[{group, partition}] = offset;
}

}  // namespace headrace::test
