#include "protocol/core/record_iterator.h"

#include "absl/strings/str_cat.h"
#include "protocol/core/error_code.h"
#include "protocol/core/status_macros.h"
#include "protocol/core/varint.h"

namespace headrace {
namespace {

// A length and that many bytes; a length of -1 is null.
bool ReadBytes(ByteSpan& rest, std::optional<ByteSpan>& bytes) {
  std::int64_t length = 0;
  if (!ReadVarint(rest, length) || length < -1 || length > static_cast<std::int64_t>(rest.size()))
    return false;
  if (length == -1) {
    bytes.reset();
    return true;
  }
  bytes = rest.first(static_cast<std::size_t>(length));
  rest = rest.subspan(static_cast<std::size_t>(length));
  return true;
}

bool ReadHeaders(ByteSpan& rest, std::vector<RecordHeaderView>& headers) {
  std::int64_t count = 0;
  headers.clear();
  // Two bytes a header at least, so a count beyond the record is refused before anything is reserved.
  if (!ReadVarint(rest, count) || count < 0 || count > static_cast<std::int64_t>(rest.size() / 2))
    return false;
  for (std::int64_t i = 0; i < count; ++i) {
    std::optional<ByteSpan> key;
    RecordHeaderView header;
    if (!ReadBytes(rest, key) || !key || !ReadBytes(rest, header.value)) return false;
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
  std::int64_t length = 0;
  if (!ReadVarint(rest_, length) || length < 0 || length > static_cast<std::int64_t>(rest_.size())) {
    return Fail("its length lies outside the batch");
  }
  ByteSpan body = rest_.first(static_cast<std::size_t>(length));
  rest_ = rest_.subspan(static_cast<std::size_t>(length));
  std::int64_t timestamp_delta = 0;
  std::int64_t offset_delta = 0;
  if (body.empty()) return Fail("it is empty");
  body = body.subspan(1);  // attributes: none are defined
  if (!ReadVarint(body, timestamp_delta) || !ReadVarint(body, offset_delta) || offset_delta < 0 ||
      offset_delta > last_offset_delta_) {
    return Fail("its deltas do not parse, or lie outside the batch");
  }
  if (!ReadBytes(body, record_.key) || !ReadBytes(body, record_.value))
    return Fail("key or value do not parse");
  if (!ReadHeaders(body, headers_)) return Fail("its headers do not parse");
  if (!body.empty()) return Fail(absl::StrCat(body.size(), " bytes are left over in it"));
  record_.headers = headers_;
  record_.offset = base_offset_ + offset_delta;
  // Unsigned, because a hostile delta must wrap rather than be undefined.
  record_.timestamp = append_time_.value_or(static_cast<TimestampMs>(
      static_cast<std::uint64_t>(base_timestamp_) + static_cast<std::uint64_t>(timestamp_delta)));
  --left_;
  return true;
}

}  // namespace headrace
