#include "storage/producer_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "protocol/core/crc32c.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"

namespace headrace::storage {
namespace {

// Snapshot, big-endian:
//   magic "HRPS" | CRC-32C of what follows | format = 2 | end offset (8) | producers (4) | each:
//     id (8) | epoch (2) | last append (8) | batches (1) | each:
//       first, last sequence (4, 4) | base, last offset (8, 8) | CRC as sent (4) | log append time (8)
constexpr std::string_view kMagic = "HRPS";
constexpr std::uint32_t kFormat = 2;
constexpr std::size_t kHeaderSize = 24;
constexpr std::size_t kProducerSize = 19;
constexpr std::size_t kBatchSize = 36;

class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : out_(out) {}
  template <std::integral T>
  void Put(T value) {
    out_.resize(out_.size() + sizeof value);
    StoreBigEndian(out_.data() + out_.size() - sizeof value, value);
  }

 private:
  std::vector<std::byte>& out_;
};

class Reader {
 public:
  explicit Reader(ByteSpan in) : in_(in) {}
  bool Has(std::size_t size) const { return in_.size() >= size; }
  bool empty() const { return in_.empty(); }
  // REQUIRES: Has(sizeof(T)).
  template <std::integral T>
  T Take() {
    const T value = LoadBigEndian<T>(in_.data());
    in_ = in_.subspan(sizeof value);
    return value;
  }

 private:
  ByteSpan in_;
};

}  // namespace

absl::StatusOr<SequenceCheck> ProducerState::Check(const RecordBatchView& batch,
                                                   std::uint32_t sent_crc) const {
  if (batch.producer_id() == kNoProducerId) return SequenceCheck{};
  const auto found = producers_.find(batch.producer_id());
  if (found == producers_.end()) return SequenceCheck{};
  const Entry& entry = found->second;
  const std::int32_t first = batch.base_sequence();
  const std::int32_t last = LastSequence(first, batch.record_count());
  if (batch.producer_epoch() == entry.epoch) {
    for (std::size_t i = 0; i < entry.count; ++i) {
      const ProducerBatch& known = entry.batches[i];
      if (known.first_sequence != first || known.last_sequence != last) continue;
      if (known.crc == 0 || known.crc == sent_crc)
        return SequenceCheck{SequenceCheck::Kind::kDuplicate, known};
      return MakeError(ErrorCode::kDuplicateSequence,
                       absl::StrCat("producer ", batch.producer_id(), " used sequences ", first, " to ", last,
                                    " twice, for different batches"));
    }
  }
  if (batch.producer_epoch() < entry.epoch) {
    return MakeError(ErrorCode::kInvalidProducerEpoch,
                     absl::StrCat("producer ", batch.producer_id(), " has epoch ", batch.producer_epoch(),
                                  "; a newer one has epoch ", entry.epoch));
  }
  const bool newer = batch.producer_epoch() > entry.epoch;
  const std::int32_t expected =
      newer || entry.count == 0 ? 0 : NextSequence(entry.batches[entry.count - 1].last_sequence);
  if (first == expected) return SequenceCheck{};
  return MakeError(ErrorCode::kOutOfOrderSequence,
                   absl::StrCat("producer ", batch.producer_id(), " sent sequence ", first, "; ", expected,
                                " was expected"));
}

void ProducerState::Update(const RecordBatchView& batch, TimestampMs append_time, std::uint32_t sent_crc) {
  if (batch.producer_id() == kNoProducerId) return;
  if (producers_.size() >= kProducersMax && !producers_.contains(batch.producer_id())) ForgetOldestHalf();
  Entry& entry = producers_[batch.producer_id()];
  if (batch.producer_epoch() != entry.epoch) {
    entry.epoch = batch.producer_epoch();
    entry.count = 0;
  }
  if (entry.count == kBatchesKept) {
    std::move(entry.batches.begin() + 1, entry.batches.end(), entry.batches.begin());
    --entry.count;
  }
  // Compaction takes records out of a batch, and no sequences.
  const std::int32_t sequences = batch.last_offset_delta() + 1;
  const bool append_timed = (batch.attributes() & kAttributeLogAppendTime) != 0;
  entry.batches[entry.count++] = {batch.base_sequence(),
                                  LastSequence(batch.base_sequence(), sequences),
                                  batch.base_offset(),
                                  batch.last_offset(),
                                  sent_crc,
                                  append_timed ? batch.max_timestamp() : TimestampMs{-1}};
  entry.last_append = append_time;
}

bool ProducerState::IsLast(const RecordBatchView& batch) const {
  const auto found = producers_.find(batch.producer_id());
  if (batch.producer_id() == kNoProducerId || found == producers_.end()) return false;
  const Entry& entry = found->second;
  return entry.count > 0 && entry.batches[entry.count - 1].base_offset == batch.base_offset();
}

void ProducerState::Expire(TimestampMs horizon) {
  std::erase_if(producers_, [horizon](const auto& item) { return item.second.last_append < horizon; });
}

void ProducerState::ForgetOldestHalf() {
  std::vector<std::pair<TimestampMs, ProducerId>> known;
  known.reserve(producers_.size());
  for (const auto& [id, entry] : producers_) known.emplace_back(entry.last_append, id);
  const auto middle = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
  std::nth_element(known.begin(), middle, known.end());
  for (auto oldest = known.begin(); oldest != middle; ++oldest) producers_.erase(oldest->second);
}

std::vector<std::byte> ProducerState::Serialize(Offset end) const {
  std::vector<std::byte> bytes(8);
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  Writer writer(bytes);
  writer.Put(kFormat);
  writer.Put(end);
  writer.Put(static_cast<std::uint32_t>(producers_.size()));
  for (const auto& [id, entry] : producers_) {
    writer.Put(id);
    writer.Put(entry.epoch);
    writer.Put(entry.last_append);
    writer.Put(entry.count);
    for (std::size_t i = 0; i < entry.count; ++i) {
      const ProducerBatch& batch = entry.batches[i];
      writer.Put(batch.first_sequence);
      writer.Put(batch.last_sequence);
      writer.Put(batch.base_offset);
      writer.Put(batch.last_offset);
      writer.Put(batch.crc);
      writer.Put(batch.log_append_time);
    }
  }
  StoreBigEndian(bytes.data() + 4, Crc32c(ByteSpan(bytes).subspan(8)));
  return bytes;
}

absl::StatusOr<ProducerState::Snapshot> ProducerState::Parse(ByteSpan bytes) {
  const auto damaged = [](std::string_view what) {
    return absl::DataLossError(absl::StrCat("producer snapshot: ", std::string(what)));
  };
  if (bytes.size() < kHeaderSize || AsText(bytes.first(4)) != kMagic) return damaged("its header is missing");
  if (LoadBigEndian<std::uint32_t>(bytes.data() + 4) != Crc32c(bytes.subspan(8)))
    return damaged("its checksum is wrong");
  Reader reader(bytes.subspan(8));
  if (const auto format = reader.Take<std::uint32_t>(); format != kFormat) {
    return damaged(absl::StrCat("format ", format, " is not known"));
  }
  Snapshot snapshot;
  snapshot.end = reader.Take<std::int64_t>();
  for (auto left = reader.Take<std::uint32_t>(); left > 0; --left) {
    if (!reader.Has(kProducerSize)) return damaged("it is cut short");
    Entry& entry = snapshot.state.producers_[reader.Take<std::int64_t>()];
    entry.epoch = reader.Take<std::int16_t>();
    entry.last_append = reader.Take<std::int64_t>();
    entry.count = reader.Take<std::uint8_t>();
    if (entry.count > kBatchesKept || !reader.Has(entry.count * kBatchSize))
      return damaged("it is cut short");
    for (std::size_t i = 0; i < entry.count; ++i) {
      ProducerBatch& batch = entry.batches[i];
      batch.first_sequence = reader.Take<std::int32_t>();
      batch.last_sequence = reader.Take<std::int32_t>();
      batch.base_offset = reader.Take<std::int64_t>();
      batch.last_offset = reader.Take<std::int64_t>();
      batch.crc = reader.Take<std::uint32_t>();
      batch.log_append_time = reader.Take<std::int64_t>();
    }
  }
  if (!reader.empty()) return damaged("bytes are left over");
  return snapshot;
}

}  // namespace headrace::storage
