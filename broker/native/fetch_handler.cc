// Fetch: one long-polled read of several partitions.
#include <algorithm>
#include <chrono>

#include "broker/native/request.h"
#include "protocol/core/error_code.h"

namespace headrace::native {
namespace {

// What one look at a partition found.
struct PartitionRead {
  absl::Status status;
  std::vector<storage::FileSlice> slices;
  std::uint64_t size = 0;
};

// One request until it is answered. Reactor thread only, but for the wake-ups, which post.
class FetchOperation : public std::enable_shared_from_this<FetchOperation> {
 public:
  FetchOperation(const Request& request, FetchRequest message)
      : request_(request), message_(std::move(message)) {
    const SessionLimits& limits = request.services->limits;
    size_max_ = std::min<std::uint64_t>(
        limits.fetch_size_max, message_.max_bytes() == 0 ? limits.fetch_size_max : message_.max_bytes());
    for (const FetchRequest::Partition& entry : message_.partitions()) {
      partitions_.push_back(
          FindPartition(*request.services, entry.topic_id(), entry.topic(), entry.partition()));
    }
  }

  void Start() {
    const std::uint32_t wait_ms =
        std::min(message_.max_wait_ms(), request_.services->limits.fetch_wait_ms_max);
    if (ReadAll() || wait_ms == 0) return Finish();
    const auto deadline = request_.services->clock->MonotonicNow() + std::chrono::milliseconds(wait_ms);
    timer_ = request_.channel->StartTimer(deadline, [self = shared_from_this()] {
      self->timer_ = 0;
      self->Expire();
    });
    Wait();
  }

 private:
  // Reads every partition anew; whether there is enough to answer.
  bool ReadAll() {
    reads_.assign(partitions_.size(), {});
    total_ = 0;
    bool failed = false;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
      ReadOne(i);
      failed = failed || !reads_[i].status.ok();
    }
    return failed || total_ >= std::max<std::uint64_t>(1, message_.min_bytes());
  }

  void ReadOne(std::size_t i) {
    PartitionRead& read = reads_[i];
    read.status = partitions_[i].status();
    if (!read.status.ok()) return;
    const FetchRequest::Partition& entry = message_.partitions(static_cast<int>(i));
    const std::uint64_t limit = entry.max_bytes() == 0 ? size_max_ : entry.max_bytes();
    storage::ReadCursor cursor;
    cursor.offset = entry.offset();
    // The first batch of the response goes whole even if it is larger than the limits.
    while (total_ == 0 || (total_ < size_max_ && read.size < limit)) {
      const std::uint64_t room =
          std::min(limit - std::min(limit, read.size), size_max_ - std::min(size_max_, total_));
      auto slice = (*partitions_[i])->Read(cursor, room);
      if (!slice.ok()) {
        if (read.size == 0) read.status = slice.status();
        return;
      }
      if (slice->length == 0 || (total_ > 0 && slice->length > room)) return;
      read.size += slice->length;
      total_ += slice->length;
      read.slices.push_back(*std::move(slice));
    }
  }

  // Registers everywhere, then looks once more: what came in between would wake nobody.
  void Wait() {
    Leave();
    const auto generation = ++generation_;
    for (const auto& partition : partitions_) {
      waits_.push_back((*partition)->waiters().Add([self = shared_from_this(), generation] {
        self->request_.channel->Post([self, generation] { self->Wake(generation); });
      }));
    }
    if (ReadAll()) Finish();
  }

  void Wake(std::uint64_t generation) {
    if (answered_ || generation != generation_) return;
    if (ReadAll()) return Finish();
    Wait();
  }

  void Expire() {
    if (answered_) return;
    ReadAll();
    Finish();
  }

  void Leave() {
    for (std::size_t i = 0; i < waits_.size(); ++i) (*partitions_[i])->waiters().Remove(waits_[i]);
    waits_.clear();
  }

  void Finish() {
    if (std::exchange(answered_, true)) return;
    if (timer_ != 0) request_.channel->CancelTimer(timer_);
    Leave();
    FetchResponse header;
    for (std::size_t i = 0; i < reads_.size(); ++i) {
      FetchResponse::Partition* entry = header.add_partitions();
      if (!reads_[i].status.ok()) FillError(reads_[i].status, entry->mutable_error());
      if (partitions_[i].ok()) {
        const storage::LogOffsets offsets = (*partitions_[i])->offsets();
        entry->set_start_offset(offsets.start);
        entry->set_high_watermark(offsets.high_watermark);
      }
      entry->set_size(static_cast<std::uint32_t>(reads_[i].size));
    }
    std::string bytes;
    AppendFrame(bytes, request_.frame.type, kFrameFlagResponse, request_.frame.correlation_id, header,
                total_);
    net::Response response;
    response.request_size = request_.size;
    response.pieces.emplace_back(std::move(bytes));
    for (PartitionRead& read : reads_) {
      for (storage::FileSlice& slice : read.slices) response.pieces.emplace_back(std::move(slice));
    }
    request_.channel->Send(std::move(response));
  }

  const Request request_;
  const FetchRequest message_;
  std::uint64_t size_max_ = 0;
  std::vector<absl::StatusOr<std::shared_ptr<topic::Partition>>> partitions_;
  std::vector<PartitionRead> reads_;
  std::uint64_t total_ = 0;
  net::TimerId timer_ = 0;
  std::vector<topic::Waiters::Id> waits_;
  std::uint64_t generation_ = 0;
  bool answered_ = false;
};

}  // namespace

void HandleFetch(const Request& request) {
  FetchRequest message;
  const absl::Status parsed = ParseHeader(request.frame.header, message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  std::make_shared<FetchOperation>(request, std::move(message))->Start();
}

}  // namespace headrace::native
