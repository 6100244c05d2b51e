// The broker: builds its parts in order, and stops them in the reverse one. No logic of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "broker/config.h"
#include "broker/group/coordinator.h"
#include "broker/kafka/services.h"
#include "broker/native/services.h"
#include "broker/topic/janitor.h"
#include "storage/io/posix_file_system.h"

namespace headrace::net {
class Server;
}
namespace headrace::kafka {
class FetchSessions;
}

namespace headrace::broker {

// Owned by main. Start and Stop on one thread.
class Broker {
 public:
  // Takes the address, opens the data directory, recovers what must be, and listens. Errors say what to do;
  // one at the address leaves the directory as it was. CANCELLED once `stop_asked`, which is asked between
  // logs, on any thread, says so.
  static absl::StatusOr<std::unique_ptr<Broker>> Start(const Config& config,
                                                       const std::function<bool()>& stop_asked);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  std::uint16_t port() const;
  std::string cluster_id() const;
  // Refuses new work, lets answers go out, closes every log and marks the directory clean; within 5 s. An
  // error means that the next start recovers.
  absl::Status Stop();

 private:
  explicit Broker(const Config& config);
  absl::Status TakeAddress();
  absl::Status OpenStorage(const std::function<bool()>& stop_asked);
  std::vector<group::TopicInfo> AssignableTopics() const;
  void CountProduced(std::uint32_t records, std::size_t bytes);
  void FillNativeServices();
  void FillKafkaServices();
  native::BrokerStatus Status(bool with_connections) const;
  void LogStart() const;

  const Config config_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  bool opened_ = false;  // everything is there that Stop ends
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> produced_batches_{0};
  std::atomic<std::uint64_t> produced_records_{0};
  std::atomic<std::uint64_t> produced_bytes_{0};

  // Destroyed from the last to the first: each may use those above it.
  storage::PosixFileSystem files_;
  storage::SystemClock clock_;
  std::unique_ptr<storage::DataDirectory> directory_;
  std::unique_ptr<topic::DiskGuard> disk_;
  topic::AppendBudget append_budget_;
  std::unique_ptr<storage::FilePool> pool_;
  std::unique_ptr<storage::Flusher> flusher_;
  std::unique_ptr<topic::TopicRegistry> registry_;
  std::unique_ptr<group::OffsetStore> offsets_;
  std::unique_ptr<group::Coordinator> groups_;
  std::unique_ptr<topic::ProducerIds> producer_ids_;
  native::Services native_services_;
  std::unique_ptr<kafka::FetchSessions> fetch_sessions_;
  kafka::Services kafka_services_;
  std::unique_ptr<net::Server> server_;
  std::unique_ptr<topic::Janitor> janitor_;
};

}  // namespace headrace::broker
