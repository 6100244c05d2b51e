// Fetch sessions (KIP-227): a client names its partitions once, and afterwards only what has changed.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "protocol/core/mutex.h"
#include "protocol/kafka/messages/fetch.h"
#include "storage/io/clock.h"

namespace headrace::kafka {

// One partition of a session, with what the client was last told about it.
struct FetchEntry {
  std::string topic;
  TopicId topic_id;
  FetchRequest::Partition asked;
  Offset told_high_watermark = -1;
  Offset told_start = -1;
};

struct FetchKey {
  std::string topic;
  TopicId topic_id;
  PartitionId index = 0;

  friend bool operator==(const FetchKey&, const FetchKey&) = default;
};
struct FetchKeyHash {
  std::size_t operator()(const FetchKey& key) const;
};

// One client's partitions, in the order in which they are read: those that gave data go to the end, so that
// all have their turn. One request of a session is in progress at a time; a second one waits for nothing and
// is refused by its epoch.
class FetchSession {
 public:
  using Entries = std::list<FetchEntry>;

  bool is_kept() const { return id != 0; }
  // Adds what the request names, or replaces what it says of it, and forgets what it forgets.
  void Update(const FetchRequest& request);
  void MoveToEnd(Entries::iterator entry) { entries.splice(entries.end(), entries, entry); }

  std::int32_t id = 0;       // 0: none, for one request only
  bool incremental = false;  // the client is only told what has changed
  bool by_id = false;        // topics are named by ids
  Entries entries;

 private:
  std::unordered_map<FetchKey, Entries::iterator, FetchKeyHash> places_;
};

// All sessions of the broker, within fixed numbers; the one that was idle longest gives way, if that was for
// two minutes at least. Owned by the broker. Thread: any.
class FetchSessions {
 public:
  static constexpr std::size_t kSessionsMax = 1000;
  static constexpr std::size_t kEntriesMax = 200'000;  // of all sessions together
  static constexpr std::chrono::minutes kIdleTime{2};

  explicit FetchSessions(storage::Clock& clock) : clock_(clock) {}

  // The session that a request belongs to, brought up to date with what the request names; a full fetch gets
  // one of its own, with id 0 where none may be kept. What is returned is the caller's until Return. Errors:
  // kFetchSessionIdNotFound (also when it grew and there is no room: it is closed then),
  // kInvalidFetchSessionEpoch, kFetchSessionTopicIdError: the client starts anew.
  absl::StatusOr<std::unique_ptr<FetchSession>> Take(const FetchRequest& request, bool by_id)
      HEADRACE_EXCLUDES(mutex_);
  // Keeps the session for the next request. What was closed meanwhile stays closed.
  void Return(std::unique_ptr<FetchSession> session) HEADRACE_EXCLUDES(mutex_);

  std::size_t size() const HEADRACE_EXCLUDES(mutex_);

 private:
  struct Slot {
    std::unique_ptr<FetchSession> session;  // nullptr while a request has it
    std::size_t entries = 0;
    std::int32_t next_epoch = 1;
    std::chrono::steady_clock::time_point last_used;
  };

  std::unique_ptr<FetchSession> TakeFull(const FetchRequest& request, bool by_id) HEADRACE_REQUIRES(mutex_);
  absl::StatusOr<std::unique_ptr<FetchSession>> TakeKept(const FetchRequest& request, bool by_id)
      HEADRACE_REQUIRES(mutex_);
  // Whether so many sessions and entries more may be kept, after closing who was idle.
  bool MakeRoom(std::size_t sessions, std::size_t entries) HEADRACE_REQUIRES(mutex_);
  void Close(std::int32_t id) HEADRACE_REQUIRES(mutex_);

  storage::Clock& clock_;
  mutable core::Mutex mutex_;
  std::unordered_map<std::int32_t, Slot> slots_ HEADRACE_GUARDED_BY(mutex_);
  std::size_t entries_ HEADRACE_GUARDED_BY(mutex_) = 0;
};

}  // namespace headrace::kafka
