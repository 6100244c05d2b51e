// The limits of groups, of both protocols.
#pragma once

#include <cstddef>

#include "broker/group/requests.h"

namespace headrace::group {

struct Settings {
  // An empty classic group waits this long for more members than its first; 0: not at all.
  Milliseconds initial_rebalance_delay{3'000};
  Milliseconds session_timeout_min{6'000};
  Milliseconds session_timeout_max{1'800'000};
  Milliseconds new_member_timeout{300'000};  // a member that joined and was never answered
  // The consumer protocol's, told to members.
  Milliseconds consumer_heartbeat_interval{5'000};
  Milliseconds consumer_session_timeout{45'000};
  // Memory: at most groups_max * members_max members, each as large as its request.
  std::size_t groups_max = 10'000;
  std::size_t members_max = 1'000;  // of one group
};

}  // namespace headrace::group
