#include "broker/net/output.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace headrace::net {
namespace {

constexpr std::size_t kPiecesMax = 128;          // byte runs and small slices of one system call
constexpr std::uint64_t kReadSize = 64 << 10;    // bytes of slices that are read for one system call
constexpr std::uint64_t kSliceSize = 512 << 10;  // bytes of one sendfile

// One buffer for each reactor thread: what it holds never outlives a call.
MutableByteSpan ReadBuffer() {
  thread_local std::vector<std::byte> buffer(kReadSize);
  return buffer;
}

SendResult SendPieces(int socket, const iovec* pieces, std::size_t count, bool more) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = count;
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
  } while (sent < 0 && errno == EINTR);
  return ResultOf(sent);
}

}  // namespace

Output::Output(int socket, const TransferChoice& choice, ResidencyProbe probe, TransferCounters& own,
               TransferCounters& total)
    : socket_(socket), choice_(choice), probe_(probe), own_(own), total_(total) {}

void Output::Add(Response response) {
  for (ResponsePiece& piece : response.pieces) {
    const auto* slice = std::get_if<storage::FileSlice>(&piece);
    const std::uint64_t size = slice != nullptr ? slice->length : std::get<std::string>(piece).size();
    if (size == 0) continue;
    waiting_ += size;
    if (slice == nullptr) waiting_in_memory_ += size;
    pieces_.push_back(std::move(piece));
  }
}

void Output::Clear() {
  pieces_.clear();
  cold_ = {};
  waiting_ = 0;
  waiting_in_memory_ = 0;
}

Output::Outcome Output::Flush(std::uint64_t budget) {
  const std::uint64_t limit = sent_ + budget;
  while (!pieces_.empty()) {
    if (sent_ >= limit) return Outcome::kTurnOver;
    SendResult result = SendGathered();
    if (result.kind == SendResult::Kind::kSent && result.bytes == 0) {
      const bool was_warm = std::get<storage::FileSlice>(pieces_.front()).position < warm_until_;
      if (!IsWarm()) return Outcome::kCold;
      if (!was_warm && WayOf(std::get<storage::FileSlice>(pieces_.front()), true) == Transfer::kRead)
        continue;
      result = SendSlice(limit - sent_);
    }
    if (result.kind == SendResult::Kind::kFull) return Outcome::kFull;
    if (result.kind != SendResult::Kind::kSent) return Fail(result);
    Consume(result.bytes);
  }
  return Outcome::kDrained;
}

void Output::MarkWarm() {
  warm_until_ = cold_.position + cold_.length;
  cold_ = {};
}

bool Output::IsWarm() {
  const auto& slice = std::get<storage::FileSlice>(pieces_.front());
  if (slice.position < warm_until_) return true;
  cold_ = {slice.file, slice.position, std::min(slice.length, kSliceSize)};
  if (!IsResident(cold_, probe_)) return false;
  MarkWarm();
  return true;
}

Transfer Output::WayOf(const storage::FileSlice& slice, bool front) const {
  return front && transfer_ ? *transfer_ : choice_.For(slice.length);
}

MutableByteSpan Output::ReadSmall(const storage::FileSlice& slice, bool front, MutableByteSpan room) {
  if (WayOf(slice, front) != Transfer::kRead) return {};
  if (room.size() < std::min(slice.length, kReadSize)) return {};
  std::uint64_t length = std::min<std::uint64_t>(slice.length, room.size());
  if (front && slice.position < warm_until_) {
    length = std::min(length, warm_until_ - slice.position);
    const auto count = slice.file->ReadAt(slice.position, room.first(length));
    return count.ok() && *count == length ? room.first(length) : MutableByteSpan();
  }
  return ReadIfResident(slice, probe_, room.first(length)) ? room.first(length) : MutableByteSpan();
}

SendResult Output::SendGathered() {
  std::array<iovec, kPiecesMax> pieces;
  std::bitset<kPiecesMax> is_slice;
  MutableByteSpan room = ReadBuffer();
  std::size_t count = 0;
  std::uint64_t read = 0;
  auto next = pieces_.begin();
  for (; next != pieces_.end() && count < kPiecesMax; ++next, ++count) {
    if (auto* run = std::get_if<std::string>(&*next)) {
      const std::size_t skip = count == 0 ? run_offset_ : 0;
      pieces[count] = {run->data() + skip, run->size() - skip};
      continue;
    }
    const auto& slice = std::get<storage::FileSlice>(*next);
    const MutableByteSpan bytes = ReadSmall(slice, count == 0, room);
    if (bytes.empty()) break;
    is_slice.set(count);
    pieces[count] = {bytes.data(), bytes.size()};
    read += bytes.size();
    room = room.subspan(bytes.size());
    if (bytes.size() < slice.length) {  // what follows comes after its rest
      ++count;
      break;
    }
  }
  if (count == 0) return {};
  const SendResult result = SendPieces(socket_, pieces.data(), count, next != pieces_.end());
  if (read == 0) return result;
  SendResult of_slices = result;
  of_slices.bytes = 0;
  std::uint64_t left = result.bytes;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t taken = std::min<std::uint64_t>(left, pieces[i].iov_len);
    if (is_slice[i]) of_slices.bytes += taken;
    left -= taken;
  }
  Count(Transfer::kRead, of_slices, read, read);
  return result;
}

SendResult Output::SendSlice(std::uint64_t budget) {
  const auto& slice = std::get<storage::FileSlice>(pieces_.front());
  transfer_ = WayOf(slice, true);
  const std::uint64_t length = std::min({slice.length, warm_until_ - slice.position, budget});
  if (*transfer_ == Transfer::kMmap) {
    const SendResult result = SendByMmap(socket_, slice, length);
    Count(*transfer_, result, length, result.bytes);
    return result;
  }
  // A slice to be read comes here when it cannot be: its file is shorter than it was.
  if (*transfer_ == Transfer::kRead) return {SendResult::Kind::kFileShort, 0, 0};
  const SendResult result = SendBySendfile(socket_, slice, length);
  Count(*transfer_, result, length, 0);
  return result;
}

void Output::Count(Transfer transfer, const SendResult& result, std::uint64_t offered,
                   std::uint64_t through_user) {
  for (TransferCounters* counters : {&own_, &total_}) {
    TransferCounters::Strategy& strategy = (*counters)[transfer];
    strategy.calls.fetch_add(1, std::memory_order_relaxed);
    strategy.bytes_through_user.fetch_add(through_user, std::memory_order_relaxed);
    if (result.kind == SendResult::Kind::kFull) strategy.waits.fetch_add(1, std::memory_order_relaxed);
    if (result.kind != SendResult::Kind::kSent) continue;
    strategy.bytes.fetch_add(result.bytes, std::memory_order_relaxed);
    if (result.bytes < offered) strategy.short_sends.fetch_add(1, std::memory_order_relaxed);
  }
}

void Output::Consume(std::uint64_t bytes) {
  sent_ += bytes;
  waiting_ -= bytes;
  while (bytes > 0) {
    ResponsePiece& front = pieces_.front();
    if (auto* run = std::get_if<std::string>(&front)) {
      const std::uint64_t left = run->size() - run_offset_;
      if (bytes < left) {
        run_offset_ += bytes;
        return;
      }
      bytes -= left;
      run_offset_ = 0;
      waiting_in_memory_ -= run->size();
    } else {
      auto& slice = std::get<storage::FileSlice>(front);
      const std::uint64_t taken = std::min(bytes, slice.length);
      slice.position += taken;
      slice.length -= taken;
      bytes -= taken;
      if (slice.length > 0) return;
      warm_until_ = 0;  // says nothing of the next slice
      transfer_.reset();
    }
    pieces_.pop_front();
  }
}

Output::Outcome Output::Fail(const SendResult& result) {
  if (result.kind == SendResult::Kind::kPeerGone) return Outcome::kPeerGone;
  const auto* slice = std::get_if<storage::FileSlice>(&pieces_.front());
  for (const ResponsePiece& piece : pieces_) {
    if (slice != nullptr) break;
    slice = std::get_if<storage::FileSlice>(&piece);
  }
  const std::string where = slice != nullptr ? absl::StrCat(slice->file->path(), " at ", slice->position,
                                                            ", ", slice->length, " bytes")
                                             : "a response";
  failure_ = result.kind == SendResult::Kind::kFileShort
                 ? absl::StrCat("sending ", where, ": the file is shorter than it was, or cannot be read")
                 : absl::StrCat("sending ", where, ": ", std::strerror(result.error));
  return Outcome::kFailed;
}

}  // namespace headrace::net
