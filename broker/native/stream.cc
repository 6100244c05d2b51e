#include "broker/native/stream.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "protocol/core/error_code.h"

namespace headrace::native {

Stream::Stream(Services& services, std::shared_ptr<net::Channel> channel, std::uint32_t id)
    : services_(services), channel_(std::move(channel)), id_(id) {}

SubscribeResponse Stream::Open(const SubscribeRequest& message) {
  SubscribeResponse response;
  AddCredit(message.credit());
  std::unordered_set<const topic::Partition*> named;
  for (int i = 0; i < message.partitions_size(); ++i) {
    const SubscribeRequest::Partition& entry = message.partitions(i);
    SubscribeResponse::Partition* answer = response.add_partitions();
    auto partition = FindPartition(services_, entry.topic_id(), entry.topic(), entry.partition());
    absl::Status status = partition.status();
    if (status.ok() && !named.insert(partition->get()).second) status = NamedTwice(**partition);
    Source source;
    if (status.ok()) {
      // A first look at the position, so that one out of range is told at once; the cursor is not kept.
      storage::ReadCursor probe;
      probe.offset = entry.offset();
      status = (*partition)->Read(probe, services_.limits.push_size_max).status();
      const storage::LogOffsets offsets = (*partition)->offsets();
      answer->set_start_offset(offsets.start);
      answer->set_high_watermark(offsets.high_watermark);
    }
    if (!status.ok()) {
      FillError(status, answer->mutable_error());
      continue;
    }
    source.index = static_cast<std::uint32_t>(i);
    source.partition = *std::move(partition);
    source.cursor.offset = entry.offset();
    ready_.push_back(sources_.size());
    sources_.push_back(std::move(source));
    ++live_;
  }
  return response;
}

void Stream::AddCredit(std::uint64_t bytes) {
  // Saturates: a client that returns more than it took gains nothing.
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max() / 4;
  const auto added = static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, kMax));
  credit_ = std::min(kMax, credit_ + added);
  window_ = std::max(window_, credit_);
}

void Stream::Pump() {
  while (!closed_ && credit_ > 0 && !ready_.empty() &&
         channel_->WaitingBytes() < services_.limits.waiting_bytes_max) {
    const std::size_t source = ready_.front();
    ready_.pop_front();
    if (PushOne(source)) {
      ready_.push_back(source);
    } else if (!sources_[source].ended) {
      WaitFor(source);
    }
  }
}

bool Stream::PushOne(std::size_t index) {
  Source& source = sources_[index];
  // Not cut to what is left of the credit: where a slice ends within a batch, the log has to be read for the
  // end of the batch before, and what a client of a large window takes should never be.
  auto slice = source.partition->Read(
      source.cursor, std::min(services_.limits.push_size_max, static_cast<std::uint64_t>(window_)));
  if (!slice.ok()) {
    EndSource(source, slice.status());
    return false;
  }
  if (slice->length == 0) return false;
  credit_ -= static_cast<std::int64_t>(slice->length);
  SendPush(source, *std::move(slice));
  return true;
}

void Stream::WaitFor(std::size_t index) {
  Source& source = sources_[index];
  source.wait = source.partition->waiters().Add([weak = weak_from_this(), channel = channel_, index] {
    channel->Post([weak, index] {
      if (const auto self = weak.lock()) self->Wake(index);
    });
  });
  // What was published between the read and the registration would wake nobody: look once more.
  const bool at_end = source.cursor.offset == source.partition->offsets().high_watermark;
  if (at_end && source.partition->readable_status().ok()) return;
  source.partition->waiters().Remove(source.wait);
  source.wait = 0;
  ready_.push_back(index);
}

void Stream::Wake(std::size_t index) {
  Source& source = sources_[index];
  if (closed_ || source.ended || source.wait == 0) return;
  source.wait = 0;
  ready_.push_back(index);
  Pump();
}

void Stream::SendPush(const Source& source, storage::FileSlice slice) {
  const storage::LogOffsets offsets = source.partition->offsets();
  Push header;
  header.set_index(source.index);
  header.set_start_offset(offsets.start);
  header.set_high_watermark(offsets.high_watermark);
  std::string bytes;
  AppendFrame(bytes, FrameType::kPush, kFrameFlagResponse, id_, header, slice.length);
  net::Response response;
  response.pieces.emplace_back(std::move(bytes));
  response.pieces.emplace_back(std::move(slice));
  channel_->Send(std::move(response));
}

void Stream::EndSource(Source& source, const absl::Status& error) {
  source.ended = true;
  --live_;
  const storage::LogOffsets offsets = source.partition->offsets();
  StreamEnd header;
  header.set_index(source.index);
  FillError(error, header.mutable_error());
  header.set_start_offset(offsets.start);
  header.set_high_watermark(offsets.high_watermark);
  std::string bytes;
  AppendFrame(bytes, FrameType::kStreamEnd, kFrameFlagResponse, id_, header);
  net::Response response;
  response.pieces.emplace_back(std::move(bytes));
  channel_->Send(std::move(response));
  // A deleted topic's files go when nobody holds them: an ended source must not.
  source.partition.reset();
  source.cursor = {};
}

void Stream::Close() {
  closed_ = true;
  for (Source& source : sources_) {
    if (source.wait != 0 && !source.ended) source.partition->waiters().Remove(source.wait);
    source.wait = 0;
  }
}

}  // namespace headrace::native
