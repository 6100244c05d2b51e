// What native sessions may touch.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "broker/group/coordinator.h"
#include "broker/group/offset_store.h"
#include "broker/net/server.h"
#include "broker/topic/producer_ids.h"
#include "broker/topic/topic_registry.h"
#include "storage/io/clock.h"
#include "storage/io/file_pool.h"

namespace headrace::native {

// The limits a session tells its client and holds it to.
struct SessionLimits {
  std::uint64_t frame_size_max = 64 << 20;
  std::uint64_t batch_size_max = 1 << 20;  // bytes: the default of max.message.bytes
  std::uint32_t requests_in_flight_max = 0;
  // Bytes of one slice of a stream: 1 MiB, and so much more that a batch of 1 MiB (the default limit) still
  // lies between two entries of the sparse index. Then, as long as there is credit for it, no slice's end is
  // looked up in the segment itself.
  std::uint64_t push_size_max = (1 << 20) + (64 << 10);
  std::uint64_t waiting_bytes_max = 2 << 20;  // bytes queued on the socket before a stream pauses
  std::uint64_t fetch_size_max = 64 << 20;    // bytes of one FetchResponse
  std::uint32_t fetch_wait_ms_max = 60'000;
  std::uint32_t produce_timeout_ms = 30'000;  // where the request states none
  std::uint32_t partitions_default = 1;
  std::uint32_t streams_max = 256;                // of one connection
  std::uint32_t stream_partitions_max = 100'000;  // of all its streams
  std::size_t decompressed_size_max = 64 << 20;
};

// The broker as it stands: what a StatsResponse tells.
struct BrokerStatus {
  double uptime_seconds = 0;
  double cpu_user_seconds = 0;
  double cpu_system_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_files = 0;
  std::uint64_t syncs = 0;
  std::uint64_t produced_batches = 0;
  std::uint64_t produced_records = 0;
  std::uint64_t produced_bytes = 0;
  net::ServerStats server;
  std::vector<net::ConnectionSnapshot> connections;  // if asked for
};

// Owned by the broker; outlives all sessions. Everything in it may be used from any thread.
struct Services {
  topic::TopicRegistry* topics = nullptr;
  group::Coordinator* groups = nullptr;
  group::OffsetStore* offsets = nullptr;
  topic::ProducerIds* producer_ids = nullptr;
  storage::FilePool* pool = nullptr;
  storage::Clock* clock = nullptr;
  SessionLimits limits;
  std::string cluster_id;
  std::string version;
  // Counts a produced batch, for the statistics.
  std::function<void(std::uint32_t records, std::size_t bytes)> count_produced;
  std::function<BrokerStatus(bool with_connections)> status;
};

}  // namespace headrace::native
