// Produce: hands each batch to its partition, and answers when all have reached their durability.
#include <atomic>

#include "absl/strings/str_cat.h"
#include "broker/native/request.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::native {
namespace {

// One request until it is answered. Its entries are filled on the threads that finish them, each its own; the
// last one to finish answers.
class ProduceOperation : public std::enable_shared_from_this<ProduceOperation> {
 public:
  ProduceOperation(const Request& request, bool no_reply, int partitions)
      : request_(request), no_reply_(no_reply), left_(partitions + 1) {
    for (int i = 0; i < partitions; ++i) response_.add_partitions();
  }

  // `size`: bytes as they were sent.
  void Finish(int index, std::size_t size, const absl::StatusOr<topic::AppendOutcome>& outcome) {
    if (outcome.ok() && !outcome->duplicate) {
      request_.services->count_produced(static_cast<std::uint32_t>(outcome->record_count), size);
    }
    ProduceResponse::Partition* partition = response_.mutable_partitions(index);
    if (outcome.ok()) {
      partition->set_base_offset(outcome->base_offset);
      partition->set_duplicate(outcome->duplicate);
      partition->set_log_append_time_ms(outcome->log_append_time);
    } else {
      partition->set_base_offset(-1);
      FillError(outcome.status(), partition->mutable_error());
    }
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      request_.channel->Post([self = shared_from_this()] { self->AnswerOnce(); });
    }
  }

  // All entries have been handed out. On the reactor thread.
  void Handed(std::uint32_t timeout_ms) {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) return AnswerOnce();
    const auto deadline = request_.services->clock->MonotonicNow() + std::chrono::milliseconds(timeout_ms);
    timer_ = request_.channel->StartTimer(deadline, [self = shared_from_this()] { self->TimeOut(); });
  }

 private:
  void AnswerOnce() {
    if (timer_ != 0) request_.channel->CancelTimer(timer_);
    if (std::exchange(answered_, true)) return;
    if (no_reply_) return request_.channel->FinishRequest(request_.size);
    Answer(request_, response_);
  }

  void TimeOut() {
    timer_ = 0;
    if (std::exchange(answered_, true)) return;
    if (no_reply_) return request_.channel->FinishRequest(request_.size);
    AnswerError(request_,
                MakeError(ErrorCode::kRequestTimedOut,
                          "the batches did not reach the disk in time; they may still be appended"));
  }

  const Request request_;
  const bool no_reply_;
  std::atomic<int> left_;
  ProduceResponse response_;
  net::TimerId timer_ = 0;  // this and answered_: reactor thread only
  bool answered_ = false;
};

void AppendOne(const Request& request, const ProduceRequest::Partition& entry, MutableByteSpan bytes,
               int index, const std::shared_ptr<ProduceOperation>& operation) {
  const auto partition = FindPartition(*request.services, entry.topic_id(), entry.topic(), entry.partition());
  if (!partition.ok()) return operation->Finish(index, bytes.size(), partition.status());
  topic::AppendRequest append;
  append.owner = request.owner;
  append.bytes = bytes;
  append.done = [operation, index, size = bytes.size()](const absl::StatusOr<topic::AppendOutcome>& outcome) {
    operation->Finish(index, size, outcome);
  };
  (*partition)->Produce(std::move(append));
}

absl::Status CheckSizes(const ProduceRequest& message, std::size_t attachment_size) {
  std::uint64_t total = 0;
  for (const ProduceRequest::Partition& entry : message.partitions()) total += entry.size();
  if (total == attachment_size) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("the batches' sizes add up to ", total, " bytes and the attachment has ",
                                attachment_size));
}

}  // namespace

void HandleProduce(const Request& request) {
  ProduceRequest message;
  absl::Status status = ParseHeader(request.frame.header, message);
  if (status.ok()) status = CheckSizes(message, request.frame.attachment.size());
  if (!status.ok()) return AnswerError(request, status);
  const auto operation =
      std::make_shared<ProduceOperation>(request, message.no_reply(), message.partitions_size());
  MutableByteSpan rest = request.frame.attachment;
  for (int i = 0; i < message.partitions_size(); ++i) {
    const ProduceRequest::Partition& entry = message.partitions(i);
    AppendOne(request, entry, rest.first(entry.size()), i, operation);
    rest = rest.subspan(entry.size());
  }
  operation->Handed(message.timeout_ms() == 0 ? request.services->limits.produce_timeout_ms
                                              : message.timeout_ms());
}

void HandleInitProducer(const Request& request) {
  RunBlocking<InitProducerRequest>(request,
                                   [](Services& services, const InitProducerRequest& message)
                                       -> absl::StatusOr<std::unique_ptr<google::protobuf::MessageLite>> {
                                     // Proto3's default 0 is a valid id, so "none" is -1 or an epoch below 0.
                                     const topic::ProducerIdentity former{
                                         message.producer_epoch() < 0 ? kNoProducerId : message.producer_id(),
                                         static_cast<std::int16_t>(message.producer_epoch())};
                                     ASSIGN_OR_RETURN(const topic::ProducerIdentity identity,
                                                      services.producer_ids->Next(former));
                                     auto response = std::make_unique<InitProducerResponse>();
                                     response->set_producer_id(identity.id);
                                     response->set_producer_epoch(identity.epoch);
                                     return response;
                                   });
}

}  // namespace headrace::native
