// Produce: hands each batch to its partition, and answers when all have reached their durability.
#include <limits>

#include "absl/strings/str_cat.h"
#include "broker/native/request.h"
#include "broker/topic/produce_join.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::native {
namespace {

constexpr std::int32_t kProducerEpochMax = std::numeric_limits<std::int16_t>::max();

// One request until its last batch has ended. The response's entries are filled on the threads that end their
// batches, each its own.
struct Produce {
  Request request;
  bool no_reply = false;
  ProduceResponse response;
};

// `size`: bytes as they were sent.
void Fill(const Services& services, std::size_t size, const absl::StatusOr<topic::AppendOutcome>& outcome,
          ProduceResponse::Partition& entry) {
  if (!outcome.ok()) {
    entry.set_base_offset(-1);
    return FillError(outcome.status(), entry.mutable_error());
  }
  if (!outcome->duplicate) services.count_produced(static_cast<std::uint32_t>(outcome->record_count), size);
  entry.set_base_offset(outcome->base_offset);
  entry.set_duplicate(outcome->duplicate);
  entry.set_log_append_time_ms(outcome->log_append_time);
}

void End(const Produce& produce, const absl::Status& first_error, bool late) {
  if (!produce.no_reply && !late) return Answer(produce.request, produce.response);
  if (!produce.no_reply || first_error.ok()) {
    return produce.request.channel->FinishRequest(produce.request.size);
  }
  // Not a reply but the end: whoever wants none would not notice anything less.
  AnswerError(produce.request, first_error);
  produce.request.channel->Close(absl::StrCat("no-reply produce failed: ", first_error.message()));
}

void AnswerLate(Request request) {
  request.size = 0;  // the batches hold their memory until they end
  AnswerError(request, MakeError(ErrorCode::kRequestTimedOut,
                                 "the batches did not reach the disk in time; they may still be appended"));
}

// Appends the batch of one entry, `bytes`, and fills its answer when it has ended.
void AppendOne(const std::shared_ptr<Produce>& produce, const std::shared_ptr<topic::ProduceJoin>& join,
               const ProduceRequest::Partition& entry, MutableByteSpan bytes,
               ProduceResponse::Partition& answer) {
  const Request& request = produce->request;
  topic::AppendRequest append;
  append.owner = request.owner;
  append.bytes = bytes;
  append.done = [produce, join, &answer,
                 size = bytes.size()](const absl::StatusOr<topic::AppendOutcome>& outcome) {
    Fill(*produce->request.services, size, outcome, answer);
    join->Finish(outcome.status());
  };
  join->Add();
  const auto partition = FindPartition(*request.services, entry.topic_id(), entry.topic(), entry.partition());
  if (!partition.ok()) return append.done(partition.status());
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

absl::StatusOr<std::unique_ptr<google::protobuf::MessageLite>> InitProducer(
    Services& services, const InitProducerRequest& message) {
  topic::ProducerIdentity former{kNoProducerId, -1};
  if (message.has_producer_id() && message.producer_id() != kNoProducerId) {
    const std::int32_t epoch = message.producer_epoch();
    if (epoch < -1 || epoch > kProducerEpochMax) {
      return MakeError(ErrorCode::kInvalidRequest, absl::StrCat("producer epoch ", epoch, "; from -1 to ",
                                                                kProducerEpochMax, " are allowed"));
    }
    former = {message.producer_id(), static_cast<std::int16_t>(epoch)};
  }
  ASSIGN_OR_RETURN(const topic::ProducerIdentity identity, services.producer_ids->Next(former));
  auto response = std::make_unique<InitProducerResponse>();
  response->set_producer_id(identity.id);
  response->set_producer_epoch(identity.epoch);
  return response;
}

}  // namespace

void HandleProduce(const Request& request) {
  ProduceRequest message;
  absl::Status status = ParseRequest(request, message);
  if (status.ok()) status = CheckSizes(message, request.frame.attachment.size());
  if (!status.ok()) return AnswerError(request, status);
  const auto produce = std::make_shared<Produce>();
  produce->request = request;
  produce->no_reply = message.no_reply();
  // All of them before the first is handed out: they must not move.
  for (int i = 0; i < message.partitions_size(); ++i) produce->response.add_partitions();
  const auto join = std::make_shared<topic::ProduceJoin>(
      request.channel, [request] { AnswerLate(request); },
      [produce](const absl::Status& error, bool late) { End(*produce, error, late); });
  MutableByteSpan rest = request.frame.attachment;
  for (int i = 0; i < message.partitions_size(); ++i) {
    const ProduceRequest::Partition& entry = message.partitions(i);
    AppendOne(produce, join, entry, rest.first(entry.size()), *produce->response.mutable_partitions(i));
    rest = rest.subspan(entry.size());
  }
  if (message.no_reply()) return join->Await(std::nullopt);
  const std::uint32_t timeout_ms =
      message.timeout_ms() == 0 ? request.services->limits.produce_timeout_ms : message.timeout_ms();
  join->Await(request.services->clock->MonotonicNow() + std::chrono::milliseconds(timeout_ms));
}

void HandleInitProducer(const Request& request) {
  RunBlocking<InitProducerRequest>(request, InitProducer);
}

}  // namespace headrace::native
