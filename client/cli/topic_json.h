// Topics, offsets and statistics as JSON documents.
#pragma once

#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "headrace/admin.h"

namespace headrace::cli {

// {"topic","id","partitions","configs":{key:{"value","default","has_effect"}},"partition_list":[...]}
nlohmann::ordered_json ToJson(const TopicInfo& topic);
nlohmann::ordered_json ToJson(const BrokerStats& stats);
// {"strategy","calls","bytes","bytes_through_user","short_sends","waits"} each.
nlohmann::ordered_json ToJson(const std::vector<TransferCounters>& transfers);

}  // namespace headrace::cli
