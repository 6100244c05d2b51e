#include "protocol/core/record_iterator.h"

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "protocol/core/varint.h"

namespace headrace {
namespace {

// What is left of one record, read from the front.
class Reader {
 public:
  explicit Reader(ByteSpan bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

  bool Skip() { return at_ != end_ && (++at_, true); }

  bool Number(std::int64_t& value) {
    const std::byte* after = ReadVarint(at_, end_, value);
    if (after == nullptr) return false;
    at_ = after;
    return true;
  }

  // A length and that many bytes; a length of -1 is null.
  bool Bytes(std::optional<ByteSpan>& bytes) {
    std::int64_t length = 0;
    if (!Number(length) || length < -1 || length > end_ - at_) return false;
    if (length == -1) {
      bytes.reset();
      return true;
    }
    bytes = ByteSpan(at_, static_cast<std::size_t>(length));
    at_ += length;
    return true;
  }

 private:
  const std::byte* at_;
  const std::byte* end_;
};

bool ReadHeaders(Reader& reader, std::vector<RecordHeaderView>& headers) {
  std::int64_t count = 0;
  headers.clear();
  // Two bytes a header at least, so a count beyond the record is refused before anything is reserved.
  if (!reader.Number(count) || count < 0 || count > static_cast<std::int64_t>(reader.left() / 2))
    return false;
  for (std::int64_t i = 0; i < count; ++i) {
    std::optional<ByteSpan> key;
    RecordHeaderView header;
    if (!reader.Bytes(key) || !key || !reader.Bytes(header.value)) return false;
    header.key = AsText(*key);
    headers.push_back(header);
  }
  return true;
}

}  // namespace

absl::StatusOr<RecordIterator> RecordIterator::Open(const RecordBatchView& batch,
                                                    std::size_t decompressed_size_max) {
  RecordIterator iterator;
  iterator.rest_ = batch.records();
  if (batch.compression() != Compression::kNone) {
    ASSIGN_OR_RETURN(iterator.decompressed_,
                     Decompress(batch.compression(), batch.records(), decompressed_size_max));
    iterator.rest_ = iterator.decompressed_;
  }
  iterator.base_offset_ = batch.base_offset();
  iterator.last_offset_delta_ = batch.last_offset_delta();
  iterator.base_timestamp_ = batch.base_timestamp();
  if ((batch.attributes() & kAttributeLogAppendTime) != 0) iterator.append_time_ = batch.max_timestamp();
  iterator.left_ = batch.record_count();
  return iterator;
}

bool RecordIterator::Fail(std::string_view what) {
  status_ = MakeError(ErrorCode::kCorruptMessage,
                      absl::StrCat("record ", left_, " before the end of the batch at offset ", base_offset_,
                                   ": ", std::string(what)));
  left_ = 0;
  return false;
}

bool RecordIterator::Next() {
  if (left_ == 0) {
    if (status_.ok() && !rest_.empty()) Fail(absl::StrCat(rest_.size(), " bytes are left over"));
    rest_ = {};
    return false;
  }
  std::optional<ByteSpan> body;
  Reader batch(rest_);
  if (!batch.Bytes(body) || !body) return Fail("its length lies outside the batch");
  rest_ = rest_.last(batch.left());
  Reader reader(*body);
  std::int64_t timestamp_delta = 0;
  std::int64_t offset_delta = 0;
  if (!reader.Skip()) return Fail("it is empty");  // the attributes: none are defined
  if (!reader.Number(timestamp_delta) || !reader.Number(offset_delta) || offset_delta < 0 ||
      offset_delta > last_offset_delta_) {
    return Fail("its deltas do not parse, or lie outside the batch");
  }
  if (!reader.Bytes(record_.key) || !reader.Bytes(record_.value)) return Fail("key or value do not parse");
  if (!ReadHeaders(reader, headers_)) return Fail("its headers do not parse");
  if (reader.left() > 0) return Fail(absl::StrCat(reader.left(), " bytes are left over in it"));
  record_.headers = headers_;
  record_.offset = base_offset_ + offset_delta;
  // Unsigned, because a hostile delta must wrap rather than be undefined.
  record_.timestamp = append_time_.value_or(static_cast<TimestampMs>(
      static_cast<std::uint64_t>(base_timestamp_) + static_cast<std::uint64_t>(timestamp_delta)));
  --left_;
  return true;
}

}  // namespace headrace
