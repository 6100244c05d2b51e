// What the broker counts, for `headrace stats`.
#include "broker/native/request.h"

namespace headrace::native {
namespace {

void FillTransfers(const net::TransferSnapshot& snapshot,
                   google::protobuf::RepeatedPtrField<TransferStats>* transfers) {
  for (const net::StrategySnapshot& strategy : snapshot) {
    TransferStats* stats = transfers->Add();
    stats->set_strategy(std::string(strategy.name));
    stats->set_calls(strategy.calls);
    stats->set_bytes(strategy.bytes);
    stats->set_bytes_through_user(strategy.bytes_through_user);
    stats->set_short_sends(strategy.short_sends);
    stats->set_waits(strategy.waits);
  }
}

void FillTopics(const Services& services, StatsResponse& stats) {
  const std::vector<topic::TopicPtr> topics = services.topics->All();
  std::uint64_t partitions = 0;
  std::uint64_t fenced = 0;
  for (const topic::TopicPtr& topic : topics) {
    partitions += topic->partitions.size();
    for (const auto& partition : topic->partitions) fenced += partition->log().fenced().ok() ? 0 : 1;
  }
  stats.set_topics(topics.size());
  stats.set_partitions(partitions);
  stats.set_fenced_partitions(fenced);
}

void FillBroker(const BrokerStatus& status, StatsResponse& stats) {
  stats.set_uptime_seconds(status.uptime_seconds);
  stats.set_cpu_user_seconds(status.cpu_user_seconds);
  stats.set_cpu_system_seconds(status.cpu_system_seconds);
  stats.set_resident_bytes(status.resident_bytes);
  stats.set_open_files(status.open_files);
  stats.set_syncs(status.syncs);
  stats.set_produced_batches(status.produced_batches);
  stats.set_produced_records(status.produced_records);
  stats.set_produced_bytes(status.produced_bytes);
  stats.set_connections(status.server.connections);
  stats.set_connections_total(status.server.connections_total);
  stats.set_requests(status.server.requests);
  stats.set_bytes_in(status.server.bytes_in);
  stats.set_bytes_out(status.server.bytes_out);
  stats.set_cold_reads(status.server.cold_reads);
  stats.set_client_errors(status.server.client_errors);
  FillTransfers(status.server.transfers, stats.mutable_transfers());
}

void FillConnection(const net::ConnectionSnapshot& connection, ConnectionStats* stats) {
  stats->set_id(connection.id);
  stats->set_peer(connection.peer);
  stats->set_client_id(connection.client_id);
  stats->set_bytes_in(connection.bytes_in);
  stats->set_bytes_out(connection.bytes_out);
  stats->set_bytes_waiting(connection.bytes_waiting);
  stats->set_requests_in_flight(static_cast<std::uint32_t>(connection.requests_in_flight));
  stats->set_seconds_stalled(connection.seconds_stalled);
  FillTransfers(connection.transfers, stats->mutable_transfers());
}

}  // namespace

void HandleStats(const Request& request) {
  StatsRequest message;
  const absl::Status parsed = ParseRequest(request, message);
  if (!parsed.ok()) return AnswerError(request, parsed);
  const BrokerStatus status = request.services->status(message.with_connections());
  StatsResponse stats;
  stats.set_version(request.services->version);
  FillBroker(status, stats);
  FillTopics(*request.services, stats);
  for (const net::ConnectionSnapshot& connection : status.connections) {
    FillConnection(connection, stats.add_connection_list());
  }
  Answer(request, stats);
}

}  // namespace headrace::native
