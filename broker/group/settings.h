// The limits of groups, of both protocols.
#pragma once

#include <cstddef>

#include "broker/group/requests.h"

namespace headrace::group {

// What a member costs besides texts of its own choice: its ids, and its places in maps.
inline constexpr std::size_t kMemberSize = 1024;  // bytes

struct Settings {
  // An empty classic group waits this long for more members than its first; 0: not at all.
  Milliseconds initial_rebalance_delay{3'000};
  Milliseconds session_timeout_min{6'000};
  Milliseconds session_timeout_max{1'800'000};
  Milliseconds new_member_timeout{300'000};  // a member that joined and was never answered
  Milliseconds pending_timeout_max{45'000};  // of an id that was given out; its session if that is shorter
  // The consumer protocol's, told to members.
  Milliseconds consumer_heartbeat_interval{5'000};
  Milliseconds consumer_session_timeout{45'000};
  std::size_t groups_max = 10'000;
  std::size_t members_max = 1'000;  // of one group
  // Bytes of all members: what they said of themselves and what they were assigned. Who would go beyond is
  // refused; only what the broker itself assigns to one group may go beyond, once.
  std::size_t members_memory_max = 128 << 20;
};

}  // namespace headrace::group
