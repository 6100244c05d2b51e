// Produce: each batch goes to its partition, and the answer waits until all have reached their durability.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "broker/kafka/handlers.h"
#include "broker/topic/produce_join.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_batch.h"
#include "protocol/core/status_macros.h"

namespace headrace::kafka {
namespace {

constexpr std::size_t kMagicPosition = 16;
constexpr std::int16_t kZstdVersion = 7;  // the first version of Produce that may carry zstd

// One request until its last batch has ended. The response's entries are filled on the threads that end their
// batches, each its own.
struct Produce {
  Request request;
  bool replies = true;
  ProduceResponse response;
};

// An entry for each that was asked for, in order.
ProduceResponse Outline(const ProduceRequest& message) {
  ProduceResponse response;
  for (const ProduceRequest::Topic& asked : message.topics) {
    ProduceResponse::Topic& topic = response.topics.emplace_back();
    topic.name = asked.name;
    topic.id = asked.id;
    for (const ProduceRequest::Partition& partition : asked.partitions) {
      topic.partitions.emplace_back().index = partition.index;
    }
  }
  return response;
}

void Fill(const Services& services, std::size_t size, const absl::StatusOr<topic::AppendOutcome>& outcome,
          ProduceResponse::Partition& entry) {
  if (!outcome.ok()) {
    entry.error = WireCode(outcome.status());
    entry.error_message = WireMessage(outcome.status());
    return;
  }
  if (!outcome->duplicate) services.count_produced(static_cast<std::uint32_t>(outcome->record_count), size);
  entry.base_offset = outcome->base_offset;
  entry.log_append_time = outcome->log_append_time;
  entry.log_start_offset = outcome->log_start_offset;
}

void End(const Produce& produce, const absl::Status& first_error, bool late) {
  const Request& request = produce.request;
  if (late) return request.channel->FinishRequest(request.size);
  if (produce.replies) return Answer(request, produce.response);
  AnswerNothing(request);
  // Nobody reads an error where no answer is wanted; a closed connection is noticed.
  if (!first_error.ok()) {
    request.channel->Close(absl::StrCat("no-reply produce failed: ", first_error.message()));
  }
}

// Reads of the response only what stood there before the first batch was handed out: the rest may just be
// written to.
void AnswerLate(const Produce& produce) {
  ProduceResponse response;
  for (const ProduceResponse::Topic& topic : produce.response.topics) {
    ProduceResponse::Topic& late = response.topics.emplace_back();
    late.name = topic.name;
    late.id = topic.id;
    for (const ProduceResponse::Partition& partition : topic.partitions) {
      ProduceResponse::Partition& entry = late.partitions.emplace_back();
      entry.index = partition.index;
      entry.error = ErrorCode::kRequestTimedOut;
      entry.error_message = "the batch did not reach the disk in time; it may still be appended";
    }
  }
  Request request = produce.request;
  request.size = 0;  // the batches hold their memory until they end
  Answer(request, response);
}

absl::Status CheckRequest(const ProduceRequest& message) {
  if (message.acks < -1 || message.acks > 1) {
    return MakeError(ErrorCode::kInvalidRequiredAcks,
                     absl::StrCat("acks is ", message.acks, "; it must be 0, 1 or -1 (all)"));
  }
  return absl::OkStatus();
}

// What is Kafka's own to check; the rest is Partition::Produce's.
absl::Status CheckFormat(const Request& request, const topic::Partition& partition, ByteSpan bytes) {
  if (bytes.size() > kMagicPosition && bytes[kMagicPosition] < std::byte{2}) {
    return MakeError(
        ErrorCode::kUnsupportedForMessageFormat,
        absl::StrCat(partition.name(), ": message format ", static_cast<int>(bytes[kMagicPosition]),
                     " is not supported; the record batch, format 2, is (Kafka 0.11 and later)"));
  }
  const auto view = RecordBatchView::Parse(bytes);
  if (view.ok() && view->compression() == Compression::kZstd && request.version < kZstdVersion) {
    return MakeError(ErrorCode::kUnsupportedCompressionType,
                     absl::StrCat("zstd needs Produce version ", kZstdVersion, " or later"));
  }
  return absl::OkStatus();
}

absl::Status Append(const Request& request, const ProduceRequest::Topic& topic,
                    const ProduceRequest::Partition& asked, topic::AppendRequest& append) {
  ASSIGN_OR_RETURN(const auto partition,
                   request.services->topics->FindPartition(topic.id, topic.name, asked.index));
  RETURN_IF_ERROR(CheckFormat(request, *partition, asked.records.bytes));
  partition->Produce(std::move(append));
  return absl::OkStatus();
}

// Appends the batch of one entry, unless the request as a whole is refused by `status`.
void AppendOne(const std::shared_ptr<Produce>& produce, const std::shared_ptr<topic::ProduceJoin>& join,
               absl::Status status, const ProduceRequest::Topic& topic,
               const ProduceRequest::Partition& asked, ProduceResponse::Partition& entry) {
  topic::AppendRequest append;
  append.owner = produce->request.owner;
  append.bytes = asked.records.bytes;
  append.done = [produce, join, &entry,
                 size = append.bytes.size()](const absl::StatusOr<topic::AppendOutcome>& outcome) {
    Fill(*produce->request.services, size, outcome, entry);
    join->Finish(outcome.status());
  };
  join->Add();
  if (status.ok()) status = Append(produce->request, topic, asked, append);
  if (!status.ok()) append.done(status);
}

}  // namespace

void HandleProduce(const Request& request, ProduceRequest message) {
  const auto produce = std::make_shared<Produce>();
  produce->request = request;
  produce->replies = message.acks != 0;
  produce->response = Outline(message);
  const auto join = std::make_shared<topic::ProduceJoin>(
      request.channel, [produce] { AnswerLate(*produce); },
      [produce](const absl::Status& error, bool late) { End(*produce, error, late); });
  const absl::Status status = CheckRequest(message);
  for (std::size_t i = 0; i < message.topics.size(); ++i) {
    const ProduceRequest::Topic& topic = message.topics[i];
    for (std::size_t j = 0; j < topic.partitions.size(); ++j) {
      AppendOne(produce, join, status, topic, topic.partitions[j], produce->response.topics[i].partitions[j]);
    }
  }
  if (!produce->replies) return join->Await(std::nullopt);
  // The client's timeout is for acks=all (-1) only; one of 0 would make an error of most that is appended.
  const int timeout_max_ms = request.services->produce_timeout_max_ms;
  const bool own = message.acks == -1 && message.timeout_ms > 0;
  const int timeout_ms = own ? std::min(message.timeout_ms, timeout_max_ms) : timeout_max_ms;
  join->Await(request.services->clock->MonotonicNow() + std::chrono::milliseconds(timeout_ms));
}

}  // namespace headrace::kafka
