#include "broker/group/coordinator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "protocol/core/utf8.h"

namespace headrace::group {
namespace {

constexpr Milliseconds kTopicsInterval{1'000};
// A tick looks at every group, so however many of them wake the timer, ticks stand apart.
constexpr Milliseconds kTickInterval{10};

// Unguessable enough that two clients do not meet; not a secret. Any random UUID serves.
std::string RandomId(const std::string& client_id) {
  const std::string random = TopicId::Random().ToString();
  const std::string_view front = Utf8Prefix(client_id, kMemberIdSizeMax - random.size() - 1);
  return front.empty() ? random : std::string(front) + "-" + random;
}

// What is wrong with a member's ids; empty: nothing.
std::string WrongIds(const std::string& member_id, const std::optional<std::string>& instance_id) {
  const std::size_t size = std::max(member_id.size(), instance_id.value_or("").size());
  if (size <= kMemberIdSizeMax) return "";
  return absl::StrCat("a member's or instance's id of ", size, " bytes; the limit is ", kMemberIdSizeMax);
}

void Run(const Actions& actions) {
  for (const auto& action : actions) action();
}

}  // namespace

Coordinator::Coordinator(const Settings& settings, storage::Clock& clock, TopicSource topics,
                         IdSource make_id)
    : settings_(settings),
      clock_(clock),
      topics_source_(std::move(topics)),
      make_id_(make_id ? std::move(make_id) : IdSource(RandomId)) {}

Coordinator::~Coordinator() {
  Stop();
}

void Coordinator::Start() {
  timer_ = std::thread([this] { Run(); });
}

void Coordinator::Stop() {
  Actions actions;
  {
    const core::MutexLock lock(mutex_);
    stopping_ = true;
    for (auto& [id, group] : groups_) {
      if (auto* classic = std::get_if<ClassicGroup>(&group)) {
        classic->RemoveMembers(ErrorCode::kCoordinatorNotAvailable, actions);
      }
    }
    groups_.clear();
  }
  wake_.notify_all();
  if (timer_.joinable()) timer_.join();
  group::Run(actions);
}

void Coordinator::Run() {
  while (true) {
    Tick();
    const std::optional<Time> next = NextDeadline();
    const core::MutexLock lock(mutex_);
    const auto stopped = [this]() HEADRACE_REQUIRES(mutex_) { return stopping_; };
    const auto woken = [this]() HEADRACE_REQUIRES(mutex_) { return stopping_ || changed_; };
    const Time now = clock_.MonotonicNow();
    const Time topics_due = now + kTopicsInterval;
    wake_.wait_until(mutex_, next ? std::min(*next, topics_due) : topics_due, woken);
    wake_.wait_until(mutex_, now + kTickInterval, stopped);
    if (stopping_) return;
    changed_ = false;
  }
}

void Coordinator::Wake() {
  changed_ = true;
  wake_.notify_one();
}

void Coordinator::Tick() {
  RefreshTopics(false);
  Actions actions;
  {
    const core::MutexLock lock(mutex_);
    const Time now = clock_.MonotonicNow();
    for (auto each = groups_.begin(); each != groups_.end();) {
      bool unused = false;
      if (auto* classic = std::get_if<ClassicGroup>(&each->second)) {
        classic->Expire(now, actions);
        unused = classic->untouched();
      } else {
        auto& consumer = std::get<ConsumerGroup>(each->second);
        consumer.UpdateTopics(topics_);
        consumer.Expire(now);
      }
      each = unused ? groups_.erase(each) : std::next(each);
    }
  }
  group::Run(actions);
}

std::optional<Time> Coordinator::NextDeadline() const {
  const core::MutexLock lock(mutex_);
  std::optional<Time> next;
  for (const auto& [id, group] : groups_) {
    const auto mine = std::visit([](const auto& each) { return each.NextDeadline(); }, group);
    if (mine) next = next ? std::min(*next, *mine) : *mine;
  }
  return next;
}

void Coordinator::RefreshTopics(bool force) {
  {
    const core::MutexLock lock(mutex_);
    const Time now = clock_.MonotonicNow();
    if (!force && topics_time_ && now - *topics_time_ < kTopicsInterval) return;
    topics_time_ = now;
  }
  const core::MutexLock refreshing(refresh_mutex_);
  const auto topics = std::make_shared<const TopicTable>(topics_source_());
  TopicTablePtr known;
  {
    const core::MutexLock lock(mutex_);
    known = topics_;
  }
  if (*topics == *known) return;
  const core::MutexLock lock(mutex_);
  topics_ = topics;
}

ClassicGroup* Coordinator::FindClassic(const std::string& group_id) {
  const auto found = groups_.find(group_id);
  return found == groups_.end() ? nullptr : std::get_if<ClassicGroup>(&found->second);
}

template <typename T>
T* Coordinator::TakeOver(const std::string& group_id, ErrorCode mismatch, Refusal& refusal) {
  if (group_id.empty() || group_id.size() > kGroupIdSizeMax) refusal.error = ErrorCode::kInvalidGroupId;
  if (stopping_) refusal.error = ErrorCode::kCoordinatorNotAvailable;
  if (refusal.error != ErrorCode::kNone) return nullptr;
  auto found = groups_.find(group_id);
  if (found == groups_.end()) {
    if (groups_.size() >= settings_.groups_max) {
      // Without members a group holds nothing that cannot be made again; who was only promised an id asks
      // again.
      std::erase_if(groups_, [](const auto& each) {
        return std::visit([](const auto& group) { return group.empty(); }, each.second);
      });
    }
    if (groups_.size() >= settings_.groups_max) {
      refusal = {ErrorCode::kGroupMaxSizeReached,
                 absl::StrCat("there are ", groups_.size(),
                              " groups with members, and no more may be: end the consumers of some")};
      return nullptr;
    }
    found = groups_.try_emplace(group_id, std::in_place_type<T>, group_id, settings_, members_memory_).first;
  }
  if (auto* group = std::get_if<T>(&found->second)) return group;
  if (!std::visit([](const auto& group) { return group.unused(); }, found->second)) {
    refusal.error = mismatch;
    return nullptr;
  }
  found->second.template emplace<T>(group_id, settings_, members_memory_);
  return &std::get<T>(found->second);
}

void Coordinator::Join(const JoinRequest& request, JoinCallback done) {
  Actions actions;
  {
    const core::MutexLock lock(mutex_);
    const bool wrong = !WrongIds(request.member_id, request.instance_id).empty() ||
                       request.protocol_type.size() > kMemberIdSizeMax;
    Refusal refusal{wrong ? ErrorCode::kInvalidRequest : ErrorCode::kNone, ""};
    ClassicGroup* group =
        TakeOver<ClassicGroup>(request.group_id, ErrorCode::kInconsistentGroupProtocol, refusal);
    if (group != nullptr) {
      group->Join(request, make_id_(request.instance_id.value_or(request.client.id)), std::move(done),
                  clock_.MonotonicNow(), actions);
      Wake();
    } else {
      JoinOutcome outcome;
      outcome.error = refusal.error;
      outcome.member_id = request.member_id;
      actions.push_back([done = std::move(done), outcome] { done(outcome); });
    }
  }
  group::Run(actions);
}

void Coordinator::Sync(const SyncRequest& request, SyncCallback done) {
  Actions actions;
  {
    const core::MutexLock lock(mutex_);
    ClassicGroup* group = FindClassic(request.group_id);
    const ErrorCode error = stopping_                  ? ErrorCode::kCoordinatorNotAvailable
                            : request.group_id.empty() ? ErrorCode::kInvalidGroupId
                                                       : ErrorCode::kUnknownMemberId;
    if (group != nullptr) {
      group->Sync(request, std::move(done), clock_.MonotonicNow(), actions);
      Wake();
    } else {
      actions.push_back([done = std::move(done), error] { done({error, "", "", ""}); });
    }
  }
  group::Run(actions);
}

ErrorCode Coordinator::Heartbeat(const HeartbeatRequest& request) {
  const core::MutexLock lock(mutex_);
  if (stopping_) return ErrorCode::kCoordinatorNotAvailable;
  if (request.group_id.empty()) return ErrorCode::kInvalidGroupId;
  ClassicGroup* group = FindClassic(request.group_id);
  return group == nullptr ? ErrorCode::kUnknownMemberId : group->Heartbeat(request, clock_.MonotonicNow());
}

LeaveOutcome Coordinator::Leave(const LeaveRequest& request) {
  Actions actions;
  LeaveOutcome outcome;
  {
    const core::MutexLock lock(mutex_);
    if (stopping_) outcome.error = ErrorCode::kCoordinatorNotAvailable;
    if (request.group_id.empty()) outcome.error = ErrorCode::kInvalidGroupId;
    ClassicGroup* group = FindClassic(request.group_id);
    for (const LeavingMember& member : request.members) {
      outcome.members.push_back(group == nullptr ? ErrorCode::kUnknownMemberId
                                                 : group->Leave(member, clock_.MonotonicNow(), actions));
    }
    Wake();
  }
  group::Run(actions);
  return outcome;
}

ConsumerHeartbeatOutcome Coordinator::ConsumerHeartbeat(const ConsumerHeartbeatRequest& request) {
  ConsumerHeartbeatOutcome outcome;
  if (request.group_id.empty()) {
    outcome.error = ErrorCode::kInvalidRequest;
    outcome.message = "the group id is empty";
    return outcome;
  }
  outcome.message = WrongIds(request.member_id, request.instance_id);
  if (!outcome.message.empty()) {
    outcome.error = ErrorCode::kInvalidRequest;
    return outcome;
  }
  RefreshTopics(request.topic_names || request.topic_regex);
  const core::MutexLock lock(mutex_);
  const bool joins = request.member_epoch == kJoinEpoch;
  if (!joins && groups_.count(request.group_id) == 0) {
    outcome.error = stopping_ ? ErrorCode::kCoordinatorNotAvailable : ErrorCode::kUnknownMemberId;
    return outcome;
  }
  Refusal refusal;
  ConsumerGroup* group = TakeOver<ConsumerGroup>(request.group_id, ErrorCode::kGroupIdNotFound, refusal);
  if (group == nullptr) {
    outcome.error = refusal.error;
    outcome.message = refusal.message;
    return outcome;
  }
  ConsumerHeartbeatRequest named = request;
  if (joins && named.member_id.empty()) named.member_id = make_id_("");
  // The timer need not be woken: it looks at least once a second, which is near enough for a session.
  outcome = group->Heartbeat(named, topics_, clock_.MonotonicNow());
  return outcome;
}

ErrorCode Coordinator::CheckFetch(const CommitCheck& check) {
  const core::MutexLock lock(mutex_);
  const auto found = groups_.find(check.group_id);
  const bool known = found != groups_.end() && std::holds_alternative<ConsumerGroup>(found->second);
  return known ? Check(check) : ErrorCode::kNone;
}

ErrorCode Coordinator::Commit(const CommitCheck& check, const std::function<void()>& append) {
  const core::MutexLock lock(mutex_);
  ErrorCode error = Check(check);
  if (error == ErrorCode::kNone && seeking_.contains(check.group_id)) {
    error = ErrorCode::kCoordinatorLoadInProgress;
  }
  if (error == ErrorCode::kNone) append();
  return error;
}

bool Coordinator::BeginSeek(const std::string& group_id, const std::function<void()>& append) {
  const core::MutexLock lock(mutex_);
  if (!seeking_.insert(group_id).second) return false;
  append();
  return true;
}

std::size_t Coordinator::EndSeek(const std::string& group_id, bool moved) {
  std::size_t members = 0;
  if (moved) {
    if (const auto described = Describe(group_id)) members = described->member_count;
    RemoveMembers(group_id);
  }
  const core::MutexLock lock(mutex_);
  seeking_.erase(group_id);
  return members;
}

ErrorCode Coordinator::Check(const CommitCheck& check) {
  if (stopping_) return ErrorCode::kCoordinatorNotAvailable;
  const auto found = groups_.find(check.group_id);
  if (found != groups_.end()) {
    const Time now = clock_.MonotonicNow();
    return std::visit([&](auto& group) { return group.CheckCommit(check, now); }, found->second);
  }
  // No member is known here: only those who never were one may commit, the others are to join again.
  const bool outside = check.generation_or_epoch < 0 && check.member_id.empty();
  return outside ? ErrorCode::kNone : ErrorCode::kUnknownMemberId;
}

bool Coordinator::RemoveMembers(const std::string& group_id) {
  Actions actions;
  {
    const core::MutexLock lock(mutex_);
    const auto found = groups_.find(group_id);
    if (found == groups_.end()) return false;
    if (auto* classic = std::get_if<ClassicGroup>(&found->second)) {
      classic->RemoveMembers(ErrorCode::kUnknownMemberId, actions);
    } else {
      std::get<ConsumerGroup>(found->second).RemoveMembers();
    }
    Wake();
  }
  group::Run(actions);
  return true;
}

std::vector<GroupDescription> Coordinator::List() const {
  const core::MutexLock lock(mutex_);
  std::vector<GroupDescription> all;
  for (const auto& [id, group] : groups_) {
    all.push_back(std::visit([](const auto& each) { return each.Describe(); }, group));
    all.back().member_count = all.back().members.size();
    all.back().members.clear();
  }
  return all;
}

std::optional<GroupDescription> Coordinator::Describe(const std::string& group_id) const {
  const core::MutexLock lock(mutex_);
  const auto found = groups_.find(group_id);
  if (found == groups_.end()) return std::nullopt;
  GroupDescription description = std::visit([](const auto& each) { return each.Describe(); }, found->second);
  description.member_count = description.members.size();
  return description;
}

ErrorCode Coordinator::Delete(const std::string& group_id) {
  const core::MutexLock lock(mutex_);
  const auto found = groups_.find(group_id);
  if (found == groups_.end()) return ErrorCode::kGroupIdNotFound;
  if (!std::visit([](const auto& group) { return group.empty(); }, found->second))
    return ErrorCode::kNonEmptyGroup;
  groups_.erase(found);
  return ErrorCode::kNone;
}

}  // namespace headrace::group
