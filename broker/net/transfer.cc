#include "broker/net/transfer.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace headrace::net {
namespace {

constexpr std::array<std::string_view, kTransferCount> kNames = {"sendfile", "mmap", "read"};

}  // namespace

std::string_view NameOf(Transfer transfer) {
  return kNames[static_cast<std::size_t>(transfer)];
}

std::optional<TransferChoice> ParseTransfer(std::string_view name) {
  TransferChoice choice;
  if (name == "auto") return choice;
  for (std::size_t i = 0; i < kTransferCount; ++i) {
    if (name != kNames[i]) continue;
    choice.forced = static_cast<Transfer>(i);
    return choice;
  }
  return std::nullopt;
}

TransferSnapshot TransferCounters::Snapshot() const {
  TransferSnapshot snapshot;
  for (std::size_t i = 0; i < kTransferCount; ++i) {
    const Strategy& from = strategies_[i];
    snapshot[i] = {kNames[i],
                   from.calls.load(),
                   from.bytes.load(),
                   from.bytes_through_user.load(),
                   from.short_sends.load(),
                   from.waits.load()};
  }
  return snapshot;
}

void AddTo(TransferSnapshot& to, const TransferSnapshot& from) {
  for (std::size_t i = 0; i < kTransferCount; ++i) {
    to[i].name = from[i].name;
    to[i].calls += from[i].calls;
    to[i].bytes += from[i].bytes;
    to[i].bytes_through_user += from[i].bytes_through_user;
    to[i].short_sends += from[i].short_sends;
    to[i].waits += from[i].waits;
  }
}

SendResult ResultOf(ssize_t count) {
  SendResult result;
  if (count >= 0) {
    result.bytes = static_cast<std::uint64_t>(count);
    return result;
  }
  result.error = errno;
  switch (result.error) {
    case EAGAIN:
      result.kind = SendResult::Kind::kFull;
      break;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
      result.kind = SendResult::Kind::kPeerGone;
      break;
    default:
      result.kind = SendResult::Kind::kFailed;
  }
  return result;
}

SendResult SendBySendfile(int socket, const storage::FileSlice& slice, std::uint64_t bytes_max) {
  auto position = static_cast<off_t>(slice.position);
  const std::uint64_t length = std::min(slice.length, bytes_max);
  ssize_t count = 0;
  do {
    count = ::sendfile(socket, slice.file->descriptor(), &position, length);
  } while (count < 0 && errno == EINTR);
  SendResult result = ResultOf(count);
  if (count == 0) result.kind = SendResult::Kind::kFileShort;
  return result;
}

SendResult SendByMmap(int socket, const storage::FileSlice& slice, std::uint64_t bytes_max) {
  // A mapping begins at a page; the published bytes of a segment are never cut, so no access faults.
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t start = slice.position / page * page;
  const std::uint64_t skip = slice.position - start;
  const std::uint64_t length = std::min(slice.length, bytes_max);
  const auto size = slice.file->Size();
  if (!size.ok() || *size < slice.position + length) return {SendResult::Kind::kFileShort, 0, 0};
  void* mapping = ::mmap(nullptr, skip + length, PROT_READ, MAP_SHARED, slice.file->descriptor(),
                         static_cast<off_t>(start));
  if (mapping == MAP_FAILED) return {SendResult::Kind::kFailed, 0, errno};
  ssize_t count = 0;
  do {
    count = ::send(socket, static_cast<std::byte*>(mapping) + skip, length, MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  const SendResult result = ResultOf(count);
  ::munmap(mapping, skip + length);
  return result;
}

}  // namespace headrace::net
