// The network side of the broker: listens, and runs the connections on its reactors.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "broker/net/net_options.h"
#include "storage/io/file_pool.h"

namespace headrace::net {

struct ServerStats {
  std::uint64_t connections = 0;        // now
  std::uint64_t connections_total = 0;  // since start
  std::uint64_t requests = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t client_errors = 0;
  std::uint64_t cold_reads = 0;  // ranges warmed on the file pool before they were sent
  TransferSnapshot transfers;
};

struct ConnectionSnapshot {
  std::uint64_t id = 0;
  std::string peer;
  std::string client_id;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_waiting = 0;
  std::uint64_t requests_in_flight = 0;
  double seconds_stalled = 0;
  TransferSnapshot transfers;
};

// Owned by the broker. Bind, Start, StopAccepting, CloseAll and the destructor on one thread; the rest on
// any.
class Server {
 public:
  // `pool` outlives the server's connections.
  Server(const NetOptions& options, storage::FilePool& pool, std::vector<Protocol> protocols);
  // Closes what is open, at once.
  ~Server();

  // Takes the address, so that nobody else can, without listening yet: who connects is refused until Start.
  // Errors name address and port: in use, not ours, not permitted.
  absl::Status Bind();
  // Listens, on what Bind has taken or takes now. Errors as Bind's.
  absl::Status Start();
  std::uint16_t port() const;

  void StopAccepting();
  // Reads nothing more, lets requests in flight be answered and what is queued go out, and closes every
  // connection; those that are not done by the deadline are cut.
  void CloseAll(std::chrono::steady_clock::time_point deadline);

  ServerStats Stats() const;
  std::vector<ConnectionSnapshot> Connections() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::net
