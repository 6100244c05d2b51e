// A group of the classic protocol: join, sync, heartbeat, leave.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "broker/group/charge.h"
#include "broker/group/requests.h"
#include "broker/group/settings.h"

namespace headrace::group {

//            first join                all joined, or time is up            leader's sync
//   Empty ---------------> Preparing ------------------------> Completing ---------------> Stable
//     ^                     |    ^                                |                            |
//     +---------------------+    +--------------------------------+----------------------------+
//        nobody is left                  a member comes, goes, or changes what it asks for
//
// Pure: (event, now) -> actions. It has no clock, no thread, no lock, and calls nobody: answers are appended
// to `actions`. Every Join and Sync is answered exactly once. Owned by the Coordinator, under its lock.
class ClassicGroup {
 public:
  // `memory`: the bytes of all members of all groups.
  ClassicGroup(std::string id, const Settings& settings, std::size_t& memory)
      : id_(std::move(id)), settings_(&settings), memory_(&memory) {}

  // `new_id`: the id of a member that comes without one.
  void Join(const JoinRequest& request, const std::string& new_id, JoinCallback done, Time now,
            Actions& actions);
  void Sync(const SyncRequest& request, SyncCallback done, Time now, Actions& actions);
  ErrorCode Heartbeat(const HeartbeatRequest& request, Time now);
  ErrorCode Leave(const LeavingMember& member, Time now, Actions& actions);
  ErrorCode CheckCommit(const CommitCheck& check, Time now);

  // What is due.
  void Expire(Time now, Actions& actions);
  std::optional<Time> NextDeadline() const;
  // Everybody out: who waits hears `error`, the rest UNKNOWN_MEMBER_ID at the next call.
  void RemoveMembers(ErrorCode error, Actions& actions);

  bool empty() const { return state_ == GroupState::kEmpty; }
  // No member, and nobody who was promised an id: nothing is lost with it.
  bool unused() const { return empty() && pending_.empty(); }
  // Not even a first generation: made for a join that came to nothing.
  bool untouched() const { return unused() && generation_ == 0; }
  GroupState state() const { return state_; }
  GroupDescription Describe() const;

 private:
  struct Member {
    explicit Member(std::size_t& sum) : memory(sum) {}

    std::string id;
    std::optional<std::string> instance_id;
    Client client;
    std::vector<JoinProtocol> protocols;
    Milliseconds session_timeout{};
    Milliseconds rebalance_timeout{};
    std::string assignment;
    JoinCallback join;  // waits for the rebalance's end
    SyncCallback sync;  // waits for the leader
    bool fresh = true;  // never answered yet
    Time deadline;      // without a sign of life
    Charge memory;
  };
  // An id that was given out: until when it waits for its join.
  struct Pending {
    explicit Pending(std::size_t& sum) : memory(sum) { memory.Set(kMemberSize); }

    Time deadline;
    Charge memory;
  };
  using Members = std::map<std::string, Member>;

  ErrorCode CheckJoin(const JoinRequest& request) const;
  bool HasRoomFor(const JoinRequest& request, const Member* present) const;
  bool HasRoomFor(const SyncRequest& request) const;
  ErrorCode FindMember(const std::string& member_id, const std::optional<std::string>& instance_id,
                       Member*& member);
  void JoinNew(const JoinRequest& request, const std::string& new_id, JoinCallback done, Time now,
               Actions& actions);
  void JoinKnown(Member& member, const JoinRequest& request, JoinCallback done, Time now, Actions& actions);
  void AddMember(const JoinRequest& request, const std::string& id, JoinCallback done, Time now,
                 Actions& actions);
  void ReplaceStatic(const JoinRequest& request, const std::string& new_id, JoinCallback done, Time now,
                     Actions& actions);
  void AwaitJoin(Member& member, JoinCallback done, Time now, Actions& actions);
  static void Store(Member& member, const JoinRequest& request);
  static void SetAssignment(Member& member, std::string assignment);
  // What it asks for in the chosen protocol, as far as its bytes can be read.
  std::set<std::string> SubscribedTopics(const Member& member) const;
  JoinOutcome Answer(const Member& member) const;
  void RemoveMember(const std::string& id, ErrorCode error, Time now, Actions& actions);

  void PrepareRebalance(Time now, Actions& actions);
  void TryCompleteJoin(Time now, Actions& actions);
  void CompleteJoin(Time now, Actions& actions);
  void BecomeEmpty();
  void FinishSyncs(ErrorCode error, Actions& actions);
  void ExpireRebalance(Time now, Actions& actions);
  std::string SelectProtocol() const;
  bool Supported(const std::vector<JoinProtocol>& protocols, const std::string& but_member) const;
  Milliseconds RebalanceTimeout() const;

  std::string id_;
  const Settings* settings_;
  std::size_t* memory_;
  GroupState state_ = GroupState::kEmpty;
  std::int32_t generation_ = 0;
  std::string protocol_type_;
  std::string protocol_;
  std::string leader_;
  Members members_;
  std::map<std::string, std::string> static_members_;  // instance id -> member id
  std::map<std::string, Pending> pending_;
  std::set<std::string> unsynced_;          // members whose sync is awaited
  std::optional<Time> rebalance_deadline_;  // of the join phase, or of the sync phase
  bool initial_ = false;                    // the join phase waits for members it has not heard of
  bool member_added_ = false;               // in the initial phase, since its last deadline
  Milliseconds initial_left_{};
};

}  // namespace headrace::group
