// Fetch: one long-polled read of several partitions.
#include <algorithm>
#include <chrono>
#include <unordered_set>

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
  std::unordered_set<const topic::Partition*> named;
  for (const FetchRequest::Partition& entry : message.partitions()) {
    auto partition = FindPartition(*request.services, entry.topic_id(), entry.topic(), entry.partition());
    if (partition.ok() && !named.insert(partition->get()).second)
      return AnswerError(request, NamedTwice(**partition));
    targets.push_back(
        {std::move(partition), entry.offset(), entry.max_bytes() == 0 ? limits.size_max : entry.max_bytes()});
  }
  const std::uint32_t wait_ms = std::min(message.max_wait_ms(), session.fetch_wait_ms_max);
  const auto deadline = request.services->clock->MonotonicNow() + std::chrono::milliseconds(wait_ms);
  Request waiting = request;
  waiting.owner.reset();  // the frame's bytes are not needed while it waits
  auto answer = [waiting = std::move(waiting)](std::vector<topic::PartitionRead> reads) {
    AnswerFetch(waiting, std::move(reads));
  };
  const auto poll =
      std::make_shared<topic::LongPoll>(request.channel, std::move(targets), limits, std::move(answer));
  request.polls->Start(poll, deadline, wait_ms > 0);
}

}  // namespace headrace::native
