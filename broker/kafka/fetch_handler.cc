// Fetch: a long poll whose response names each partition and has its record bytes in place, sent from the
// segments.
#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "broker/kafka/fetch_session.h"
#include "broker/kafka/handlers.h"
#include "broker/topic/long_poll.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::kafka {
namespace {

absl::StatusOr<std::shared_ptr<topic::Partition>> Readable(const Services& services,
                                                           const FetchEntry& entry) {
  ASSIGN_OR_RETURN(const auto partition,
                   services.topics->FindPartition(entry.topic_id, entry.topic, entry.asked.index));
  RETURN_IF_ERROR(CheckLeaderEpoch(*partition, entry.asked.current_leader_epoch));
  return partition;
}

FetchResponse::Partition Described(const FetchEntry& entry, const topic::PartitionRead& read) {
  FetchResponse::Partition described;
  described.index = entry.asked.index;
  described.error = WireCode(read.status);
  described.records.external = read.size;
  const bool known = read.status.ok() || described.error == ErrorCode::kOffsetOutOfRange;
  if (!known) return described;
  described.high_watermark = read.offsets.high_watermark;
  described.last_stable_offset = read.offsets.high_watermark;  // without transactions they are one
  described.log_start_offset = read.offsets.start;
  return described;
}

// Whether the client learns anything new by this entry.
bool IsNews(const FetchEntry& entry, const topic::PartitionRead& read) {
  return !read.status.ok() || read.size > 0 || entry.told_high_watermark != read.offsets.high_watermark ||
         entry.told_start != read.offsets.start;
}

void NoteTold(FetchEntry& entry, const topic::PartitionRead& read) {
  // An error is told until it is gone.
  entry.told_high_watermark = read.status.ok() ? read.offsets.high_watermark : -1;
  entry.told_start = read.offsets.start;
}

// One request until it is answered. Reactor thread only.
class FetchOperation : public std::enable_shared_from_this<FetchOperation> {
 public:
  FetchOperation(const Request& request, std::unique_ptr<FetchSession> session)
      : request_(request), session_(std::move(session)) {
    request_.owner.reset();  // the frame's bytes are not needed while it waits
  }
  // Without an answer if the connection went: the session goes on with the client's next one.
  ~FetchOperation() {
    if (session_ != nullptr) request_.services->fetch_sessions->Return(std::move(session_));
  }
  FetchOperation(const FetchOperation&) = delete;
  FetchOperation& operator=(const FetchOperation&) = delete;

  void Start(const FetchRequest& message) {
    const Services& services = *request_.services;
    topic::LongPollLimits limits;
    limits.size_min = static_cast<std::uint64_t>(std::max(0, message.size_min));
    limits.size_max =
        std::min(services.fetch_size_max, static_cast<std::uint64_t>(std::max(0, message.size_max)));
    std::vector<topic::ReadTarget> targets;
    targets.reserve(session_->entries.size());
    for (const FetchEntry& entry : session_->entries) {
      targets.push_back({Readable(services, entry), entry.asked.fetch_offset,
                         static_cast<std::uint64_t>(std::max(0, entry.asked.size_max))});
    }
    const auto wait =
        std::chrono::milliseconds(std::clamp(message.wait_max_ms, 0, services.fetch_wait_max_ms));
    const auto poll = std::make_shared<topic::LongPoll>(
        request_.channel, std::move(targets), limits,
        [self = shared_from_this()](std::vector<topic::PartitionRead> reads) {
          self->Finish(std::move(reads));
        });
    const bool may_wait = wait.count() > 0 && !session_->entries.empty();
    request_.polls->Start(poll, services.clock->MonotonicNow() + wait, may_wait);
  }

 private:
  void Finish(std::vector<topic::PartitionRead> reads) {
    FetchResponse response;
    response.session_id = session_->id;
    std::vector<std::vector<storage::FileSlice>> slices;
    auto entry = session_->entries.begin();
    for (topic::PartitionRead& read : reads) {
      const auto current = entry++;
      if (session_->incremental && !IsNews(*current, read)) continue;
      NoteTold(*current, read);
      TopicOf(response, *current).partitions.push_back(Described(*current, read));
      if (read.size == 0) continue;
      slices.push_back(std::move(read.slices));
      session_->MoveToEnd(current);
    }
    request_.services->fetch_sessions->Return(std::move(session_));
    request_.responses->Complete(
        request_.ticket,
        MakeResponse(request_,
                     EncodeResponse(*request_.api, request_.version, request_.correlation_id, response),
                     std::move(slices)));
  }

  static FetchResponse::Topic& TopicOf(FetchResponse& response, const FetchEntry& entry) {
    if (response.topics.empty() || response.topics.back().name != entry.topic ||
        response.topics.back().id != entry.topic_id) {
      FetchResponse::Topic& topic = response.topics.emplace_back();
      topic.name = entry.topic;
      topic.id = entry.topic_id;
    }
    return response.topics.back();
  }

  Request request_;
  std::unique_ptr<FetchSession> session_;
};

}  // namespace

void HandleFetch(const Request& request, FetchRequest message) {
  constexpr std::int16_t kIdsSince = 13;
  auto session = request.services->fetch_sessions->Take(message, request.version >= kIdsSince);
  if (!session.ok()) {
    FetchResponse response;
    response.error = WireCode(session.status());
    return Answer(request, response);
  }
  std::make_shared<FetchOperation>(request, *std::move(session))->Start(message);
}

}  // namespace headrace::kafka
