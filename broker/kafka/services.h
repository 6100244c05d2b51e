// What Kafka sessions may touch.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "broker/topic/producer_ids.h"
#include "broker/topic/topic_registry.h"
#include "storage/io/clock.h"
#include "storage/io/file_pool.h"

namespace headrace::group {
class Coordinator;
class OffsetStore;
}  // namespace headrace::group

namespace headrace::kafka {

class FetchSessions;

// Owned by the broker; outlives all sessions. Everything in it may be used from any thread.
struct Services {
  topic::TopicRegistry* topics = nullptr;
  topic::ProducerIds* producer_ids = nullptr;
  storage::FilePool* pool = nullptr;
  storage::Clock* clock = nullptr;
  FetchSessions* fetch_sessions = nullptr;
  group::Coordinator* groups = nullptr;
  group::OffsetStore* offsets = nullptr;
  std::string cluster_id;
  std::int32_t broker_id = 1;  // of the only one
  std::string data_path;
  // Told to clients as the broker's address; an empty host: the address they used.
  std::string advertised_host;
  std::uint16_t advertised_port = 0;
  bool auto_create_topics = true;
  std::uint32_t partitions_default = 1;
  std::uint64_t fetch_size_max = 64 << 20;  // bytes of one response, whatever the client allows
  std::int32_t fetch_wait_max_ms = 60'000;
  std::int32_t produce_timeout_max_ms = 300'000;
  std::size_t decompressed_size_max = 64 << 20;  // bytes, where one batch must be opened to find a time
  // Writes a line to the broker's log.
  std::function<void(const std::string& line)> log_info;
  // Counts a produced batch, for the statistics.
  std::function<void(std::uint32_t records, std::size_t bytes)> count_produced;
};

}  // namespace headrace::kafka
