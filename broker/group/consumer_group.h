// A group of the consumer protocol (KIP-848): the broker assigns, members reconcile.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "broker/group/assignors.h"
#include "broker/group/charge.h"
#include "broker/group/requests.h"
#include "broker/group/settings.h"

namespace headrace::group {

// Three epochs: the group's grows with every change of members, subscriptions or topics; the assignment's
// says for which group epoch the target was made; a member's says which target it has come to. A member first
// gives up what the target takes from it, and its new owner gets a partition only after that was confirmed.
//
// Pure: (event, now) -> answer. No clock, thread or lock; it calls nobody. Owned by the Coordinator, under
// its lock.
class ConsumerGroup {
 public:
  // `memory`: the bytes of all members of all groups.
  ConsumerGroup(std::string id, const Settings& settings, std::size_t& memory)
      : id_(std::move(id)), settings_(&settings), memory_(&memory), assignment_memory_(memory) {}

  ConsumerHeartbeatOutcome Heartbeat(const ConsumerHeartbeatRequest& request, const TopicTablePtr& topics,
                                     Time now);
  ErrorCode CheckCommit(const CommitCheck& check, Time now);
  void UpdateTopics(const TopicTablePtr& topics);

  void Expire(Time now);
  std::optional<Time> NextDeadline() const;
  void RemoveMembers();

  bool empty() const { return members_.empty(); }
  bool unused() const { return empty(); }
  GroupState state() const;
  GroupDescription Describe() const;

 private:
  enum class MemberState { kStable, kUnrevoked, kUnreleased };
  // What members ask for, and what that comes to with the present topics. One for all that ask alike.
  struct Subscription {
    explicit Subscription(std::size_t& sum) : memory(sum) {}

    std::set<std::string> names;
    std::string regex;
    std::set<TopicId> topics;
    Charge memory;
  };
  struct Member {
    explicit Member(std::size_t& sum) : subscription(std::make_shared<Subscription>(sum)), memory(sum) {}

    std::string id;
    std::optional<std::string> instance_id;
    Client client;
    std::int32_t epoch = 0;
    std::int32_t previous_epoch = 0;
    MemberState state = MemberState::kStable;
    std::shared_ptr<Subscription> subscription;
    std::string assignor;
    Milliseconds rebalance_timeout{300'000};
    Partitions assigned;
    Partitions revoking;
    Time deadline;                        // without a heartbeat
    std::optional<Time> revoke_deadline;  // to confirm what it gives up
    Charge memory;
  };

  ConsumerHeartbeatOutcome Leave(const ConsumerHeartbeatRequest& request, Time now);
  ErrorCode CheckRequest(const ConsumerHeartbeatRequest& request, std::string& message) const;
  // What a heartbeat would add to the memory of members.
  std::size_t GrowthBy(const ConsumerHeartbeatRequest& request) const;
  ErrorCode FindOrAdd(const ConsumerHeartbeatRequest& request, Member*& member);
  ErrorCode JoinStatic(const ConsumerHeartbeatRequest& request, Member*& member);
  // Whether anything changed that the assignment depends on.
  bool Update(Member& member, const ConsumerHeartbeatRequest& request);
  std::shared_ptr<Subscription> SubscriptionTo(std::set<std::string> names, std::string regex) const;
  void Resolve(Subscription& subscription) const;
  void Assign();
  void Reconcile(Member& member, const std::optional<Partitions>& owned, Time now);
  void Advance(Member& member, const std::optional<Partitions>& owned, Time now);
  bool Owned(const TopicPartition& partition, const Member& but) const;
  void Remove(const std::string& member_id);
  std::string SelectAssignor() const;

  std::string id_;
  const Settings* settings_;
  std::size_t* memory_;
  std::int32_t epoch_ = 0;
  std::int32_t assignment_epoch_ = 0;
  TopicTablePtr topics_ = std::make_shared<const TopicTable>();
  std::map<std::string, Member> members_;
  std::map<std::string, std::string> static_members_;  // instance id -> member id
  std::map<TopicPartition, std::string> owners_;       // assigned or still being given up
  Assignment target_;
  Charge assignment_memory_;
};

}  // namespace headrace::group
