// From pushed batches to records.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/connection.h"
#include "headrace/consumer.h"
#include "protocol/core/record_iterator.h"

namespace headrace {

struct DecoderOptions {
  std::string topic;
  bool check_crc = true;
  std::size_t decompressed_size_max = 0;
  std::size_t records_max = 1;
};

// Takes one push at a time and gives its records in chunks, decoded in place: the records' bytes are those
// that were received, unless a batch was compressed. Allocates nothing per record. Owned and used by the
// consumer's caller alone; does no I/O.
class PushDecoder {
 public:
  explicit PushDecoder(DecoderOptions options) : options_(std::move(options)) {}

  // Begins with a push of `partition`; records below `from` are left out, and those from `until` on.
  // REQUIRES: !active().
  void Start(ReceivedFrame push, std::uint32_t partition, std::int64_t from, std::int64_t until);
  bool active() const { return push_.has_value(); }
  // Forgets the push; returns the size of its attachment in bytes. Ends the life of the records given.
  std::size_t Stop();

  // The next records; empty at the push's end. Ends the life of those given before. kCorruptMessage at a
  // damaged batch, again and again until Stop; the records before it have been given then.
  Result<std::span<const Record>> NextChunk();

  // The offset to go on from: after the last record given, and after its batch if that is at its end.
  std::int64_t next_offset() const { return next_offset_; }
  // After an error: the offset after the damaged batch, if the bytes tell.
  std::optional<std::int64_t> offset_after_damage() const { return offset_after_damage_; }

 private:
  // False at the end of the push.
  Result<bool> OpenBatch();
  void FinishBatch();
  void AddRecord(const RecordView& record);
  void AttachHeaders();
  Error Damaged(std::string_view why);

  const DecoderOptions options_;
  std::optional<ReceivedFrame> push_;
  std::uint32_t partition_ = 0;
  std::int64_t until_ = 0;
  std::int64_t next_offset_ = 0;
  ByteSpan rest_;  // from the batch that is open, or is the next
  std::optional<RecordBatchView> batch_;
  std::optional<RecordIterator> iterator_;  // of batch_
  std::optional<RecordIterator> kept_;      // of a compressed batch that is finished: records point into it
  std::optional<std::int64_t> offset_after_damage_;
  std::vector<Record> records_;
  std::vector<Header> headers_;  // of all records_, one after the other
};

}  // namespace headrace
