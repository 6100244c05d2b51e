#include "broker/kafka/fetch_session.h"

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/topic/topic_registry.h"
#include "protocol/core/error_code.h"

namespace headrace::kafka {
namespace {

constexpr std::int32_t kFinalEpoch = -1;  // closes the session, and asks for everything
constexpr std::int32_t kFirstEpoch = 0;   // asks for a new session

std::int32_t NextEpoch(std::int32_t epoch) {
  return epoch == std::numeric_limits<std::int32_t>::max() ? 1 : epoch + 1;
}

// Random, so that a client of a broker before a restart meets no session of somebody else.
std::int32_t RandomId() {
  static thread_local std::mt19937 generator{std::random_device{}()};
  return std::uniform_int_distribution<std::int32_t>(1)(generator);
}

// Names that no topic can have may be of any length, and so are not kept.
bool NamesFit(const FetchRequest& request) {
  return std::all_of(request.topics.begin(), request.topics.end(), [](const FetchRequest::Topic& topic) {
    return topic.name.size() <= topic::TopicRegistry::kNameSizeMax;
  });
}

}  // namespace

std::size_t FetchKeyHash::operator()(const FetchKey& key) const {
  const std::size_t name = std::hash<std::string>{}(key.topic);
  return name ^ std::hash<TopicPartition>{}({key.topic_id, key.index});
}

void FetchSession::Update(const FetchRequest& request) {
  for (const FetchRequest::Topic& topic : request.topics) {
    for (const FetchRequest::Partition& asked : topic.partitions) {
      const auto [place, fresh] = places_.try_emplace({topic.name, topic.id, asked.index}, entries.end());
      if (fresh) {
        place->second = entries.insert(entries.end(), FetchEntry{topic.name, topic.id, asked});
      } else {
        place->second->asked = asked;
      }
    }
  }
  for (const auto& topic : request.forgotten_topics) {
    for (const PartitionId index : topic.partitions) {
      const auto place = places_.find({topic.name, topic.id, index});
      if (place == places_.end()) continue;
      entries.erase(place->second);
      places_.erase(place);
    }
  }
}

absl::StatusOr<std::unique_ptr<FetchSession>> FetchSessions::Take(const FetchRequest& request, bool by_id) {
  const core::MutexLock lock(mutex_);
  const bool full = request.session_epoch == kFinalEpoch || request.session_epoch == kFirstEpoch;
  if (!full) return TakeKept(request, by_id);
  if (request.session_id != 0) Close(request.session_id);
  return TakeFull(request, by_id);
}

std::unique_ptr<FetchSession> FetchSessions::TakeFull(const FetchRequest& request, bool by_id) {
  auto session = std::make_unique<FetchSession>();
  session->by_id = by_id;
  session->Update(request);
  const std::size_t count = session->entries.size();
  const bool wanted = request.session_epoch == kFirstEpoch && count > 0;
  if (!wanted || !NamesFit(request) || !MakeRoom(1, count)) return session;
  do {
    session->id = RandomId();
  } while (slots_.contains(session->id));
  Slot& slot = slots_[session->id];
  slot.entries = count;
  slot.last_used = clock_.MonotonicNow();
  entries_ += count;
  return session;
}

absl::StatusOr<std::unique_ptr<FetchSession>> FetchSessions::TakeKept(const FetchRequest& request,
                                                                      bool by_id) {
  const auto found = slots_.find(request.session_id);
  if (found == slots_.end()) {
    return MakeError(ErrorCode::kFetchSessionIdNotFound,
                     absl::StrCat("there is no fetch session ", request.session_id));
  }
  Slot& slot = found->second;
  if (request.session_epoch != slot.next_epoch || slot.session == nullptr) {
    return MakeError(ErrorCode::kInvalidFetchSessionEpoch,
                     absl::StrCat("fetch session ", request.session_id, " is at epoch ", slot.next_epoch,
                                  ", the request at ", request.session_epoch));
  }
  if (slot.session->by_id != by_id) {
    return MakeError(ErrorCode::kFetchSessionTopicIdError,
                     absl::StrCat("fetch session ", request.session_id, " names topics by ",
                                  by_id ? "name" : "id", ", the request by ", by_id ? "id" : "name"));
  }
  slot.next_epoch = NextEpoch(slot.next_epoch);
  slot.last_used = clock_.MonotonicNow();
  std::unique_ptr<FetchSession> session = std::move(slot.session);
  session->Update(request);
  session->incremental = true;
  if (session->entries.empty()) {
    Close(session->id);
    session->id = 0;
    return session;
  }
  const std::size_t count = session->entries.size();
  if (count > slot.entries && !(NamesFit(request) && MakeRoom(0, count - slot.entries))) {
    Close(session->id);
    return MakeError(
        ErrorCode::kFetchSessionIdNotFound,
        absl::StrCat("fetch session ", request.session_id, " grew to ", count,
                     " partitions, and there is no room: all sessions together have ", kEntriesMax));
  }
  entries_ += count - slot.entries;
  slot.entries = count;
  return session;
}

void FetchSessions::Return(std::unique_ptr<FetchSession> session) {
  if (!session->is_kept()) return;
  const core::MutexLock lock(mutex_);
  const auto found = slots_.find(session->id);
  if (found == slots_.end()) return;
  found->second.last_used = clock_.MonotonicNow();
  found->second.session = std::move(session);
}

bool FetchSessions::MakeRoom(std::size_t sessions, std::size_t entries) {
  const auto horizon = clock_.MonotonicNow() - kIdleTime;
  while (slots_.size() + sessions > kSessionsMax || entries_ + entries > kEntriesMax) {
    const auto oldest = std::min_element(slots_.begin(), slots_.end(), [](const auto& a, const auto& b) {
      return a.second.last_used < b.second.last_used;
    });
    if (oldest == slots_.end() || oldest->second.last_used > horizon) return false;
    Close(oldest->first);
  }
  return true;
}

void FetchSessions::Close(std::int32_t id) {
  const auto found = slots_.find(id);
  if (found == slots_.end()) return;
  entries_ -= found->second.entries;
  slots_.erase(found);
}

std::size_t FetchSessions::size() const {
  const core::MutexLock lock(mutex_);
  return slots_.size();
}

}  // namespace headrace::kafka
