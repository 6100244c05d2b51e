// Groups for the broker inside the test: the real coordinator, behind the native protocol's messages.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "broker/group/coordinator.h"
#include "headrace.pb.h"
#include "protocol/core/mutex.h"

namespace headrace::test {

inline constexpr std::string_view kOrdersId = "0123456789abcdef";  // the id of the topic "orders"

// The native protocol's messages, put to a coordinator that knows the topic "orders".
absl::StatusOr<native::GroupHeartbeatResponse> PutHeartbeat(group::Coordinator& coordinator,
                                                            const native::GroupHeartbeatRequest& request);
ErrorCode PutCommitCheck(group::Coordinator& coordinator, const native::CommitOffsetRequest& request);
group::TopicInfo OrdersOf(std::uint32_t partitions);

// Of the one topic "orders". Heartbeats are due every 20 ms, so that tests need not wait. Thread: any.
class FakeGroups {
 public:
  explicit FakeGroups(std::uint32_t partitions);

  absl::StatusOr<native::GroupHeartbeatResponse> Heartbeat(const native::GroupHeartbeatRequest& request);
  ErrorCode CheckCommit(const native::CommitOffsetRequest& request);

  // All membership is forgotten, as by a broker that starts again.
  void Forget();
  void SetSessionTimeout(std::chrono::milliseconds timeout);  // forgets, too
  // Members are removed, as by an administrator who has moved the group.
  void RemoveMembers(const std::string& group);
  std::size_t members(const std::string& group) const;
  // Everybody is where the broker wants it.
  bool IsStable(const std::string& group) const;

 private:
  std::shared_ptr<group::Coordinator> coordinator() const HEADRACE_EXCLUDES(mutex_);

  const std::uint32_t partitions_;
  storage::SystemClock clock_;
  mutable core::Mutex mutex_;
  group::Settings settings_ HEADRACE_GUARDED_BY(mutex_);
  std::shared_ptr<group::Coordinator> coordinator_ HEADRACE_GUARDED_BY(mutex_);
};

}  // namespace headrace::test
