// Produce: each batch goes to its partition, and the answer waits until all have reached their durability.
#include <atomic>

#include "absl/strings/str_cat.h"
#include "broker/kafka/handlers.h"
#include "protocol/core/error_code.h"
#include "protocol/core/record_batch.h"
#include "protocol/core/status_macros.h"

namespace headrace::kafka {
namespace {

constexpr std::size_t kMagicPosition = 16;
constexpr std::int16_t kZstdVersion = 7;  // the first version of Produce that may carry zstd

// One request until it is answered. Its entries are filled on the threads that finish them, each its own; the
// last one to finish answers.
class ProduceOperation : public std::enable_shared_from_this<ProduceOperation> {
 public:
  ProduceOperation(const Request& request, const ProduceRequest& message)
      : request_(request), replies_(message.acks != 0) {
    for (const ProduceRequest::Topic& asked : message.topics) {
      ProduceResponse::Topic& topic = response_.topics.emplace_back();
      topic.name = asked.name;
      topic.id = asked.id;
      for (const ProduceRequest::Partition& partition : asked.partitions) {
        topic.partitions.emplace_back().index = partition.index;
      }
      left_ += static_cast<int>(asked.partitions.size());
    }
  }

  ProduceResponse::Partition& entry(std::size_t topic, std::size_t partition) {
    return response_.topics[topic].partitions[partition];
  }

  void Finish(ProduceResponse::Partition& entry, std::size_t size,
              const absl::StatusOr<topic::AppendOutcome>& outcome) {
    if (outcome.ok()) {
      if (!outcome->duplicate) {
        request_.services->count_produced(static_cast<std::uint32_t>(outcome->record_count), size);
      }
      entry.base_offset = outcome->base_offset;
      entry.log_append_time = outcome->log_append_time;
      entry.log_start_offset = outcome->log_start_offset;
    } else {
      entry.error = WireCode(outcome.status());
      entry.error_message = WireMessage(outcome.status());
      failed_.store(true, std::memory_order_relaxed);
    }
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      request_.channel->Post([self = shared_from_this()] { self->AnswerOnce(); });
    }
  }

  // All entries have been handed out. On the reactor thread.
  void Handed(std::int32_t timeout_ms) {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) return AnswerOnce();
    const auto deadline = request_.services->clock->MonotonicNow() + std::chrono::milliseconds(timeout_ms);
    timer_ = request_.channel->StartTimer(deadline, [self = shared_from_this()] { self->TimeOut(); });
  }

 private:
  void AnswerOnce() {
    if (timer_ != 0) request_.channel->CancelTimer(timer_);
    if (std::exchange(answered_, true)) return;
    if (replies_) return Answer(request_, response_);
    AnswerNothing(request_);
    // Nobody reads an error where no answer is wanted; a closed connection is noticed.
    if (failed_.load()) request_.channel->Close("a Produce request without acknowledgement failed");
  }

  void TimeOut() {
    timer_ = 0;
    if (std::exchange(answered_, true)) return;
    if (!replies_) return AnswerNothing(request_);
    // The entries may still be written to by those who finish them.
    ProduceResponse response;
    for (const ProduceResponse::Topic& topic : response_.topics) {
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
    Answer(request_, response);
  }

  const Request request_;
  const bool replies_;
  std::atomic<int> left_{1};
  std::atomic<bool> failed_{false};
  ProduceResponse response_;
  net::TimerId timer_ = 0;  // this and answered_: reactor thread only
  bool answered_ = false;
};

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

void AppendOne(const Request& request, const ProduceRequest::Topic& topic,
               const ProduceRequest::Partition& asked, ProduceResponse::Partition& entry,
               const std::shared_ptr<ProduceOperation>& operation) {
  const auto partition = FindPartition(*request.services, topic.name, topic.id, asked.index);
  if (!partition.ok()) return operation->Finish(entry, 0, partition.status());
  const absl::Status checked = CheckFormat(request, **partition, asked.records.bytes);
  if (!checked.ok()) return operation->Finish(entry, 0, checked);
  topic::AppendRequest append;
  append.owner = request.owner;
  append.bytes = asked.records.bytes;
  append.done = [operation, &entry,
                 size = append.bytes.size()](const absl::StatusOr<topic::AppendOutcome>& outcome) {
    operation->Finish(entry, size, outcome);
  };
  (*partition)->Produce(std::move(append));
}

}  // namespace

void HandleProduce(const Request& request, ProduceRequest message) {
  const auto operation = std::make_shared<ProduceOperation>(request, message);
  const absl::Status status = CheckRequest(message);
  for (std::size_t i = 0; i < message.topics.size(); ++i) {
    const ProduceRequest::Topic& topic = message.topics[i];
    for (std::size_t j = 0; j < topic.partitions.size(); ++j) {
      ProduceResponse::Partition& entry = operation->entry(i, j);
      if (!status.ok()) {
        operation->Finish(entry, 0, status);
      } else {
        AppendOne(request, topic, topic.partitions[j], entry, operation);
      }
    }
  }
  operation->Handed(std::clamp(message.timeout_ms, 1, request.services->produce_timeout_max_ms));
}

}  // namespace headrace::kafka
