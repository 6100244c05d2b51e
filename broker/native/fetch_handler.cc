// Fetch: one long-polled read of several partitions.
#include <algorithm>
#include <chrono>

#include "broker/native/request.h"
#include "broker/topic/long_poll.h"
#include "protocol/core/error_code.h"

namespace headrace::native {
namespace {

void AnswerFetch(const Request& request, std::vector<topic::PartitionRead> reads) {
  FetchResponse header;
  std::uint64_t total = 0;
  for (const topic::PartitionRead& read : reads) {
    FetchResponse::Partition* entry = header.add_partitions();
    if (!read.status.ok()) FillError(read.status, entry->mutable_error());
    entry->set_start_offset(read.offsets.start);
    entry->set_high_watermark(read.offsets.high_watermark);
    entry->set_size(static_cast<std::uint32_t>(read.size));
    total += read.size;
  }
  std::string bytes;
  AppendFrame(bytes, request.frame.type, kFrameFlagResponse, request.frame.correlation_id, header, total);
  net::Response response;
  response.request_size = request.size;
  response.pieces.emplace_back(std::move(bytes));
  for (topic::PartitionRead& read : reads) {
    for (storage::FileSlice& slice : read.slices) response.pieces.emplace_back(std::move(slice));
  }
  request.channel->Send(std::move(response));
}

}  // namespace

void HandleFetch(const Request& request) {
  FetchRequest message;
  const absl::Status parsed = ParseRequest(request, message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  const SessionLimits& session = request.services->limits;
  topic::LongPollLimits limits;
  limits.size_max = message.max_bytes() == 0
                        ? session.fetch_size_max
                        : std::min<std::uint64_t>(session.fetch_size_max, message.max_bytes());
  limits.size_min = std::max<std::uint64_t>(1, message.min_bytes());
  std::vector<topic::ReadTarget> targets;
  for (const FetchRequest::Partition& entry : message.partitions()) {
    targets.push_back({FindPartition(*request.services, entry.topic_id(), entry.topic(), entry.partition()),
                       entry.offset(), entry.max_bytes() == 0 ? limits.size_max : entry.max_bytes()});
  }
  const std::uint32_t wait_ms = std::min(message.max_wait_ms(), session.fetch_wait_ms_max);
  const auto deadline = request.services->clock->MonotonicNow() + std::chrono::milliseconds(wait_ms);
  std::make_shared<topic::LongPoll>(
      request.channel, std::move(targets), limits,
      [request](std::vector<topic::PartitionRead> reads) { AnswerFetch(request, std::move(reads)); })
      ->Start(deadline, wait_ms > 0);
}

}  // namespace headrace::native
