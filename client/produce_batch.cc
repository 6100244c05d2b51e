#include "client/produce_batch.h"

#include "protocol/core/crc32c.h"
#include "protocol/core/status_macros.h"

namespace headrace {
namespace {

// Places of the header's fields; see the layout in protocol/core/record_batch.h.
constexpr std::size_t kCrcAt = 17;
constexpr std::size_t kProducerIdAt = 43;
constexpr std::size_t kProducerEpochAt = 51;
constexpr std::size_t kBaseSequenceAt = 53;

}  // namespace

absl::Status ProduceBatch::Build(ProducerId id, std::int16_t epoch, std::int32_t first_sequence) {
  base_sequence = first_sequence;
  builder.SetProducer(id, epoch, first_sequence);
  ASSIGN_OR_RETURN(bytes, builder.Build());
  return absl::OkStatus();
}

void ProduceBatch::Restamp(ProducerId id, std::int16_t epoch, std::int32_t first_sequence) {
  base_sequence = first_sequence;
  StoreBigEndian<std::int64_t>(bytes.data() + kProducerIdAt, id);
  StoreBigEndian<std::int16_t>(bytes.data() + kProducerEpochAt, epoch);
  StoreBigEndian<std::int32_t>(bytes.data() + kBaseSequenceAt, first_sequence);
  StoreBigEndian<std::uint32_t>(bytes.data() + kCrcAt, Crc32c(ByteSpan(bytes).subspan(kBatchCrcStart)));
}

void ProduceBatch::Succeed(std::int64_t base_offset) {
  for (const Delivery& delivery : deliveries) {
    const std::int64_t offset = base_offset < 0 ? -1 : base_offset + delivery.index;
    delivery.callback(Receipt{partition, offset});
  }
}

void ProduceBatch::Fail(const Error& error) {
  for (const Delivery& delivery : deliveries) delivery.callback(error);
}

}  // namespace headrace
