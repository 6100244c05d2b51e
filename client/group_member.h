// One membership in a consumer group.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "client/backoff.h"
#include "client/commit_queue.h"
#include "client/deadline.h"
#include "client/position_lookup.h"
#include "headrace.pb.h"

namespace headrace {

struct GroupMemberOptions {
  std::string group;
  std::string instance_id;  // empty: not a static member
  std::string assignor;     // empty: the broker's choice
  std::string topic;
  std::string topic_id;
  Start start;  // where nothing is committed
  std::chrono::milliseconds commit_interval{0};
  std::chrono::milliseconds max_poll_interval{300'000};
  std::chrono::milliseconds request_timeout{30'000};
  std::chrono::milliseconds backoff_min{50};
  std::chrono::milliseconds backoff_max{1'000};
};

// What the caller has to do next.
struct GroupEvent {
  enum class Kind : std::uint8_t {
    kLost,      // these partitions are gone: forget them, commit nothing
    kRevoked,   // finish these partitions, then Release them
    kAssigned,  // read these from `points`
    kCommit,    // the interval has passed: Commit what is processed
    kTrouble,   // tell `error`; things go on
    kFailed,    // tell `error`; the membership is over
  };
  Kind kind{};
  std::vector<std::uint32_t> partitions;
  std::vector<StartingPoint> points;
  Error error;
};

// The member's half of KIP-848: joins, heartbeats, tells the caller what to give up and what to begin, and
// tells the broker when that is done; commits; joins again when the broker no longer knows it. What the
// caller holds changes only by the events it has taken, so whatever it asks to commit was its own then. A
// pure state machine: no clock, no socket, no lock. Owned by the receiver, under its mutex.
class GroupMember {
 public:
  using IdSource = std::function<std::string()>;
  using Request = std::variant<native::GroupHeartbeatRequest, native::CommitOffsetRequest,
                               native::FetchOffsetRequest, native::ListOffsetsRequest>;

  // `make_id` makes member ids, unique ones; none: random ones.
  GroupMember(GroupMemberOptions options, TimePoint now, IdSource make_id = nullptr);

  // The network's side: sends each request that comes, and hands its answer or its error in.
  std::optional<Request> NextRequest(TimePoint now);
  void OnAnswer(const Result<native::GroupHeartbeatResponse>& answer, TimePoint now);
  void OnAnswer(const Result<native::CommitOffsetResponse>& answer, TimePoint now);
  void OnAnswer(const Result<native::FetchOffsetResponse>& answer, TimePoint now);
  void OnAnswer(const Result<native::ListOffsetsResponse>& answer, TimePoint now);
  // All that was under way will not be answered.
  void OnConnectionLost(TimePoint now);
  // Whether a heartbeat went unanswered for too long: the connection is of no use.
  bool Overdue(TimePoint now) const;
  // When to look again if nothing happens.
  TimePoint NextTime(TimePoint now) const;

  // The caller's side. The caller is alive, and polls.
  void Touch(TimePoint now);
  bool HasEvent(TimePoint now) const;
  std::optional<GroupEvent> NextEvent(TimePoint now);
  // After kRevoked: the caller reads these no more. The broker hears it once all commits are settled.
  void Release(const std::vector<std::uint32_t>& partitions);
  // A ticket for CommitOutcome; kUnknownMemberId if one of these partitions is not the caller's any more.
  Result<std::uint64_t> Commit(const Positions& positions);
  std::optional<Result<void>> CommitOutcome(std::uint64_t ticket) const { return commits_.outcome(ticket); }
  // Leaves, after what is still to be committed.
  void Leave();
  bool left() const { return phase_ == Phase::kLeft || phase_ == Phase::kFailed; }
  // What the broker has assigned is what the caller holds.
  bool settled() const;
  // Why the membership is over, if it is.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  enum class Phase : std::uint8_t { kJoining, kMember, kStale, kLeaving, kLeft, kFailed };
  using PartitionSet = std::set<std::uint32_t>;

  std::optional<native::GroupHeartbeatRequest> NextHeartbeat(TimePoint now);
  native::GroupHeartbeatRequest Heartbeat();
  native::CommitOffsetRequest CommitRequest();
  native::GroupHeartbeatRequest Farewell();
  void TakeAnswer(const native::GroupHeartbeatResponse& answer, TimePoint now);
  void SetTarget(const native::GroupHeartbeatResponse::Assignment& assignment);
  void OnRefusal(const Error& error, TimePoint now);
  void LoseAll(const Error& why);
  void JoinAgain(TimePoint when);
  void StartLookup(TimePoint now);
  void OnPoints(Result<std::vector<StartingPoint>> points, TimePoint now);
  PartitionSet Revoked() const;
  std::vector<StartingPoint> Assigned() const;
  bool CommitDue(TimePoint now) const;

  const GroupMemberOptions options_;
  const IdSource make_id_;
  Backoff backoff_;
  Phase phase_ = Phase::kJoining;
  std::string member_id_;
  std::int32_t epoch_ = 0;

  std::optional<std::int32_t> heartbeat_under_way_;  // the epoch it was sent with
  TimePoint heartbeat_sent_{};
  TimePoint heartbeat_at_;
  bool full_ = true;       // the next heartbeat tells everything, and is told everything
  bool report_ = false;    // what is held has changed: the broker waits to hear it
  bool farewell_ = false;  // kStale: the broker has to be told
  TimePoint polled_at_;

  PartitionSet target_;     // what the broker has assigned
  bool told_ = false;       // it has assigned, if only nothing
  PartitionSet held_;       // what the caller reads
  PartitionSet releasing_;  // given up by the caller, not yet told to the broker
  PartitionSet lost_;       // to be told to the caller
  std::optional<Error> trouble_;
  std::optional<Error> failure_;
  bool failure_told_ = false;

  CommitQueue commits_;
  TimePoint commit_at_ = TimePoint::max();
  PositionLookup lookup_;
  TimePoint lookup_at_{};
  std::map<std::uint32_t, StartingPoint> ready_;  // of partitions in target_, not held yet
};

}  // namespace headrace
