// What members ask of a group and what they are told: plain values, no wire struct.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocol/core/error_code.h"
#include "protocol/core/types.h"

namespace headrace::group {

using Time = std::chrono::steady_clock::time_point;
using Milliseconds = std::chrono::milliseconds;
using Partitions = std::set<TopicPartition>;

inline constexpr std::size_t kGroupIdSizeMax = 249;   // bytes
inline constexpr std::size_t kMemberIdSizeMax = 255;  // bytes of a member's or an instance's id

// What a pure state machine wants done: completions, to be run in this order once no lock is held.
using Actions = std::vector<std::function<void()>>;

// Where a member speaks from; only ever shown.
struct Client {
  std::string id;
  std::string host;
};

// ---- The classic protocol: clients assign, the broker carries opaque bytes. ----

struct JoinProtocol {
  std::string name;
  std::string metadata;  // opaque
  friend bool operator==(const JoinProtocol&, const JoinProtocol&) = default;
};

struct JoinRequest {
  std::string group_id;
  std::string member_id;                   // empty: a new member
  std::optional<std::string> instance_id;  // a static member
  Client client;
  std::string protocol_type;
  std::vector<JoinProtocol> protocols;  // most wanted first
  Milliseconds session_timeout{45'000};
  Milliseconds rebalance_timeout{300'000};
  bool member_id_required = false;         // version 4 on: a new dynamic member is first told its id
  bool skip_assignment_supported = false;  // version 9 on
};

struct JoinedMember {
  std::string member_id;
  std::optional<std::string> instance_id;
  std::string metadata;
};

struct JoinOutcome {
  ErrorCode error = ErrorCode::kNone;
  std::int32_t generation = -1;
  std::string protocol_type;
  std::string protocol;
  std::string leader;
  bool skip_assignment = false;
  std::string member_id;
  std::vector<JoinedMember> members;  // for the leader only
};
using JoinCallback = std::function<void(const JoinOutcome&)>;

struct SyncRequest {
  std::string group_id;
  std::int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::optional<std::string> protocol_type;  // version 5 on
  std::optional<std::string> protocol;
  std::vector<std::pair<std::string, std::string>> assignments;  // of member ids; from the leader only
};

struct SyncOutcome {
  ErrorCode error = ErrorCode::kNone;
  std::string protocol_type;
  std::string protocol;
  std::string assignment;
};
using SyncCallback = std::function<void(const SyncOutcome&)>;

struct HeartbeatRequest {
  std::string group_id;
  std::int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
};

struct LeavingMember {
  std::string member_id;  // may be empty for a static member
  std::optional<std::string> instance_id;
};

struct LeaveRequest {
  std::string group_id;
  std::vector<LeavingMember> members;
};

struct LeaveOutcome {
  ErrorCode error = ErrorCode::kNone;
  std::vector<ErrorCode> members;  // one for each of the request's
};

// ---- The consumer protocol (KIP-848): the broker assigns. ----

constexpr std::int32_t kJoinEpoch = 0;
constexpr std::int32_t kLeaveEpoch = -1;
constexpr std::int32_t kStaticLeaveEpoch = -2;

// A member's state; a field without a value says "as before". The first (epoch 0) must be full.
struct ConsumerHeartbeatRequest {
  std::string group_id;
  std::string member_id;  // empty at epoch 0: the coordinator makes one
  std::int32_t member_epoch = kJoinEpoch;
  std::optional<std::string> instance_id;
  Client client;
  std::optional<Milliseconds> rebalance_timeout;
  std::optional<std::vector<std::string>> topic_names;
  std::optional<std::string> topic_regex;  // RE2; an empty one takes the regex away
  std::optional<std::string> assignor;     // "uniform" or "range"
  std::optional<Partitions> owned;
};

struct ConsumerHeartbeatOutcome {
  ErrorCode error = ErrorCode::kNone;
  std::string message;  // of an error
  std::string member_id;
  std::int32_t member_epoch = 0;
  Milliseconds heartbeat_interval{5'000};
  std::optional<Partitions> assignment;  // without a value: unchanged
};

// ---- Offsets and administration. ----

struct CommitCheck {
  std::string group_id;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int32_t generation_or_epoch = -1;
};

enum class GroupType { kClassic, kConsumer };
enum class GroupState {
  kEmpty,
  kPreparingRebalance,
  kCompletingRebalance,
  kStable,
  kDead,
  kAssigning,
  kReconciling,
};

struct MemberDescription {
  std::string member_id;
  std::optional<std::string> instance_id;
  Client client;
  // Classic: opaque bytes of the chosen protocol.
  std::string metadata;
  std::string assignment;
  // Consumer.
  std::int32_t member_epoch = 0;
  std::vector<std::string> topic_names;
  std::string topic_regex;
  std::set<TopicId> subscribed;  // what names and regex come to
  Partitions assigned;
  Partitions target;
};

struct GroupDescription {
  std::string group_id;
  GroupType type = GroupType::kClassic;
  GroupState state = GroupState::kDead;
  std::string protocol_type;  // "consumer" for those of the consumer protocol
  std::string protocol;       // the chosen assignor
  std::int32_t epoch = 0;     // classic: the generation
  std::int32_t assignment_epoch = 0;
  std::size_t member_count = 0;  // also where `members` is left out
  std::vector<MemberDescription> members;
};

// A topic that groups may be assigned.
struct TopicInfo {
  TopicId id;
  std::string name;
  std::int32_t partitions = 0;
};
using PartitionCounts = std::map<TopicId, std::int32_t>;

// All of them, as they were at a time. Never changed, and shared by all groups: another pointer means that
// something in it is different.
struct TopicTable {
  TopicTable() = default;
  explicit TopicTable(const std::vector<TopicInfo>& all) {
    for (const TopicInfo& each : all) {
      ids.emplace(each.name, each.id);
      partitions.emplace(each.id, each.partitions);
    }
  }

  std::map<std::string, TopicId> ids;
  PartitionCounts partitions;

  friend bool operator==(const TopicTable&, const TopicTable&) = default;
};
using TopicTablePtr = std::shared_ptr<const TopicTable>;

}  // namespace headrace::group
