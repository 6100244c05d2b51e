#include "client/push_decoder.h"

#include <algorithm>

#include "client/admin_values.h"
#include "client/error.h"
#include "protocol/core/error_code.h"

namespace headrace {
namespace {

std::optional<std::string_view> Text(const std::optional<ByteSpan>& bytes) {
  if (!bytes) return std::nullopt;
  return AsText(*bytes);
}

}  // namespace

void PushDecoder::Start(ReceivedFrame push, std::uint32_t partition, std::int64_t from, std::int64_t until) {
  push_ = std::move(push);
  partition_ = partition;
  until_ = until;
  next_offset_ = from;
  rest_ = push_->frame.attachment;
  offset_after_damage_.reset();
}

std::size_t PushDecoder::Stop() {
  const std::size_t size = push_ ? push_->frame.attachment.size() : 0;
  records_.clear();
  iterator_.reset();
  kept_.reset();
  batch_.reset();
  push_.reset();
  return size;
}

Result<std::span<const Record>> PushDecoder::NextChunk() {
  records_.clear();
  headers_.clear();
  kept_.reset();
  while (records_.size() < options_.records_max && next_offset_ < until_) {
    if (!iterator_) {
      const Result<bool> opened = OpenBatch();
      // What came before the damage is given first; the next call meets the damage again.
      if (!opened && records_.empty()) return opened.error();
      if (!opened || !*opened) break;
    }
    if (iterator_->Next()) {
      AddRecord(iterator_->record());
    } else if (!iterator_->status().ok()) {
      if (records_.empty()) return Damaged(MessageOf(iterator_->status()));
      break;
    } else {
      const bool owns_bytes = batch_->compression() != Compression::kNone && !records_.empty();
      FinishBatch();
      if (owns_bytes) break;
    }
  }
  AttachHeaders();
  return std::span<const Record>(records_);
}

Result<bool> PushDecoder::OpenBatch() {
  while (!rest_.empty()) {
    const absl::StatusOr<RecordBatchView> batch = RecordBatchView::Parse(rest_);
    if (!batch.ok()) return Damaged(MessageOf(batch.status()));
    batch_ = *batch;
    if (options_.check_crc) {
      if (const absl::Status crc = batch->CheckCrc(); !crc.ok()) return Damaged(MessageOf(crc));
    }
    if (batch->last_offset() < next_offset_ || batch->is_control()) {
      FinishBatch();
      continue;
    }
    absl::StatusOr<RecordIterator> iterator = RecordIterator::Open(*batch, options_.decompressed_size_max);
    if (!iterator.ok()) return Damaged(MessageOf(iterator.status()));
    iterator_ = std::move(*iterator);
    return true;
  }
  return false;
}

void PushDecoder::FinishBatch() {
  next_offset_ = std::max(next_offset_, batch_->last_offset() + 1);
  rest_ = rest_.subspan(batch_->size());
  kept_ = std::move(iterator_);
  iterator_.reset();
  batch_.reset();
}

void PushDecoder::AddRecord(const RecordView& record) {
  if (record.offset < next_offset_) return;
  if (record.offset >= until_) {
    next_offset_ = until_;
    return;
  }
  next_offset_ = record.offset + 1;
  const std::size_t first = headers_.size();
  for (const RecordHeaderView& header : record.headers) headers_.push_back({header.key, Text(header.value)});
  // Where the headers are is known only once headers_ has stopped growing; until then only how many.
  records_.push_back({partition_, record.offset, record.timestamp, Text(record.key), Text(record.value),
                      std::span<const Header>(static_cast<const Header*>(nullptr), headers_.size() - first)});
}

void PushDecoder::AttachHeaders() {
  if (headers_.empty()) return;
  std::size_t first = 0;
  for (Record& record : records_) {
    const std::size_t count = record.headers.size();
    record.headers = std::span<const Header>(headers_).subspan(first, count);
    first += count;
  }
}

Error PushDecoder::Damaged(std::string_view why) {
  const std::uint64_t stated = rest_.size() < kBatchLengthEnd ? 0 : RecordBatchView::StatedSize(rest_);
  if (stated > 0 && stated < rest_.size()) {
    // The batch after it says itself where it begins, which is better than what the damaged one says.
    const absl::StatusOr<RecordBatchView> after = RecordBatchView::Parse(rest_.subspan(stated));
    if (after.ok() && after->base_offset() > next_offset_) offset_after_damage_ = after->base_offset();
  }
  if (!offset_after_damage_ && batch_ && batch_->last_offset() >= next_offset_) {
    offset_after_damage_ = batch_->last_offset() + 1;
  }
  std::string message = PartitionName(options_.topic, partition_) + ": the batch at offset " +
                        std::to_string(next_offset_) + " is damaged: " + std::string(why);
  if (offset_after_damage_)
    message += "; readable again from offset " + std::to_string(*offset_after_damage_);
  iterator_.reset();  // last: `why` may point into it
  return {error_number::kCorruptMessage, std::move(message), false};
}

}  // namespace headrace
