// All groups of this broker.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "broker/group/classic_group.h"
#include "broker/group/consumer_group.h"
#include "broker/group/requests.h"
#include "broker/group/settings.h"
#include "protocol/core/mutex.h"
#include "storage/io/clock.h"

namespace headrace::group {

// Owns every group, finds the one a request is for, and gives it time. Membership lives in memory only: after
// a restart members hear UNKNOWN_MEMBER_ID and rejoin. It knows no offset: who commits does so
// through Commit.
//
// A group has one type at a time. An empty one may be taken over by the other protocol; while members are
// there, a classic join at a consumer group hears INCONSISTENT_GROUP_PROTOCOL, and a consumer heartbeat at a
// classic group GROUP_ID_NOT_FOUND.
//
// Owned by the broker. Thread: any. Callbacks run exactly once, never under a lock: on the calling thread, on
// that of another caller whose request answered this one, or on the timer's. They must not block. A callback
// may call the coordinator.
class Coordinator {
 public:
  using TopicSource = std::function<std::vector<TopicInfo>()>;
  using IdSource = std::function<std::string(const std::string& client_id)>;

  // `topics` is asked on any thread, one at a time, about once a second and when a member says what it reads;
  // it must not call the coordinator.
  // `make_id` makes member ids; none: the client's id and a random part.
  Coordinator(const Settings& settings, storage::Clock& clock, TopicSource topics,
              IdSource make_id = nullptr);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // Starts the timer thread. Without it the owner calls Tick.
  void Start();
  // Ends the timer; whoever still waits for a join or a sync hears COORDINATOR_NOT_AVAILABLE, as do later
  // calls.
  void Stop() HEADRACE_EXCLUDES(mutex_);
  // Does what is due by the clock: expiries, ends of rebalances, topics that changed.
  void Tick() HEADRACE_EXCLUDES(mutex_);
  // When Tick has something to do next; nullopt: not before another call.
  std::optional<Time> NextDeadline() const HEADRACE_EXCLUDES(mutex_);

  // The classic protocol. Join and Sync may wait as long as a rebalance takes.
  void Join(const JoinRequest& request, JoinCallback done) HEADRACE_EXCLUDES(mutex_);
  void Sync(const SyncRequest& request, SyncCallback done) HEADRACE_EXCLUDES(mutex_);
  ErrorCode Heartbeat(const HeartbeatRequest& request) HEADRACE_EXCLUDES(mutex_);
  LeaveOutcome Leave(const LeaveRequest& request) HEADRACE_EXCLUDES(mutex_);

  // The consumer protocol; never waits.
  ConsumerHeartbeatOutcome ConsumerHeartbeat(const ConsumerHeartbeatRequest& request)
      HEADRACE_EXCLUDES(mutex_);

  // Whether this member of the consumer protocol may see the group's positions. A group that is not known
  // lets it: after a restart of the broker it is told by its next heartbeat to join again.
  ErrorCode CheckFetch(const CommitCheck& check) HEADRACE_EXCLUDES(mutex_);
  // Whether this member, or whoever is none, may commit; if so calls `append`, which puts the commit in its
  // queue and no more: it is called under the lock, so that a seek sees every commit either queued or
  // refused. COORDINATOR_LOAD_IN_PROGRESS, which clients repeat, during a seek.
  ErrorCode Commit(const CommitCheck& check, const std::function<void()>& append) HEADRACE_EXCLUDES(mutex_);
  // Moves a group: BeginSeek refuses commits from here on, and calls `append` as Commit does; EndSeek, once
  // what was appended can be fetched, lets commits through again, and if `moved` removes every member as
  // RemoveMembers does, returning how many there were. BeginSeek is false, and nothing is done, while another
  // seek of the group is under way.
  bool BeginSeek(const std::string& group_id, const std::function<void()>& append) HEADRACE_EXCLUDES(mutex_);
  std::size_t EndSeek(const std::string& group_id, bool moved) HEADRACE_EXCLUDES(mutex_);
  // Removes every member, so that each rejoins and fetches the offsets anew; commits under the former member
  // ids are refused from here on. False: there is no such group.
  bool RemoveMembers(const std::string& group_id) HEADRACE_EXCLUDES(mutex_);

  // Sorted by id; without members (List) or with them.
  std::vector<GroupDescription> List() const HEADRACE_EXCLUDES(mutex_);
  std::optional<GroupDescription> Describe(const std::string& group_id) const HEADRACE_EXCLUDES(mutex_);
  // NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND or kNone.
  ErrorCode Delete(const std::string& group_id) HEADRACE_EXCLUDES(mutex_);

 private:
  using Group = std::variant<ClassicGroup, ConsumerGroup>;

  // The classic group of a request other than Join; null: there is none.
  ClassicGroup* FindClassic(const std::string& group_id) HEADRACE_REQUIRES(mutex_);
  struct Refusal {
    ErrorCode error = ErrorCode::kNone;
    std::string message;
  };
  // The group, made if it is missing and turned into a T if it is empty; null if that cannot be, or if it is
  // refused already.
  template <typename T>
  T* TakeOver(const std::string& group_id, ErrorCode mismatch, Refusal& refusal) HEADRACE_REQUIRES(mutex_);
  // Asks for the topics if the last answer is old; groups go on meanwhile.
  void RefreshTopics(bool force) HEADRACE_EXCLUDES(refresh_mutex_, mutex_);
  ErrorCode Check(const CommitCheck& check) HEADRACE_REQUIRES(mutex_);
  void Run() HEADRACE_EXCLUDES(mutex_);
  void Wake() HEADRACE_REQUIRES(mutex_);

  const Settings settings_;
  storage::Clock& clock_;
  const TopicSource topics_source_;
  const IdSource make_id_;

  core::Mutex refresh_mutex_;  // taken before mutex_; so that no list replaces one that is newer
  mutable core::Mutex mutex_;
  core::ConditionVariable wake_;
  std::size_t members_memory_ HEADRACE_GUARDED_BY(mutex_) = 0;  // bytes
  std::map<std::string, Group> groups_ HEADRACE_GUARDED_BY(mutex_);
  std::set<std::string> seeking_ HEADRACE_GUARDED_BY(mutex_);  // groups between BeginSeek and EndSeek
  TopicTablePtr topics_ HEADRACE_GUARDED_BY(mutex_) = std::make_shared<const TopicTable>();
  std::optional<Time> topics_time_ HEADRACE_GUARDED_BY(mutex_);
  bool changed_ HEADRACE_GUARDED_BY(mutex_) = false;  // a deadline may have come nearer
  bool stopping_ HEADRACE_GUARDED_BY(mutex_) = false;
  std::thread timer_;
};

}  // namespace headrace::group
