#include "broker/net/output.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace headrace::net {
namespace {

constexpr std::size_t kRunsMax = 64;             // byte runs of one system call
constexpr std::uint64_t kReadSize = 64 << 10;    // bytes of one read of a slice
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
    const bool is_run = std::holds_alternative<std::string>(pieces_.front());
    if (!is_run && !IsWarm()) return Outcome::kCold;
    const SendResult result = is_run ? SendRuns() : SendSlice(limit - sent_);
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

SendResult Output::SendRuns() {
  std::array<iovec, kRunsMax + 1> pieces;
  std::size_t count = 0;
  std::uint64_t size = 0;
  auto next = pieces_.begin();
  for (; next != pieces_.end() && count < kRunsMax; ++next) {
    auto* run = std::get_if<std::string>(&*next);
    if (run == nullptr) break;
    const std::size_t skip = count == 0 ? run_offset_ : 0;
    pieces[count++] = {run->data() + skip, run->size() - skip};
    size += run->size() - skip;
  }
  const auto* slice = next == pieces_.end() ? nullptr : std::get_if<storage::FileSlice>(&*next);
  const std::uint64_t length = slice == nullptr ? 0 : std::min(slice->length, kReadSize);
  const bool gathered = slice != nullptr && choice_.For(slice->length) == Transfer::kRead &&
                        IsResident({slice->file, slice->position, length}, probe_);
  if (!gathered) return SendPieces(socket_, pieces.data(), count, slice != nullptr);
  const MutableByteSpan buffer = ReadBuffer().first(length);
  const auto read = slice->file->ReadAt(slice->position, buffer);
  if (!read.ok() || *read < length) return {SendResult::Kind::kFileShort, 0, 0};
  pieces[count++] = {buffer.data(), buffer.size()};
  const SendResult result = SendPieces(socket_, pieces.data(), count, false);
  SendResult of_slice = result;
  of_slice.bytes = result.bytes > size ? result.bytes - size : 0;
  Count(Transfer::kRead, of_slice, length, length);
  return result;
}

SendResult Output::SendSlice(std::uint64_t budget) {
  const auto& slice = std::get<storage::FileSlice>(pieces_.front());
  if (!transfer_) transfer_ = choice_.For(slice.length);
  const std::uint64_t length = std::min({slice.length, warm_until_ - slice.position, budget});
  SendResult result;
  switch (*transfer_) {
    case Transfer::kSendfile:
      result = SendBySendfile(socket_, slice, length);
      Count(*transfer_, result, length, 0);
      break;
    case Transfer::kMmap:
      result = SendByMmap(socket_, slice, length);
      Count(*transfer_, result, length, result.bytes);
      break;
    case Transfer::kRead:
      result = SendByRead(slice, std::min(length, kReadSize));
      break;
  }
  return result;
}

SendResult Output::SendByRead(const storage::FileSlice& slice, std::uint64_t length) {
  const MutableByteSpan buffer = ReadBuffer().first(length);
  const auto read = slice.file->ReadAt(slice.position, buffer);
  if (!read.ok() || *read < length) return {SendResult::Kind::kFileShort, 0, 0};
  const iovec piece{buffer.data(), buffer.size()};
  const SendResult result = SendPieces(socket_, &piece, 1, false);
  Count(Transfer::kRead, result, length, length);
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
